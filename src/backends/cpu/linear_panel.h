// The pieces of a linear launch that are compiled once per instruction set, and the data they share.
//
// Numerics. Packed weights: x is quantized to int8 per block of 32 (scale dx, round to nearest even); a
// weight is d * (u - offset) or d * u + m with small unsigned u. For every block of 32 (or 16, where the
// format has a scale per 16) the integer dot product is exact, and the f32 accumulator of an output element
// takes, in the order of k,
//   acc = fma(float(idot), d * dx, acc);   acc = fma(m, sum(x_q) * dx, acc)  where the format has a minimum.
// Float weights, bf16 among them: x stays f32, see linear_float-inl.h.
// Nothing above mentions T, threads or the vector width: that is what makes results independent of the batch,
// and the packed formats bit-identical on every instruction set that has a fused multiply-add.
//
// Vectors run along 16 weight rows ("a panel"): the scales of 16 rows are one vector and never need a
// broadcast or a horizontal sum, the outputs of 16 rows leave as one store, and the shuffles that bring 16
// stored rows side by side cost two instructions per block of 32 weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tattletale::cpu {

inline constexpr uint32_t kPanelRows = 16;
inline constexpr uint32_t kActivationBlock = 32;

/// One stored matrix [num_rows, K] of a launch.
struct LinearMatrix {
  DType dtype = DType::f32;
  const std::byte* data = nullptr;
  uint64_t row_bytes = 0;
  uint32_t num_rows = 0;
  const float* bias = nullptr;  // [num_rows] or null
  uint32_t y_column = 0;        // where its outputs begin
};

/// The int8 view of x. Row t of every array is for token t.
struct QuantizedRows {
  int8_t* q = nullptr;        // [T, K]
  float* scale = nullptr;     // [T, K / 32]
  float* sum32 = nullptr;     // [T, K / 32] scale * sum of q
  float* sum16 = nullptr;     // [T, K / 16]
  int32_t* isum32 = nullptr;  // [T, K / 32] sum of q
  int32_t* isum16 = nullptr;  // [T, K / 16]

  static uint64_t bytes(uint64_t num_tokens, uint64_t k);
  static QuantizedRows at(std::byte* memory, uint64_t num_tokens, uint64_t k);
};

/// 16 rows unpacked: u, scales and minima with the row as the fastest index.
struct PackedPanel {
  uint8_t* q = nullptr;    // [K / 4, 16, 4]
  float* scale = nullptr;  // [K / group, 16]
  float* min = nullptr;    // [K / group, 16]

  static uint64_t bytes(uint64_t k);
  static PackedPanel at(std::byte* memory, uint64_t k);
};

/// A panel's 16 stored rows; past the end of the matrix the last row repeats.
struct PanelRows {
  const uint8_t* row[kPanelRows];
  uint64_t stride_bytes;  // from row to row; 0 when a row repeats
  const uint8_t* next;    // the panel this thread will read after this one, to prefetch; or null
  bool from_memory;       // the matrix is too large for any cache to keep it between two tokens
};

/// One function per step and instruction set.
struct LinearIsa {
  const char* name;
  /// Quantizes x[t, 0..k) into row t.
  void (*quantize_row)(const float* x, uint64_t k, const QuantizedRows& out, uint64_t t);
  /// Unpacks a panel of a packed dtype.
  void (*pack)(DType dtype, const PanelRows& rows, uint64_t k, const PackedPanel& out);
  /// acc[(t - t0) * 16 + r] = sum over k, for tokens [t0, t1).
  void (*dot)(DType dtype, const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t0,
              uint64_t t1, float* acc);
  /// The same for one token, straight from the stored rows; may unpack to `scratch` on the way.
  void (*dot_stored)(DType dtype, const PanelRows& rows, const QuantizedRows& x, uint64_t k, uint64_t t,
                     const PackedPanel& scratch, float* acc);
  /// The same for f32, f16 and bf16 weights with x in f32, row stride x_stride.
  void (*dot_float)(DType dtype, const PanelRows& rows, const float* x, uint64_t x_stride, uint64_t k,
                    uint64_t t0, uint64_t t1, float* acc);
  /// y[i] = silu(gate[i]) * up[i], or gelu_tanh, for i < n; the same bits for an element wherever it lies.
  void (*silu_mul)(const float* gate, const float* up, float* y, uint64_t n);
  void (*gelu_tanh_mul)(const float* gate, const float* up, float* y, uint64_t n);
};

/// The best instruction set of this machine, within the limits of cpu_info.h.
const LinearIsa& linear_isa();

bool is_packed_linear_dtype(DType dtype);
bool is_float_linear_dtype(DType dtype);

}  // namespace tattletale::cpu

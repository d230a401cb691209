// Records kernel launches from tensors: picks the specialisation from their dtypes, checks their shapes,
// fills in parameters. Models speak to this and never see a dtype, a quantization format or a backend.
#pragma once

#include <array>

#include "device/device_tensor.h"
#include "kernels/embed.h"
#include "kernels/kernel_cache.h"
#include "kernels/linear.h"
#include "kernels/paged_attention.h"
#include "kernels/rms_norm.h"
#include "kernels/rope_append.h"

namespace tattletale {

/// One matrix of a linear launch. weight [N, K]; bias [N] f32 or absent.
struct LinearWeight {
  DeviceTensor weight;
  DeviceTensor bias;
};

/// K and V of one layer, [num_pages, Hkv, page_tokens, D] each, same dtype.
struct KvLayer {
  DeviceTensor k;
  DeviceTensor v;
};

/// The tables of one ragged batch on the device. See kernels/paged_attention.h and rope_append.h.
struct BatchTables {
  DeviceTensor token_ids;   // [T] u32
  DeviceTensor positions;   // [T] u32
  DeviceTensor kv_slots;    // [T] u64
  DeviceTensor sequences;   // [S * 4] u32: BatchSequence
  DeviceTensor page_table;  // [*] u32
  DeviceTensor ready;       // [*, D] f32 or absent
  uint32_t num_tokens = 0;
  uint32_t num_sequences = 0;
};

/// Per-head norm and rotation of one layer.
struct RopeSettings {
  RopeLayout layout = RopeLayout::half;
  DeviceTensor inv_freq;  // [rotary_dim / 2] f32
  float factor = 1.0f;
  DeviceTensor q_norm, k_norm;  // [D] f32 or absent
  float norm_eps = 0.0f;
  float norm_weight_offset = 0.0f;
};

struct HeadShape {
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
};

/// Every method appends one launch; what it computes is in the kernel's header. Shapes that do not fit are a
/// broken invariant (the model checked them at load); an unsupported specialisation is an Error.
class OpRecorder {
 public:
  OpRecorder(KernelCache& kernels, CommandList& list) : kernels_(kernels), list_(list) {}

  Result<void> embed(const BatchTables& batch, const DeviceTensor& table, float scale,
                     const DeviceTensor& out);
  Result<void> rms_norm(const DeviceTensor& x, const DeviceTensor& weight, float eps, float weight_offset,
                        const DeviceTensor& y, bool add);
  Result<void> linear(const DeviceTensor& x, std::span<const LinearWeight> weights, LinearEpilogue epilogue,
                      const DeviceTensor& y);
  Result<void> rope_append(const BatchTables& batch, const DeviceTensor& qkv, const HeadShape& heads,
                           const RopeSettings& rope, const KvLayer& kv);
  Result<void> paged_attention(const BatchTables& batch, const DeviceTensor& qkv, const HeadShape& heads,
                               const KvLayer& kv, float scale, uint32_t window, const DeviceTensor& out);
  /// copies [C] KvRowsCopy; `num_copies` of them count.
  Result<void> copy_kv_rows(const DeviceTensor& copies, uint32_t num_copies, const KvLayer& kv);
  Result<void> argmax(const DeviceTensor& x, const DeviceTensor& out);
  Result<void> gather_rows(const DeviceTensor& rows, const DeviceTensor& x, const DeviceTensor& out);

 private:
  template <class Comptime, class Params>
  Result<void> record(const KernelContract& contract, const Comptime& comptime, const Params& params,
                      std::span<const DeviceTensor> bindings);

  KernelCache& kernels_;
  CommandList& list_;
};

}  // namespace tattletale

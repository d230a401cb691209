// The bodies behind linear's plan (linear_portable.cpp), one file each.
#pragma once

#include "kernels/linear.h"
#include "kernels/portable.h"

namespace tattletale {

/// linear_rows.cpp: few rows of x; a subgroup, or several, reads a few rows of the weights once. Takes every
/// shape and dtype. Bindings: x, y, the weights, then the biases that are there. Grid: (row blocks, groups of
/// x rows).
struct LinearRowsComptime {
  uint8_t num_weights = 1;
  LinearEpilogue epilogue = LinearEpilogue::store;
  DType dtype[3] = {DType::f32, DType::f32, DType::f32};
  uint8_t has_bias[3] = {0, 0, 0};
  uint8_t chunk = 8;        // numbers a lane takes at once: 8 or 1
  uint8_t aligned_x = 1;    // x may be read in vectors
  uint8_t weight_rows = 2;  // of each subgroup
  uint8_t x_rows = 1;       // of each workgroup
  uint8_t num_subgroups = 4;
  uint8_t split = 1;  // subgroups that share a weight row, each with its own part of it
  uint8_t unroll = 4;
};
extern const KernelBody kLinearRows;
constexpr uint32_t linear_rows_block(const LinearRowsComptime& c) {
  return uint32_t{c.num_subgroups} / c.split * c.weight_rows;
}

/// linear_tile.cpp: many rows of x without matrix units; tiles of 64 x 64 in workgroup memory.
/// in_dim: a multiple of 16; x aligned. Bindings as above, one weight (two when gated) at a time.
/// Grid: (column tiles, row tiles).
struct LinearTileComptime {
  LinearEpilogue epilogue = LinearEpilogue::store;
  DType dtype[2] = {DType::f32, DType::f32};
  uint8_t has_bias[2] = {0, 0};
};
struct LinearTileParams {
  uint32_t num_rows = 0;
  uint32_t in_dim = 0;
  uint32_t out_dim = 0;
  uint32_t x_stride = 0;
  uint32_t y_stride = 0;
  uint32_t y_column = 0;  // where the matrix's columns start in y
};
inline constexpr uint32_t kLinearTileDim = 64;
extern const KernelBody kLinearTile;

/// linear_matrix.cpp: many rows of x on matrix units. Bindings: x as 16-bit rows (kRoundRows), y, the 16-bit
/// matrices, the biases that are there. in_dim: a multiple of depth. Grid: (row tiles, column tiles of each
/// matrix in turn; gated, of both at once).
struct LinearMatrixComptime {
  uint8_t num_weights = 1;
  LinearEpilogue epilogue = LinearEpilogue::store;
  DType element = DType::bf16;  // f16 or bf16
  uint8_t has_bias[3] = {0, 0, 0};
  uint8_t subgroups_m = 2, subgroups_n = 4;  // how the tile is shared out
  uint8_t depth = 64;                        // of a stage along in_dim
  uint8_t stages = 3;
  uint16_t tile_m = 128;  // rows of x
  uint16_t tile_n = 256;  // rows of the weights; gated, half of them of each matrix
};
extern const KernelBody kLinearMatrix;

/// Rows of f32 as dense 16-bit rows. dim: a multiple of 8. Bindings: x, out. Grid: (chunks of 8, rows).
struct RoundRowsComptime {
  DType element = DType::bf16;
};
struct RoundRowsParams {
  uint32_t num_rows = 0;
  uint32_t dim = 0;
  uint32_t stride = 0;  // of x
};
extern const KernelBody kRoundRows;

/// dequantize_matrix.cpp: a stored matrix as dense 16-bit rows. Bindings: matrix, out. Grid: (chunks of 8,
/// rows).
struct DequantizeComptime {
  DType dtype = DType::f32;
  DType element = DType::f16;
};
struct DequantizeParams {
  uint32_t rows = 0;
  uint32_t columns = 0;
};
extern const KernelBody kDequantizeMatrix;

constexpr bool is_gated(LinearEpilogue epilogue) {
  return epilogue == LinearEpilogue::silu_mul || epilogue == LinearEpilogue::gelu_tanh_mul;
}

}  // namespace tattletale

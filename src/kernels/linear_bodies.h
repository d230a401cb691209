// The bodies behind linear's plan (linear_portable.cpp), one file each.
#pragma once

#include "kernels/linear.h"
#include "kernels/portable.h"

namespace tattletale {

/// linear_rows.cpp: few rows of x; each subgroup reads a few rows of the weights once. Takes every shape and
/// dtype. Bindings: x, y, the weights, then the biases that are there. Grid: (row blocks, groups of x rows).
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
  uint8_t unroll = 4;
};
extern const KernelBody kLinearRows;
constexpr uint32_t linear_rows_block(const LinearRowsComptime& c) {
  return uint32_t{c.num_subgroups} * c.weight_rows;
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

constexpr bool is_gated(LinearEpilogue epilogue) {
  return epilogue == LinearEpilogue::silu_mul || epilogue == LinearEpilogue::gelu_tanh_mul;
}

}  // namespace tattletale

// Which body computes a linear launch on an accelerator.
#include <algorithm>

#include "kernels/body_parts.h"
#include "kernels/linear_bodies.h"
#include "kernels/matrix_reader.h"

namespace tattletale {
namespace {

/// Rows of x up to which reading the weights once per group of rows is the best there is.
constexpr uint32_t kFewRows = 8;

struct Launch {
  const LaunchRequest& request;
  const LinearComptime& c;
  const LinearParams& p;

  bool aligned_x() const { return p.x_stride % 4 == 0 && request.aligned(0); }
  bool has_bias(uint32_t i) const { return request.present(5 + i); }
};

Stage rows_stage(const Launch& l) {
  const ir::TargetInfo& target = l.request.target;
  LinearRowsComptime c{.num_weights = l.c.num_weights, .epilogue = l.c.epilogue};
  for (uint32_t i = 0; i < 3; ++i) {
    c.dtype[i] = l.c.weight_dtype[i];
    c.has_bias[i] = l.has_bias(i);
  }
  c.chunk = l.p.in_dim % 8 == 0 ? 8 : 1;
  c.aligned_x = l.aligned_x();
  c.x_rows = static_cast<uint8_t>(std::min(l.p.num_rows, kFewRows));
  uint32_t total_rows = 0;
  for (uint32_t i = 0; i < (is_gated(c.epilogue) ? 1u : c.num_weights); ++i) total_rows += l.p.out_dim[i];
  const uint32_t threads = std::max(target.is_cpu ? 32u : 128u, target.subgroup_size);
  c.num_subgroups = static_cast<uint8_t>(std::min(threads / target.subgroup_size, 64u));
  if (target.is_cpu) {
    c.weight_rows = c.x_rows <= 4 && !is_gated(c.epilogue) ? 2 : 1;
  } else {
    // Enough subgroups to hide the latency of memory, and short enough a walk along a row for each lane.
    const uint32_t wanted = target.num_processors * 32,
                   steps = div_up(l.p.in_dim / c.chunk, target.subgroup_size);
    while (c.split * 2 <= c.num_subgroups && steps > c.split &&
           (total_rows * c.split < wanted || steps > 16u * c.split)) {
      c.split *= 2;
    }
  }
  // Wide vocabularies must stay within the grid's limit.
  while (div_up(total_rows, linear_rows_block(c)) + 3 > kMaxWorkgroups) c.weight_rows *= 2;
  // A lane keeps this many loads in flight.
  c.unroll = static_cast<uint8_t>(target.is_cpu ? 1 : std::max(1u, 8u / (c.x_rows * c.weight_rows)));
  const uint32_t block = linear_rows_block(c);
  uint32_t blocks = 0;
  for (uint32_t i = 0; i < (is_gated(c.epilogue) ? 1u : c.num_weights); ++i)
    blocks += div_up(l.p.out_dim[i], block);
  Stage stage{.body = &kLinearRows};
  stage.comptime.set(c);
  stage.params.set(l.p);
  stage.workgroups = {blocks, div_up(l.p.num_rows, c.x_rows), 1};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1)};
  for (uint32_t i = 0; i < c.num_weights; ++i) stage.bindings.push_back(StageBinding::launch(2 + i));
  for (uint32_t i = 0; i < c.num_weights; ++i) {
    if (c.has_bias[i] != 0) stage.bindings.push_back(StageBinding::launch(5 + i));
  }
  return stage;
}

/// Matrix `i`, or both when gated, on tiles.
Stage tile_stage(const Launch& l, uint32_t i, uint32_t y_column) {
  const uint32_t num_matrices = is_gated(l.c.epilogue) ? 2 : 1;
  LinearTileComptime c{.epilogue = l.c.epilogue};
  Stage stage{.body = &kLinearTile};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1)};
  for (uint32_t m = 0; m < num_matrices; ++m) {
    c.dtype[m] = l.c.weight_dtype[i + m];
    c.has_bias[m] = l.has_bias(i + m);
    stage.bindings.push_back(StageBinding::launch(2 + i + m));
  }
  for (uint32_t m = 0; m < num_matrices; ++m) {
    if (c.has_bias[m] != 0) stage.bindings.push_back(StageBinding::launch(5 + i + m));
  }
  stage.comptime.set(c);
  stage.params.set(LinearTileParams{.num_rows = l.p.num_rows,
                                    .in_dim = l.p.in_dim,
                                    .out_dim = l.p.out_dim[i],
                                    .x_stride = l.p.x_stride,
                                    .y_stride = l.p.y_stride,
                                    .y_column = y_column});
  stage.workgroups = {div_up(l.p.out_dim[i], kLinearTileDim), div_up(l.p.num_rows, kLinearTileDim), 1};
  return stage;
}

/// How the matrix units see a weight: plain 16-bit ones as they are, packed ones as f16.
std::optional<DType> matrix_element(DType dtype) {
  if (dtype == DType::bf16) return DType::bf16;
  if (dtype == DType::f16 || dtype_info(dtype).packed) return DType::f16;
  return std::nullopt;
}

/// The tile for a launch; nothing when the matrix units cannot take it.
std::optional<LinearMatrixComptime> matrix_tile(const Launch& l) {
  const ir::TargetInfo& target = l.request.target;
  const std::optional<DType> element = matrix_element(l.c.weight_dtype[0]);
  if (!element || !l.aligned_x()) return std::nullopt;
  for (uint32_t i = 1; i < l.c.num_weights; ++i) {
    if (matrix_element(l.c.weight_dtype[i]) != element) return std::nullopt;
  }
  const ir::FragmentTier tier = *element == DType::f16 ? target.f16_fragments : target.bf16_fragments;
  if (tier == ir::FragmentTier::none || target.subgroup_size != 32) return std::nullopt;
  LinearMatrixComptime c{.num_weights = l.c.num_weights, .epilogue = l.c.epilogue, .element = *element};
  const auto bytes = [&] { return c.stages * (c.tile_m + c.tile_n) * (c.depth + 8u) * 2u; };
  if (l.p.num_rows <= 64) c.tile_m = 64, c.subgroups_m = 1, c.tile_n = 128;
  if (l.p.in_dim % c.depth != 0 || bytes() > target.max_shared_bytes) c.depth = 32;
  if (bytes() > target.max_shared_bytes) c.tile_n = 128, c.stages = 2;
  if (l.p.in_dim % c.depth != 0 || bytes() > target.max_shared_bytes) return std::nullopt;
  return c;
}

/// x rounded to 16 bits, packed weights written out, and one product of them all.
LaunchPlan matrix_plan(const Launch& l, LinearMatrixComptime c) {
  const ir::TargetInfo& target = l.request.target;
  LaunchPlan plan;
  const StageBinding x = plan.scratch(uint64_t{l.p.num_rows} * l.p.in_dim * 2);
  Stage round{.body = &kRoundRows};
  round.comptime.set(RoundRowsComptime{c.element});
  round.params.set(RoundRowsParams{l.p.num_rows, l.p.in_dim, l.p.x_stride});
  round.workgroups = {div_up(l.p.in_dim / 8, preferred_threads(target, 256)),
                      std::min(l.p.num_rows, kMaxWorkgroups), 1};
  round.bindings = {StageBinding::launch(0), x};
  plan.stages.push_back(std::move(round));

  const auto weight = [&](uint32_t i) {
    if (!dtype_info(l.c.weight_dtype[i]).packed) return StageBinding::launch(2 + i);
    const StageBinding out = plan.scratch(uint64_t{l.p.out_dim[i]} * l.p.in_dim * 2);
    Stage dequantize{.body = &kDequantizeMatrix};
    dequantize.comptime.set(DequantizeComptime{l.c.weight_dtype[i], c.element});
    dequantize.params.set(DequantizeParams{l.p.out_dim[i], l.p.in_dim});
    dequantize.workgroups = {div_up(l.p.in_dim / 8, preferred_threads(target, 128)),
                             std::min(l.p.out_dim[i], kMaxWorkgroups), 1};
    dequantize.bindings = {StageBinding::launch(2 + i), out};
    plan.stages.push_back(std::move(dequantize));
    return out;
  };
  Stage product{.body = &kLinearMatrix};
  product.bindings = {x, StageBinding::launch(1)};
  const uint32_t each = is_gated(c.epilogue) ? 2 : 1;
  uint32_t column_tiles = 0;
  for (uint32_t i = 0; i < c.num_weights; ++i) {
    product.bindings.push_back(weight(i));
    c.has_bias[i] = l.has_bias(i);
    if (i % each == 0) column_tiles += div_up(l.p.out_dim[i], c.tile_n / each);
  }
  for (uint32_t i = 0; i < c.num_weights; ++i) {
    if (c.has_bias[i] != 0) product.bindings.push_back(StageBinding::launch(5 + i));
  }
  product.comptime.set(c);
  product.params.set(l.p);
  product.workgroups = {div_up(l.p.num_rows, c.tile_m), column_tiles, 1};
  plan.stages.push_back(std::move(product));
  return plan;
}

}  // namespace

Result<LaunchPlan> plan_linear(const LaunchRequest& request) {
  const Launch l{request, *static_cast<const LinearComptime*>(request.comptime),
                 *static_cast<const LinearParams*>(request.params)};
  for (uint32_t i = 0; i < l.c.num_weights; ++i) {
    if (is_readable_matrix(l.c.weight_dtype[i])) continue;
    return make_error(ErrorKind::unsupported, "linear",
                      "weights of " + std::string(dtype_name(l.c.weight_dtype[i])) + " cannot be read on " +
                          request.target.name);
  }
  if (l.p.num_rows > kFewRows) {
    if (const std::optional<LinearMatrixComptime> c = matrix_tile(l)) return matrix_plan(l, *c);
  }
  LaunchPlan plan;
  const bool tiles = l.p.num_rows > kFewRows && l.p.in_dim % 16 == 0 && l.aligned_x();
  if (!tiles) {
    plan.stages.push_back(rows_stage(l));
    return plan;
  }
  uint32_t y_column = 0;
  for (uint32_t i = 0; i < (is_gated(l.c.epilogue) ? 1u : l.c.num_weights); ++i) {
    plan.stages.push_back(tile_stage(l, i, y_column));
    y_column += l.p.out_dim[i];
  }
  return plan;
}

}  // namespace tattletale

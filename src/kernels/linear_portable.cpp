// Which body computes a linear launch on an accelerator.
#include <algorithm>

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
  // At least eight weight rows a workgroup, so that the largest vocabularies stay within the grid's limit.
  const uint32_t threads = std::max(target.is_cpu ? 32u : 128u, target.subgroup_size);
  c.num_subgroups = static_cast<uint8_t>(std::min(threads / target.subgroup_size, 64u));
  const uint32_t least_rows = c.x_rows > 4 || is_gated(c.epilogue) ? 1 : 2;
  c.weight_rows = static_cast<uint8_t>(std::max(least_rows, div_up(8, c.num_subgroups)));
  c.unroll = static_cast<uint8_t>(c.x_rows > 2 ? 1 : 2);
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

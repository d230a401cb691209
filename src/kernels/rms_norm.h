// Root-mean-square normalisation of rows, optionally added to a residual stream.
#pragma once

#include "kernels/kernel_contract.h"

namespace tattletale {

/// y[t, d] = (add ? y[t, d] : 0) + x[t, d] * rsqrt(mean_d(x[t]^2) + eps) * (weight[d] + weight_offset)
///   0 x [T, D] f32, row stride x_stride     1 weight [D] f32     2 y [T, D] f32, may alias x when add is 0
///   eps > 0, dimensionless. weight_offset is 1 for checkpoints that store the weight minus one (Gemma).
/// Source: Zhang & Sennrich 2019, arXiv:1910.07467, sec. 4.
struct RmsNormComptime {
  uint32_t add = 0;
};
struct RmsNormParams {
  uint32_t num_rows = 0;  // T
  uint32_t dim = 0;       // D
  uint32_t x_stride = 0;  // elements between rows of x
  float eps = 0.0f;
  float weight_offset = 0.0f;
};
extern const KernelContract kRmsNormContract;
Result<LaunchPlan> plan_rms_norm(const LaunchRequest& request);

}  // namespace tattletale

// The likeliest token of each row of logits, so that greedy decoding brings back a number and not a
// vocabulary.
#pragma once

#include "kernels/kernel_contract.h"

namespace tattletale {

/// out[r] = the least i with x[r, i] = max_j x[r, j]
///   0 x [R, N] f32, N >= 1; NaN counts as minus infinity, a row of nothing else gives 0     1 out [R] u32
struct ArgmaxComptime {
  uint32_t unused = 0;
};
struct ArgmaxParams {
  uint32_t num_rows = 0;  // R
  uint32_t dim = 0;       // N
};
extern const KernelContract kArgmaxContract;
Result<LaunchPlan> plan_argmax(const LaunchRequest& request);

}  // namespace tattletale

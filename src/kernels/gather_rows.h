// Picks rows of a matrix, e.g. the positions whose logits are wanted.
#pragma once

#include "kernels/kernel_contract.h"

namespace tattletale {

/// out[i, :] = x[rows[i], :]
///   0 rows [R] u32, each < T     1 x [T, D] f32     2 out [R, D] f32, must not alias x
struct GatherRowsComptime {
  uint32_t unused = 0;
};
struct GatherRowsParams {
  uint32_t num_rows = 0;  // R
  uint32_t dim = 0;       // D
};
extern const KernelContract kGatherRowsContract;
Result<LaunchPlan> plan_gather_rows(const LaunchRequest& request);

}  // namespace tattletale

// Says whether a kernel is well formed and whether a target can run it. A kernel that passes means the same
// on every target: types, SSA dominance, ranges, features and limits, and uniformity by the strictest
// target's rules (ir/uniformity.h). What only run time knows (indices, races) is the interpreter's part.
#pragma once

#include "base/error.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::ir {

inline constexpr uint32_t kMaxParamWords = 16;  // the device contract's 64 bytes of parameters
inline constexpr uint32_t kMaxNesting = 64;     // regions inside regions; WGSL stops at 127

/// Errors: invalid_argument for a kernel that no target may run, unsupported for an operation that `target`
/// lacks, limit_exceeded for its limits. `where` is the kernel's name; `what` starts with the source line and
/// the operation. Instructions that no region lists are dead and not looked at.
Result<void> verify(const Kernel& kernel, const TargetInfo& target);

/// All of verify() but uniformity.
Result<void> verify_form(const Kernel& kernel, const TargetInfo& target);

}  // namespace tattletale::ir

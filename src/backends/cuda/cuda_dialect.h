// CUDA C++ as a dialect of compiler/c_printer.h, without any header: NVRTC finds none on a bare machine, and
// parsing them takes longer than compiling a kernel. Halves are bits in u32, converted by inline PTX.
#pragma once

#include "base/error.h"
#include "compiler/c_printer.h"
#include "ir/target_info.h"

namespace tattletale::cuda {

/// CUDA C++ of one kernel: `extern "C" __global__ void <entry_point>(pointers..., tt_params by value)`.
/// Workgroup memory above 48 KiB is dynamic: a launch passes Kernel::shared_bytes() either way in that case.
/// Errors: unsupported when the kernel does not fit the target (subgroup size, threads, shared memory).
Result<compiler::CSource> print_cuda(const ir::Kernel& kernel, const ir::TargetInfo& target);

/// What NVRTC can compile for, whether or not such a card is here. `compute_capability`: 90 for sm_90.
/// num_processors is left at 1.
ir::TargetInfo cuda_target_info(uint32_t compute_capability);

/// Above this a kernel's arena is dynamic shared memory, which CUDA wants to be asked for.
inline constexpr uint32_t kMaxStaticSharedBytes = 48 * 1024;

}  // namespace tattletale::cuda

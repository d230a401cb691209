// OpenCL C 1.2 as a dialect of compiler/c_printer.h. A kernel's arguments are, for each binding, a buffer and
// the byte offset of the slice in it (64 bits), then the parameters as one struct by value.
#pragma once

#include "base/error.h"
#include "compiler/c_printer.h"
#include "ir/target_info.h"

namespace tattletale::opencl {

/// The text of one kernel and the source line of each of its lines. See emit_opencl (opencl_device.h).
Result<compiler::CSource> print_opencl(const ir::Kernel& kernel, const ir::TargetInfo& target);

/// Options of every build. No fast-math switch: an engine promises the same tokens from the same input, and
/// they allow a compiler to assume that no infinity or NaN occurs. No warnings: PoCL prints their number.
inline constexpr const char* kBuildOptions = "-cl-std=CL1.2 -w";

/// Part of the identity of compiled programs: raised when the text of the same kernel changes.
inline constexpr uint32_t kEmitterVersion = 1;

}  // namespace tattletale::opencl

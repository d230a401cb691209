// The library of the OpenCL C dialect: what compiler/c_printer.h's text calls, in two tables.
#pragma once

#include <span>
#include <string_view>

#include "compiler/c_printer.h"

namespace tattletale::opencl {

/// The scalar typedefs and TT_FN.
std::string_view opencl_prologue();

/// OpenCL C 1.2 without any extension; no subgroup operations and fragments. Halves through vload_half and
/// vstore_half, which are core; bf16 by integers.
std::span<const compiler::CSnippet> opencl_snippets();

/// What goes before it on NVIDIA's compiler: memory operations in inline PTX, which name address spaces and
/// so cannot be shared with CUDA C++. Register operations are compiler::ptx_snippets(). Needs sm_80.
std::span<const compiler::CSnippet> nvidia_opencl_snippets();

}  // namespace tattletale::opencl

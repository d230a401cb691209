// Operations on registers in inline PTX, for every C dialect that NVIDIA's compilers read: CUDA C++ and their
// OpenCL C. Memory access is not here: it depends on how a dialect spells address spaces.
// Needs sm_80. Source: Parallel Thread Execution ISA 8.x, "Instruction Set".
#pragma once

#include <span>

#include "compiler/c_printer.h"

namespace tattletale::compiler {

/// Uses TT_FN (qualifiers of a function), the scalar typedefs and nothing else of the dialect.
/// Fragments are m16n8k16 fragments, two of them side by side for 16x16x16; g = lane / 4, t = lane % 4.
///   accumulator x[8]: numbers 0,1 at (g, 2t) (g, 2t+1); 2,3 at row g+8; 4..7 the same at column + 8
///   a x[4]: pairs at (g, 2t) (g+8, 2t) (g, 2t+8) (g+8, 2t+8); b x[4]: pairs along k at (k = 2t, n = g)
///   (k = 2t+8, n = g) and the same at n + 8
std::span<const CSnippet> ptx_snippets();

}  // namespace tattletale::compiler

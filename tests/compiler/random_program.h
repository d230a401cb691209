// Random kernels in the shapes that passes look for: constants everywhere, divisions by constants, adjacent
// accesses, guards, nested loops with hints, locals, shared arrays in turns. Free of races and of undefined
// results, so the interpreter's answer is the only one. (tests/ir/random_kernel draws more kinds of
// operations, less pointedly.)
#pragma once

#include <cstdint>
#include <vector>

#include "ir/kernel.h"

namespace tattletale::compiler {

inline constexpr uint32_t kProgramSubgroup = 8;
inline constexpr uint32_t kProgramParams = 4;
inline constexpr uint32_t kProgramInputWords = 256;  // binding 0, read
inline constexpr uint32_t kProgramThreadWords = 32;  // binding 1, written: each thread's own words

/// A kernel of one binding to read and one to write, and kProgramParams parameters, for up to 2 workgroups.
/// `size` is about the number of statements.
ir::Kernel random_program(uint32_t seed, uint32_t size);

struct ProgramInput {
  std::vector<uint32_t> params;
  std::vector<uint32_t> input;
};
/// Parameters are small, to be loop bounds; the input is a mixture of bits, small numbers and floats.
ProgramInput random_input(uint32_t seed);

}  // namespace tattletale::compiler

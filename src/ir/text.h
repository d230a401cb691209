// The text form of a kernel: one instruction a line, regions in braces. For people, tests and reports; equal
// texts are equal kernels, so its hash names a kernel.
//
//   kernel scale threads 64 subgroup 32 {
//     binding b0 x read
//     param p0 n u32
//     local l0 sum f32
//     shared s0 tile 128
//     %0 = constant f32 1.5
//     %1 = local_id u32 ; norm.cpp:12
//     %2 = load f32 f16 b0.x %1 ; norm.cpp:13        type, storage, what it touches, operands
//     %3 = for u32 @4 %1, %7, %8 { ; norm.cpp:14     @: a number; here, 4 copies when unrolled
//     }
//   }
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "ir/kernel.h"

namespace tattletale::ir {

/// Values are numbered in the order of the text; instructions that no region lists are left out. Never fails,
/// also on a kernel that verify() refuses, whose text need not parse.
std::string print(const Kernel& kernel);

/// The kernel of a text. For every sound kernel print(*parse(print(k))) == print(k), locations included.
/// Operations, types and references are looked up here; what they mean together is verify()'s part.
/// Errors: bad_file with the line number.
Result<Kernel> parse(std::string_view text);

}  // namespace tattletale::ir

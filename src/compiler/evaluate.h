// What an operation yields for constant operands, where every target agrees on it to the bit.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "ir/kernel.h"

namespace tattletale::compiler {

/// The 32 bits that `in` yields for operands of these bits and of type `operand_type` (the type of its second
/// operand for select, else of its first). None where the result is undefined (x / 0, a count of 32, a float
/// out of an integer's range), approximate (exp2), or no finite normal float: NaN, infinity and subnormals
/// are left to run time, because targets may flush them and WGSL refuses them as constants.
std::optional<uint32_t> evaluate(const ir::Instruction& in, ir::Type operand_type,
                                 const std::array<uint32_t, 4>& operands);

/// Finite and not subnormal, zero included.
bool is_plain_float(uint32_t bits);

}  // namespace tattletale::compiler

// What is known about a value while compiling: its constant, or its remainder by a power of two.
#pragma once

#include <cstdint>
#include <optional>

#include "ir/kernel.h"

namespace tattletale::ir {

/// The 32 bits of a value that is Op::constant itself.
std::optional<uint32_t> constant_of(const Kernel& kernel, Value value);

/// value % modulus where the expression shows it: constants, sums, differences, products, shifts, masks.
/// `modulus` is a power of two, so wrapping does not matter.
std::optional<uint32_t> residue_of(const Kernel& kernel, Value value, uint32_t modulus);

}  // namespace tattletale::ir

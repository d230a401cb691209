// Checks SPIR-V modules: by spirv-val where it is installed, and by the few rules that hold for every module,
// also for those with cooperative matrices, which the validator of Debian 12 does not know.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace tattletale::test {

/// The year of spirv-val's release, 0 when it is not installed. 2025's knows cooperative matrices of bf16.
int spirv_val_year();

/// What spirv-val says of a module, "" when it is valid.
std::string spirv_val(std::span<const uint32_t> words);

/// The first broken rule, "" when there is none: header, instruction lengths, section order, every id defined
/// once and below the bound, every block closed by one terminator, merge blocks that exist.
std::string check_structure(std::span<const uint32_t> words);

}  // namespace tattletale::test

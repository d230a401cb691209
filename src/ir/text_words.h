// The words that printing and parsing of kernels share.
#pragma once

#include <string>
#include <string_view>

#include "ir/type.h"

namespace tattletale::ir {

inline constexpr std::string_view kUseNames[] = {"a", "b", "accumulator"};

/// "1.5", "-7", "true"; bits in hexadecimal where nothing else is exact (NaN, infinity).
std::string constant_text(Type type, uint32_t bits);
/// "f32x4", "fragment.a.f16".
std::string type_text(Type type);

/// Letters, digits, `_`, `.`, `-`, `+`: needs no quotes.
bool is_plain_name(std::string_view name);
/// The name, or the name in quotes with \hh for what would end it.
std::string name_text(std::string_view name);

}  // namespace tattletale::ir

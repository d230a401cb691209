// Text that came out of a file: whether it is UTF-8, and how to show it in an error message.
#pragma once

#include <string>
#include <string_view>

namespace tattletale {

/// Well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
bool is_utf8(std::string_view text);

/// The text in double quotes, cut to 80 bytes, with bytes outside printable ASCII written as \xNN.
std::string quote_for_error(std::string_view text);

}  // namespace tattletale

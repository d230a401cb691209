// Small functions on text that several builtins share. They know nothing of templates and have no limits of
// their own: the caller reserves for the result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tattletale::jinja {

/// The five characters HTML cares about, as markupsafe writes them. At most five bytes per byte.
std::string escape_html(std::string_view text);

/// text.find(needle, from) in time linear in both sizes, for any input.
size_t find_text(std::string_view text, std::string_view needle, size_t from = 0);

/// How often `needle` stands in `text`, without overlap; characters + 1 for an empty needle.
uint64_t count_matches(std::string_view text, std::string_view needle);

/// Replaces the first `count` (all when negative) matches, as Python's str.replace.
std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t count);

/// int(text, base) and float(text) as Python reads them; nothing where Python raises ValueError. `overflow`
/// is set where the text is an integer that does not fit in 64 bits.
std::optional<int64_t> parse_int(std::string_view text, int base, bool& overflow);
std::optional<double> parse_real(std::string_view text);

/// Pads to `width` characters: '<', '>', '^', or 'c' for str.center's rounding.
std::string pad(std::string_view text, int64_t width, char align, std::string_view fill);

}  // namespace tattletale::jinja

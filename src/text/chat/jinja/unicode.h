// Characters of UTF-8 text as Python's str sees them. A byte that is not part of valid UTF-8 is one character
// of its own, kept as it is, so that every function here is total and length-preserving for such bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tattletale::jinja {

/// One decoded character: its code point (0x110000 + byte for a broken byte) and how many bytes it takes.
struct Character {
  uint32_t code;
  uint32_t num_bytes;
};

/// The character at `position` < text.size().
Character character_at(std::string_view text, size_t position);
void append_character(std::string& out, uint32_t code);
size_t count_characters(std::string_view text);
/// The byte position of character `index`, or text.size() past the end.
size_t byte_position(std::string_view text, size_t index);

bool is_space(uint32_t code);
bool is_line_break(uint32_t code);
bool is_alphabetic(uint32_t code);
bool is_decimal(uint32_t code);
bool is_digit(uint32_t code);
bool is_numeric(uint32_t code);
bool is_printable(uint32_t code);
bool is_lowercase(uint32_t code);
bool is_uppercase(uint32_t code);
bool is_titlecase(uint32_t code);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);

/// The text without leading / trailing characters of `set`, or whitespace where `set` is null.
std::string_view strip(std::string_view text, const std::string_view* set, bool left, bool right);

/// Lines without their ends, or with them.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace tattletale::jinja

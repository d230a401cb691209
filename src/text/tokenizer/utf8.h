// Small UTF-8 steps for the tokenizers. The fast readers trust their input to be valid; make_valid_utf8 is
// what makes it so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tattletale {

struct CodePoint {
  uint32_t value;
  uint32_t length;  // bytes
};

/// The code point at text[at]; the text is valid UTF-8 and `at` starts a character.
inline CodePoint read_code_point(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[at + i])); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// Bytes of the character that starts with `first`, in valid UTF-8.
inline size_t utf8_length(char first) {
  const auto byte = static_cast<uint8_t>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

inline bool is_continuation(char byte) {
  return (static_cast<uint8_t>(byte) & 0xC0) == 0x80;
}

void append_code_point(std::string& out, uint32_t code_point);

enum class Utf8Check { valid, invalid, unfinished };
struct Utf8Step {
  Utf8Check check;
  size_t length;  // the character, or the maximal invalid part (at least 1)
};
/// Looks at the bytes from `at` without trusting them. `unfinished`: a good beginning cut off by the end.
Utf8Step check_utf8(std::string_view bytes, size_t at);

bool is_valid_utf8(std::string_view bytes);

/// Copies `bytes` with every maximal invalid part replaced by U+FFFD (Unicode 3.9, the WHATWG practice).
std::string make_valid_utf8(std::string_view bytes);

}  // namespace tattletale

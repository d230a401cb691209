// Character classes, normal forms and lower case for the tokenizers, from the generated unicode_tables.cpp.
// Everything expects valid UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/utf8.h"

namespace tattletale {

// One bit a class. The first four are a regex engine's \p{L} \p{N} \s \p{M}; the *_step ones are what the
// pre-tokenizer steps Digits and Punctuation look for; word is \w.
enum CharClass : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,
  kMark = 8,
  kDigitStep = 16,
  kPunctuationStep = 32,
  kWord = 64,
  kUpper = 128,  // \p{Lu} or \p{Lt}
};

/// The classes of every code point, as a two-level table.
class CharClasses {
 public:
  static const CharClasses& get();
  uint8_t ascii(uint8_t byte) const { return ascii_[byte]; }
  uint8_t of(uint32_t code_point) const {
    return blocks_[block_of_[code_point >> 7] * 128 + (code_point & 127)];
  }

  /// The classes of the character at text[at] and its length in bytes.
  struct Char {
    uint8_t flags;
    uint32_t length;
  };
  Char at(std::string_view text, size_t at) const {
    const auto first = static_cast<uint8_t>(text[at]);
    if (first < 0x80) return {ascii_[first], 1};
    const CodePoint c = read_code_point(text, at);
    return {of(c.value), c.length};
  }

 private:
  CharClasses();
  std::array<uint8_t, 256> ascii_{};
  std::array<uint16_t, 0x110000 / 128> block_of_{};
  std::vector<uint8_t> blocks_;
};

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// The normal form of `text`. Linear apart from sorting runs of combining marks.
std::string normalize_unicode(std::string_view text, NormalForm form);

/// Full lower case of each character by itself (no final-sigma rule).
std::string lowercase_unicode(std::string_view text);

}  // namespace tattletale

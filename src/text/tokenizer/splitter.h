// Cutting a text into the pieces that are tokenized on their own. A Splitter stands for one pattern; the
// patterns of well-known models have hand-made ones, all others go through PCRE2 (in a browser: RegExp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"

namespace tattletale {

/// A stretch of text that ends at `end` and starts where the piece before it ended.
struct Piece {
  uint32_t end;
  bool is_match;  // matched by the pattern, or a gap between matches
};

/// Immutable; many threads may split at once.
class Splitter {
 public:
  virtual ~Splitter() = default;

  /// Writes the pieces of text[begin..] in order, as many as fit, and returns their number; 0 only at the
  /// end of the text. A later call begins at the last `end`. Pieces cover the text without holes.
  /// `text` is valid UTF-8 below 4 GiB; what stands before `begin` is not looked at.
  /// Errors: limit_exceeded when the pattern needs too much work.
  virtual Result<size_t> split(std::string_view text, size_t begin, std::span<Piece> out) const = 0;
};

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The hand-made splitter that equals `pattern`, or null when there is none.
std::unique_ptr<Splitter> make_known_splitter(std::string_view pattern);

/// Digits one by one, then kGpt2Pattern inside what is between them (SmolLM, StarCoder).
std::unique_ptr<Splitter> make_digits_gpt2_splitter();

enum class ClassSplit {
  digits,       // each number character is a match
  digit_runs,   // each run of number characters is a match
  punctuation,  // each punctuation character is a match
  whitespace,   // each white space character is a match
  words,        // runs of word characters and runs of neither word nor space are matches
};
std::unique_ptr<Splitter> make_class_splitter(ClassSplit split);

/// Every occurrence of `text` is a match. `text` is not empty.
std::unique_ptr<Splitter> make_literal_splitter(std::string_view text);

/// Compiles `pattern` with PCRE2. Errors: unsupported, quoting the pattern and the place of the fault.
Result<std::unique_ptr<Splitter>> make_regex_splitter(std::string_view pattern, std::string_view where);

/// The hand-made splitter where there is one, else the regex one.
Result<std::unique_ptr<Splitter>> make_splitter(std::string_view pattern, std::string_view where);

}  // namespace tattletale

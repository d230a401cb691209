// Hand-made splitters for the patterns of well-known models, equal to the regex by construction and by test.
// Each is a function from a position to the end of the match there; every pattern here matches any text
// without gaps, so there is nothing to search for.
#include <cstring>
#include <string>

#include "text/tokenizer/splitter.h"
#include "text/tokenizer/unicode.h"

namespace tattletale {
namespace {

constexpr uint8_t kLetterNumberSpace = kLetter | kNumber | kSpace;

/// The text with its classes; what the pattern functions below are written in.
struct Scan {
  std::string_view text;
  const CharClasses& classes;

  CharClasses::Char at(size_t i) const { return classes.at(text, i); }
  bool ended(size_t i) const { return i >= text.size(); }

  /// The end of the run of characters whose flags & mask == want, from `i`.
  template <uint8_t kMask, uint8_t kWant>
  size_t run(size_t i) const {
    while (i < text.size()) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if (byte < 0x80) {
        if ((classes.ascii(byte) & kMask) != kWant) return i;
        ++i;
      } else {
        const CharClasses::Char c = classes.at(text, i);
        if ((c.flags & kMask) != kWant) return i;
        i += c.length;
      }
    }
    return i;
  }
};

/// 's 't 'm 'd 're 've 'll at `i`, where an apostrophe stands; 0 when none does.
size_t contraction(std::string_view text, size_t i) {
  if (i + 1 >= text.size()) return 0;
  const char a = text[i + 1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
  if (i + 2 >= text.size()) return 0;
  const char b = text[i + 2];
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
  return 0;
}

/// The same in any case. U+017F folds to s, so it counts as one.
size_t contraction_any_case(std::string_view text, size_t i) {
  if (i + 1 >= text.size()) return 0;
  if (i + 2 < text.size() && text[i + 1] == '\xC5' && text[i + 2] == '\xBF') return i + 3;
  const char a = static_cast<char>(text[i + 1] | 0x20);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
  if (i + 2 >= text.size()) return 0;
  const char b = static_cast<char>(text[i + 2] | 0x20);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
  return 0;
}

/// \s+(?!\S)|\s+ for the run of white space [begin, end): all but its last character, unless the run ends
/// the text or is a single character.
size_t whitespace_end(std::string_view text, size_t begin, size_t end, bool ends_text) {
  if (ends_text) return end;
  size_t last = end - 1;
  while (is_continuation(text[last])) --last;
  return last > begin ? last : end;
}

/// With kDigits, number characters stand alone and end the piece that the GPT-2 pattern sees.
template <bool kDigits>
size_t gpt2_end(const Scan& scan, size_t at) {
  const std::string_view text = scan.text;
  if (text[at] == '\'') {
    if (const size_t end = contraction(text, at)) return end;
  }
  CharClasses::Char c = scan.at(at);
  size_t i = at;
  if (kDigits && (c.flags & kDigitStep)) return at + c.length;
  if (text[at] == ' ' && !scan.ended(at + 1)) {
    const CharClasses::Char next = scan.at(at + 1);
    if (!(next.flags & kSpace) && !(kDigits && (next.flags & kDigitStep))) {
      c = next;
      i = at + 1;
    }
  }
  i += c.length;
  constexpr uint8_t kStop = kDigits ? kDigitStep : 0;
  if (c.flags & kLetter) return scan.run < kLetter | kStop, kLetter > (i);
  if (c.flags & kNumber) return scan.run < kNumber | kStop, kNumber > (i);
  if (!(c.flags & kSpace)) return scan.run < kLetterNumberSpace | kStop, 0 > (i);
  const size_t end = scan.run < kSpace | kStop, kSpace > (i);
  const bool ends_text = scan.ended(end) || (kDigits && (scan.at(end).flags & kDigitStep));
  return whitespace_end(text, at, end, ends_text);
}

template <int kMaxDigits>
size_t llama3_end(const Scan& scan, size_t at) {
  const std::string_view text = scan.text;
  const char first = text[at];
  if (first == '\'') {
    if (const size_t end = contraction_any_case(text, at)) return end;
  }
  const CharClasses::Char c = scan.at(at);
  const size_t second = at + c.length;
  if (c.flags & kLetter) return scan.run<kLetter, kLetter>(second);
  if (c.flags & kNumber) {
    size_t i = second;
    for (int n = 1; n < kMaxDigits && !scan.ended(i); ++n) {
      const CharClasses::Char next = scan.at(i);
      if (!(next.flags & kNumber)) break;
      i += next.length;
    }
    return i;
  }
  const CharClasses::Char next = scan.ended(second) ? CharClasses::Char{kSpace, 0} : scan.at(second);
  if (first != '\r' && first != '\n' && (next.flags & kLetter)) {
    return scan.run<kLetter, kLetter>(second + next.length);
  }
  const bool spaced_symbol = first == ' ' && !(next.flags & kLetterNumberSpace);
  if (spaced_symbol || !(c.flags & kSpace)) {
    size_t i = scan.run<kLetterNumberSpace, 0>(second);
    while (!scan.ended(i) && (text[i] == '\r' || text[i] == '\n')) ++i;
    return i;
  }
  const size_t end = scan.run<kSpace, kSpace>(second);
  for (size_t i = end; i > at; --i) {  // \s*[\r\n]+ : up to the last line break of the run
    if (text[i - 1] == '\r' || text[i - 1] == '\n') return i;
  }
  return whitespace_end(text, at, end, scan.ended(end));
}

using EndFunction = size_t (*)(const Scan&, size_t);

template <EndFunction kEnd>
class KnownSplitter final : public Splitter {
 public:
  Result<size_t> split(std::string_view text, size_t begin, std::span<Piece> out) const override {
    const Scan scan{text, CharClasses::get()};
    size_t count = 0;
    while (begin < text.size() && count < out.size()) {
      begin = kEnd(scan, begin);
      out[count++] = Piece{static_cast<uint32_t>(begin), true};
    }
    return count;
  }
};

class ClassSplitter final : public Splitter {
 public:
  explicit ClassSplitter(ClassSplit split) : split_(split) {}

  Result<size_t> split(std::string_view text, size_t begin, std::span<Piece> out) const override {
    const Scan scan{text, CharClasses::get()};
    size_t count = 0;
    while (begin < text.size() && count < out.size()) {
      const bool match = is_match(scan, begin);
      begin = match ? match_end(scan, begin) : gap_end(scan, begin);
      out[count++] = Piece{static_cast<uint32_t>(begin), match};
    }
    return count;
  }

 private:
  bool is_match(const Scan& scan, size_t i) const {
    const uint8_t flags = scan.at(i).flags;
    switch (split_) {
      case ClassSplit::digits:
      case ClassSplit::digit_runs: return flags & kDigitStep;
      case ClassSplit::punctuation: return flags & kPunctuationStep;
      case ClassSplit::whitespace: return flags & kSpace;
      case ClassSplit::words: return !(flags & kSpace) || (flags & kWord);
    }
    return false;
  }
  size_t match_end(const Scan& scan, size_t i) const {
    const CharClasses::Char c = scan.at(i);
    if (split_ == ClassSplit::digit_runs) return scan.run<kDigitStep, kDigitStep>(i);
    if (split_ == ClassSplit::words) {
      return c.flags & kWord ? scan.run<kWord, kWord>(i) : scan.run < kWord | kSpace, 0 > (i);
    }
    return i + c.length;
  }
  size_t gap_end(const Scan& scan, size_t i) const {
    while (!scan.ended(i) && !is_match(scan, i)) i += scan.at(i).length;
    return i;
  }
  ClassSplit split_;
};

class LiteralSplitter final : public Splitter {
 public:
  explicit LiteralSplitter(std::string_view literal) : literal_(literal) {}

  Result<size_t> split(std::string_view text, size_t begin, std::span<Piece> out) const override {
    size_t count = 0;
    size_t found = text.find(literal_, begin);
    while (begin < text.size() && count < out.size()) {
      const bool match = found == begin;
      begin = match ? begin + literal_.size() : found == std::string_view::npos ? text.size() : found;
      out[count++] = Piece{static_cast<uint32_t>(begin), match};
      if (match) found = text.find(literal_, begin);
    }
    return count;
  }

 private:
  std::string literal_;
};

}  // namespace

std::unique_ptr<Splitter> make_known_splitter(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return std::make_unique<KnownSplitter<gpt2_end<false>>>();
  if (pattern == kLlama3Pattern) return std::make_unique<KnownSplitter<llama3_end<3>>>();
  if (pattern == kQwen2Pattern) return std::make_unique<KnownSplitter<llama3_end<1>>>();
  return nullptr;
}

std::unique_ptr<Splitter> make_digits_gpt2_splitter() {
  return std::make_unique<KnownSplitter<gpt2_end<true>>>();
}

std::unique_ptr<Splitter> make_class_splitter(ClassSplit split) {
  return std::make_unique<ClassSplitter>(split);
}

std::unique_ptr<Splitter> make_literal_splitter(std::string_view text) {
  return std::make_unique<LiteralSplitter>(text);
}

Result<std::unique_ptr<Splitter>> make_splitter(std::string_view pattern, std::string_view where) {
  if (auto known = make_known_splitter(pattern)) return known;
  return make_regex_splitter(pattern, where);
}

}  // namespace tattletale

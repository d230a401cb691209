// Expands the generated Unicode tables at first use; normal forms by the algorithm of UAX #15.
#include "text/tokenizer/unicode.h"

#include <algorithm>
#include <span>
#include <unordered_map>

#include "text/tokenizer/unicode_tables.h"

namespace tattletale {

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

CharClasses::CharClasses() {
  using namespace unicode_tables;
  std::array<int32_t, 256> uniform_block;
  uniform_block.fill(-1);
  size_t run = 0;
  std::array<uint8_t, 128> block;
  for (uint32_t b = 0; b < block_of_.size(); ++b) {
    bool uniform = true;
    for (uint32_t i = 0; i < 128; ++i) {
      while (run + 1 < class_runs_count && (class_runs[run + 1] >> 8) <= b * 128 + i) ++run;
      block[i] = static_cast<uint8_t>(class_runs[run]);
      uniform = uniform && block[i] == block[0];
    }
    if (uniform && uniform_block[block[0]] >= 0) {
      block_of_[b] = static_cast<uint16_t>(uniform_block[block[0]]);
      continue;
    }
    block_of_[b] = static_cast<uint16_t>(blocks_.size() / 128);
    if (uniform) uniform_block[block[0]] = block_of_[b];
    blocks_.insert(blocks_.end(), block.begin(), block.end());
  }
  for (uint32_t c = 0; c < 128; ++c) ascii_[c] = of(c);
}

namespace {

constexpr uint32_t kHangulFirst = 0xAC00, kHangulCount = 11172;
constexpr uint32_t kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr uint32_t kNumLead = 19, kNumVowel = 21, kNumTail = 28;

using CodePoints = std::span<const uint32_t>;

std::unordered_map<uint32_t, CodePoints> read_expansions(const uint32_t* table, size_t count) {
  std::unordered_map<uint32_t, CodePoints> map;
  for (size_t i = 0; i < count;) {
    const uint32_t length = table[i] >> 24;
    map.emplace(table[i] & 0xFFFFFF, CodePoints(table + i + 1, length));
    i += 1 + length;
  }
  return map;
}

struct NormalTables {
  std::unordered_map<uint32_t, CodePoints> canonical, compat, lower;
  std::unordered_map<uint64_t, uint32_t> compose;
  std::unordered_map<uint32_t, uint8_t> combining;

  static const NormalTables& get() {
    static const NormalTables tables;
    return tables;
  }

 private:
  NormalTables() {
    using namespace unicode_tables;
    canonical = read_expansions(canonical_decompositions, canonical_decompositions_count);
    compat = read_expansions(compat_decompositions, compat_decompositions_count);
    lower = read_expansions(lower_cases, lower_cases_count);
    for (size_t i = 0; i < composition_pairs_count; i += 3) {
      compose.emplace(static_cast<uint64_t>(composition_pairs[i]) << 32 | composition_pairs[i + 1],
                      composition_pairs[i + 2]);
    }
    for (size_t i = 0; i < combining_classes_count; ++i) {
      combining.emplace(combining_classes[i] >> 8, static_cast<uint8_t>(combining_classes[i]));
    }
  }
};

struct Marked {
  uint32_t code_point;
  uint32_t order;  // where it stood, since the sort below must be stable
  uint8_t combining;
};

class Normalizer {
 public:
  Normalizer(NormalForm form) : tables_(NormalTables::get()), form_(form) {}

  std::string run(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    const bool compose = form_ == NormalForm::nfc || form_ == NormalForm::nfkc;
    size_t at = 0;
    while (at < text.size()) {
      // ASCII never changes, and what stands before an ASCII character cannot change through it; the last
      // one of a run may take marks, so it stays with what follows.
      size_t ascii_end = at;
      while (ascii_end < text.size() && static_cast<uint8_t>(text[ascii_end]) < 0x80) ++ascii_end;
      if (ascii_end == text.size()) {
        out.append(text, at);
        return out;
      }
      if (ascii_end > at + 1) {
        out.append(text, at, ascii_end - 1 - at);
        at = ascii_end - 1;
      }
      buffer_.clear();
      do {  // up to the next ASCII character
        const CodePoint c = read_code_point(text, at);
        decompose(c.value);
        at += c.length;
      } while (at < text.size() && static_cast<uint8_t>(text[at]) >= 0x80);
      sort_marks();
      if (compose) compose_buffer();
      for (const Marked& m : buffer_) append_code_point(out, m.code_point);
    }
    return out;
  }

 private:
  void push(uint32_t c) {
    const auto found = c < 0x300 ? tables_.combining.end() : tables_.combining.find(c);
    buffer_.push_back({c, static_cast<uint32_t>(buffer_.size()),
                       found == tables_.combining.end() ? uint8_t{0} : found->second});
  }

  void decompose(uint32_t c) {
    if (c < 0xA0) return push(c);
    if (c - kHangulFirst < kHangulCount) {
      const uint32_t index = c - kHangulFirst;
      push(kLead + index / (kNumVowel * kNumTail));
      push(kVowel + index / kNumTail % kNumVowel);
      if (index % kNumTail != 0) push(kTail + index % kNumTail);
      return;
    }
    if (form_ == NormalForm::nfkc || form_ == NormalForm::nfkd) {
      if (const auto found = tables_.compat.find(c); found != tables_.compat.end()) {
        for (uint32_t part : found->second) push(part);
        return;
      }
    }
    const auto found = tables_.canonical.find(c);
    if (found == tables_.canonical.end()) return push(c);
    for (uint32_t part : found->second) push(part);
  }

  void sort_marks() {
    for (size_t i = 0; i < buffer_.size();) {
      if (buffer_[i].combining == 0) {
        ++i;
        continue;
      }
      size_t end = i;
      while (end < buffer_.size() && buffer_[end].combining != 0) ++end;
      std::sort(buffer_.data() + i, buffer_.data() + end, [](const Marked& a, const Marked& b) {
        return a.combining != b.combining ? a.combining < b.combining : a.order < b.order;
      });
      i = end;
    }
  }

  uint32_t composed(uint32_t first, uint32_t second) const {
    if (first - kLead < kNumLead && second - kVowel < kNumVowel) {
      return kHangulFirst + ((first - kLead) * kNumVowel + (second - kVowel)) * kNumTail;
    }
    if (first - kHangulFirst < kHangulCount && (first - kHangulFirst) % kNumTail == 0 &&
        second - kTail - 1 < kNumTail - 1) {
      return first + (second - kTail);
    }
    const auto found = tables_.compose.find(static_cast<uint64_t>(first) << 32 | second);
    return found == tables_.compose.end() ? 0 : found->second;
  }

  void compose_buffer() {
    size_t kept = 0;
    ptrdiff_t starter = -1;
    uint8_t last_class = 0;
    bool between = false;  // something is kept between the starter and here
    for (const Marked m : buffer_) {
      const bool blocked = between && (last_class == 0 || last_class >= m.combining);
      if (starter >= 0 && !blocked) {
        if (const uint32_t joined =
                composed(buffer_[static_cast<size_t>(starter)].code_point, m.code_point)) {
          buffer_[static_cast<size_t>(starter)].code_point = joined;
          continue;
        }
      }
      if (m.combining == 0) {
        starter = static_cast<ptrdiff_t>(kept);
        between = false;
      } else {
        between = true;
      }
      last_class = m.combining;
      buffer_[kept++] = m;
    }
    buffer_.resize(kept);
  }

  const NormalTables& tables_;
  NormalForm form_;
  std::vector<Marked> buffer_;
};

}  // namespace

std::string normalize_unicode(std::string_view text, NormalForm form) {
  return Normalizer(form).run(text);
}

std::string lowercase_unicode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<uint8_t>(c) < 0x80) {
      out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
      ++at;
      continue;
    }
    const CodePoint point = read_code_point(text, at);
    const auto& lower = NormalTables::get().lower;
    if (const auto found = lower.find(point.value); found != lower.end()) {
      for (uint32_t part : found->second) append_code_point(out, part);
    } else {
      out.append(text, at, point.length);
    }
    at += point.length;
  }
  return out;
}

}  // namespace tattletale

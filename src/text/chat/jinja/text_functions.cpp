#include "text/chat/jinja/text_functions.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

size_t find_text(std::string_view text, std::string_view needle, size_t from) {
  constexpr size_t kShort = 64;  // up to here the library's search is fast enough even at its worst
  if (needle.size() <= kShort || from > text.size() || needle.size() > text.size() - from) {
    return text.find(needle, from);
  }
  // Knuth, Morris and Pratt: border[i] is the longest proper border of needle[0..i].
  std::vector<uint32_t> border(needle.size(), 0);
  for (size_t i = 1, matched = 0; i < needle.size(); ++i) {
    while (matched > 0 && needle[i] != needle[matched]) {
      matched = border[matched - 1];
    }
    matched += needle[i] == needle[matched];
    border[i] = static_cast<uint32_t>(matched);
  }
  for (size_t i = from, matched = 0; i < text.size(); ++i) {
    while (matched > 0 && text[i] != needle[matched]) {
      matched = border[matched - 1];
    }
    matched += text[i] == needle[matched];
    if (matched == needle.size()) {
      return i + 1 - needle.size();
    }
  }
  return std::string_view::npos;
}

uint64_t count_matches(std::string_view text, std::string_view needle) {
  if (needle.empty()) {
    return count_characters(text) + 1;
  }
  uint64_t count = 0;
  for (size_t at = find_text(text, needle); at != std::string_view::npos;
       at = find_text(text, needle, at + needle.size())) {
    ++count;
  }
  return count;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t count) {
  std::string out;
  size_t start = 0;
  if (from.empty()) {
    while (count != 0) {
      out += to;
      --count;
      if (start >= text.size()) {
        return out;
      }
      const size_t num_bytes = character_at(text, start).num_bytes;
      out += text.substr(start, num_bytes);
      start += num_bytes;
    }
    return out += text.substr(start);
  }
  for (size_t at = find_text(text, from); at != std::string_view::npos && count != 0;
       at = find_text(text, from, start)) {
    out += text.substr(start, at - start);
    out += to;
    start = at + from.size();
    --count;
  }
  return out += text.substr(start);
}

std::optional<int64_t> parse_int(std::string_view text, int base, bool& overflow) {
  overflow = false;
  text = strip(text, nullptr, true, true);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const auto prefix_base = [&]() {
    const char letter = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : ' ';
    return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  }();
  bool prefixed = false;
  if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
    base = prefix_base;
    text.remove_prefix(2);
    prefixed = true;
  } else if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != std::string_view::npos) {
      return std::nullopt;
    }
  }
  if (prefixed && text.starts_with('_')) {
    text.remove_prefix(1);
  }
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      if (i == 0 || i + 1 == text.size() || text[i - 1] == '_') {
        return std::nullopt;
      }
    } else {
      digits += text[i];
    }
  }
  uint64_t magnitude = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (digits.empty() || end != digits.data() + digits.size() || fault == std::errc::invalid_argument) {
    return std::nullopt;
  }
  const uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (fault != std::errc() || magnitude > limit) {
    overflow = true;
    return std::nullopt;
  }
  return static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<double> parse_real(std::string_view text) {
  text = strip(text, nullptr, true, true);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit_at = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (text[i] == '_') {
      if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) {
        return std::nullopt;
      }
      continue;
    }
    digits += text[i];
  }
  if (digits.starts_with('+')) {
    digits.erase(0, 1);
    if (digits.starts_with('-')) {
      return std::nullopt;
    }
  }
  if (digits.find('(') != std::string::npos) {
    return std::nullopt;  // from_chars knows nan(...), Python does not
  }
  double value = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || end != digits.data() + digits.size() || fault == std::errc::invalid_argument) {
    return std::nullopt;
  }
  if (fault == std::errc::result_out_of_range) {
    const size_t e = digits.find_first_of("eE");
    const bool tiny = (e != std::string::npos && digits.find('-', e) != std::string::npos) ||
                      digits.starts_with("0.") || digits.starts_with("-0.") || digits.starts_with('.');
    value = tiny ? 0.0 : HUGE_VAL;
    return digits[0] == '-' ? -value : value;
  }
  return value;
}

std::string pad(std::string_view text, int64_t width, char align, std::string_view fill) {
  const auto missing = width - static_cast<int64_t>(count_characters(text));
  if (missing <= 0) {
    return std::string(text);
  }
  // Python's str.center puts the odd one to the left when the width is odd; '^' in formats to the right.
  const int64_t left = align == '>'   ? missing
                       : align == '<' ? 0
                       : align == 'c' ? missing / 2 + (missing & width & 1)
                                      : missing / 2;
  std::string out;
  for (int64_t i = 0; i < left; ++i) {
    out += fill;
  }
  out += text;
  for (int64_t i = left; i < missing; ++i) {
    out += fill;
  }
  return out;
}

}  // namespace tattletale::jinja

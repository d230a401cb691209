// Source: the lexical rules of Jinja2 3.1 with trim_blocks and lstrip_blocks on (its documentation and
// behaviour).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "text/chat/jinja/token.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

bool is_digit_char(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit_char(c) || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
int hex_digit(char c) {
  return is_digit_char(c)       ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name) : source_(source), name_(name) {}

  Result<std::vector<Token>> run() {
    while (position_ < source_.size()) {
      TT_TRY(lex_root());
    }
    tokens_.push_back(Token{.offset = static_cast<uint32_t>(source_.size())});
    return std::move(tokens_);
  }

 private:
  Error error(size_t offset, std::string what) const {
    return make_error(ErrorKind::invalid_argument, place_of(name_, source_, static_cast<uint32_t>(offset)),
                      std::move(what));
  }
  bool at(std::string_view text) const { return source_.substr(position_).starts_with(text); }
  void skip_space() {
    while (position_ < source_.size()) {
      const Character c = character_at(source_, position_);
      if (!is_space(c.code)) {
        break;
      }
      position_ += c.num_bytes;
    }
  }
  void push(TokenKind kind, size_t offset, std::string_view view = {}) {
    tokens_.push_back(Token{.kind = kind, .offset = static_cast<uint32_t>(offset), .view = view});
  }

  /// Pushes the text in front of a tag, cut as the tag's sign and lstrip_blocks say.
  void push_data(size_t start, size_t end, char sign, bool is_variable) {
    std::string_view text = source_.substr(start, end - start);
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && !is_variable) {
      const size_t line = text.rfind('\n') + 1;  // npos + 1 == 0
      if ((line > 0 || line_starting_) && strip(text.substr(line), nullptr, true, false).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) {
      push(TokenKind::data, start, text);
    }
  }

  /// The "-" or "+" after an opening mark, consumed; 0 when there is none.
  char take_sign() {
    if (position_ < source_.size() && (source_[position_] == '-' || source_[position_] == '+')) {
      return source_[position_++];
    }
    return 0;
  }

  /// Tries the closing mark of a tag at position_: "-" eats the space behind it, a block its newline.
  bool take_close(std::string_view mark, bool is_variable) {
    const size_t start = position_;
    if (at("-") && source_.substr(position_ + 1).starts_with(mark)) {
      position_ += 1 + mark.size();
      skip_space();
    } else if (!is_variable && at("+") && source_.substr(position_ + 1).starts_with(mark)) {
      position_ += 1 + mark.size();
    } else if (at(mark)) {
      position_ += mark.size();
      if (!is_variable && position_ < source_.size() && source_[position_] == '\n') {
        ++position_;
      }
    } else {
      return false;
    }
    line_starting_ = position_ > start && source_[position_ - 1] == '\n';
    return true;
  }

  Result<bool> lex_root() {
    const size_t start = position_;
    size_t tag = start;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        push(TokenKind::data, start, source_.substr(start));
        position_ = source_.size();
        return true;
      }
      const char mark = source_[tag + 1];
      if (mark == '{' || mark == '%' || mark == '#') {
        break;
      }
    }
    const char mark = source_[tag + 1];
    position_ = tag + 2;
    const char sign = take_sign();
    push_data(start, tag, sign, mark == '{');
    if (mark == '#') {
      return lex_comment(tag);
    }
    if (mark == '%') {
      const size_t after_sign = position_;
      if (take_raw_begin()) {
        return lex_raw(tag);
      }
      position_ = after_sign;
    }
    push(mark == '{' ? TokenKind::variable_begin : TokenKind::block_begin, tag);
    return lex_tag(mark == '{');
  }

  Result<bool> lex_comment(size_t tag) {
    for (; position_ < source_.size(); ++position_) {
      position_ = source_.find_first_of("-+#", position_);
      if (position_ == std::string_view::npos) {
        break;
      }
      if (take_close("#}", false)) {
        return true;
      }
    }
    return error(tag, "this comment has no end; expected \"#}\"");
  }

  bool take_raw_begin() {
    skip_space();
    if (!at("raw")) {
      return false;
    }
    position_ += 3;
    skip_space();
    if (at("-%}")) {
      position_ += 3;
      skip_space();
    } else if (at("%}")) {
      position_ += 2;
    } else {
      return false;
    }
    line_starting_ = source_[position_ - 1] == '\n';
    return true;
  }

  Result<bool> lex_raw(size_t tag) {
    const size_t start = position_;
    for (size_t end = source_.find("{%", start); end != std::string_view::npos;
         end = source_.find("{%", end + 1)) {
      position_ = end + 2;
      const char sign = take_sign();
      skip_space();
      if (!at("endraw")) {
        continue;
      }
      position_ += 6;
      skip_space();
      const bool starting = line_starting_;  // as it was in front of the raw text
      if (!take_close("%}", false)) {
        continue;
      }
      const bool after = std::exchange(line_starting_, starting);
      push_data(start, end, sign, false);
      line_starting_ = after;
      return true;
    }
    return error(tag, "this raw block has no end; expected \"{% endraw %}\"");
  }

  Result<bool> lex_tag(bool is_variable) {
    const std::string_view mark = is_variable ? "}}" : "%}";
    const size_t opened = tokens_.back().offset;
    std::string expected;  // the closing brackets still to come
    while (position_ < source_.size()) {
      const size_t start = position_;
      if (expected.empty() && take_close(mark, is_variable)) {
        push(is_variable ? TokenKind::variable_end : TokenKind::block_end, start);
        return true;
      }
      skip_space();
      if (position_ > start) {
        continue;
      }
      const char c = source_[position_];
      if (is_digit_char(c)) {
        TT_TRY(lex_number());
      } else if (is_name_char(c)) {
        while (position_ < source_.size() && is_name_char(source_[position_])) {
          ++position_;
        }
        push(TokenKind::name, start, source_.substr(start, position_ - start));
      } else if (c == '\'' || c == '"') {
        TT_TRY(lex_string(c));
      } else {
        TT_TRY(lex_operator(expected));
      }
    }
    return error(opened, "this tag has no end; expected \"" + std::string(mark) + "\"");
  }

  Result<bool> lex_operator(std::string& expected) {
    static constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (std::string_view op : kOperators) {
      if (!at(op)) {
        continue;
      }
      const char c = op[0];
      if (c == '(' || c == '[' || c == '{') {
        expected += c == '(' ? ')' : c == '[' ? ']' : '}';
      } else if (c == ')' || c == ']' || c == '}') {
        if (expected.empty() || expected.back() != c) {
          return error(position_,
                       "unexpected \"" + std::string(op) + "\"" +
                           (expected.empty() ? "" : std::string(", expected \"") + expected.back() + "\""));
        }
        expected.pop_back();
      }
      push(TokenKind::op, position_, source_.substr(position_, op.size()));
      position_ += op.size();
      return true;
    }
    return error(position_, "unexpected character '" + std::string(1, source_[position_]) + "' in a tag");
  }

  /// Digits with single underscores between them, from `from`; the end of the run, or `from` when there is
  /// none.
  size_t digits_end(size_t from, int base) const {
    size_t end = from;
    for (size_t i = from; i < source_.size(); ++i) {
      const int digit = hex_digit(source_[i]);
      if (digit >= 0 && digit < base) {
        end = i + 1;
      } else if (source_[i] != '_' || (i > 0 && source_[i - 1] == '_')) {
        break;
      }
    }
    return end;
  }

  Result<bool> lex_number() {
    const size_t start = position_;
    const auto peek = [&](size_t i) { return i < source_.size() ? source_[i] : '\0'; };
    const bool after_dot = start > 0 && source_[start - 1] == '.';
    const size_t whole = digits_end(start, 10);
    size_t end = whole;
    bool real = false;
    if (!after_dot) {
      if (peek(whole) == '.' && is_digit_char(peek(whole + 1))) {
        end = digits_end(whole + 1, 10);
        real = true;
      }
      if (peek(end) == 'e' || peek(end) == 'E') {
        const size_t sign = peek(end + 1) == '+' || peek(end + 1) == '-' ? 1 : 0;
        if (is_digit_char(peek(end + 1 + sign))) {
          end = digits_end(end + 1 + sign, 10);
          real = true;
        }
      }
    }
    int base = 10;
    size_t digits = start;
    if (!real) {
      const char prefix = static_cast<char>(peek(start + 1) | 0x20);
      const int prefixed = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
      const size_t first = start + 2 + (peek(start + 2) == '_' ? 1 : 0);
      if (source_[start] == '0' && prefixed != 10 && digits_end(first, prefixed) > first) {
        base = prefixed;
        digits = first;
        end = digits_end(first, base);
      } else if (source_[start] == '0') {
        end = start;  // only zeros may follow a zero
        while (peek(end) == '0' || (end > start && peek(end) == '_' && peek(end + 1) == '0')) {
          ++end;
        }
      }
    }
    std::string text(source_.substr(digits, end - digits));
    std::erase(text, '_');
    Token token{.kind = real ? TokenKind::real : TokenKind::integer, .offset = static_cast<uint32_t>(start)};
    token.view = source_.substr(start, end - start);
    if (real) {
      auto [last, fault] = std::from_chars(text.data(), text.data() + text.size(), token.real);
      if (fault == std::errc::result_out_of_range) {
        token.real =
            text.find("e-") == std::string::npos && text.find("E-") == std::string::npos ? HUGE_VAL : 0.0;
      }
    } else {
      auto [last, fault] = std::from_chars(text.data(), text.data() + text.size(), token.integer, base);
      if (fault != std::errc()) {
        return error(start, "the integer " + text.substr(0, 40) + " does not fit in 64 bits");
      }
    }
    position_ = end;
    tokens_.push_back(std::move(token));
    return true;
  }

  Result<bool> lex_string(char quote) {
    const size_t start = position_++;
    Token token{.kind = TokenKind::string, .offset = static_cast<uint32_t>(start)};
    while (position_ < source_.size() && source_[position_] != quote) {
      if (source_[position_] != '\\') {
        token.text += source_[position_++];
        continue;
      }
      if (++position_ >= source_.size()) {
        break;
      }
      TT_TRY(lex_escape(token.text));
    }
    if (position_ >= source_.size()) {
      return error(start, "this string has no end; expected " + std::string(1, quote));
    }
    ++position_;
    tokens_.push_back(std::move(token));
    return true;
  }

  /// The escape whose letter is at position_; one Python does not know stays as it is written.
  Result<bool> lex_escape(std::string& out) {
    const char c = source_[position_++];
    static constexpr std::string_view kLetters = "nrtbfav\\'\"";
    static constexpr std::string_view kMeanings = "\n\r\t\b\f\a\v\\'\"";
    if (const size_t i = kLetters.find(c); i != std::string_view::npos) {
      out += kMeanings[i];
      return true;
    }
    if (c == '\n') {
      return true;
    }
    if (c >= '0' && c <= '7') {
      uint32_t code = static_cast<uint32_t>(c - '0');
      for (int i = 0;
           i < 2 && position_ < source_.size() && source_[position_] >= '0' && source_[position_] <= '7';
           ++i) {
        code = code * 8 + static_cast<uint32_t>(source_[position_++] - '0');
      }
      append_character(out, code);
      return true;
    }
    const int num_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (num_digits > 0) {
      uint32_t code = 0;
      for (int i = 0; i < num_digits; ++i) {
        const int digit = position_ < source_.size() ? hex_digit(source_[position_]) : -1;
        if (digit < 0) {
          return error(position_, "a \\" + std::string(1, c) + " escape needs " + std::to_string(num_digits) +
                                      " hex digits");
        }
        code = code * 16 + static_cast<uint32_t>(digit);
        ++position_;
      }
      if (code > 0x10FFFF) {
        return error(position_, "the escape names no Unicode character");
      }
      append_character(out, code);
      return true;
    }
    if (c == 'N') {
      return error(position_, "\\N{...} escapes are not supported; write the character itself");
    }
    out += '\\';
    out += c;
    return true;
  }

  std::string_view source_;
  std::string_view name_;
  size_t position_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      i += i + 1 < source.size() && source[i + 1] == '\n' ? 1 : 0;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') {
    out.pop_back();
  }
  return out;
}

std::string place_of(std::string_view name, std::string_view source, uint32_t offset) {
  const std::string_view before = source.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return std::string(name) + ":" + std::to_string(line) + ":" + std::to_string(column);
}

Result<std::vector<Token>> lex(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

}  // namespace tattletale::jinja

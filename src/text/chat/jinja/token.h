// Tokens of a template, and the lexer that makes them. The lexer also does the whitespace control
// (trim_blocks, lstrip_blocks, the "-" and "+" marks), so that the parser sees only final text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tattletale::jinja {

enum class TokenKind : uint8_t {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  op,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  uint32_t offset = 0;         // bytes into the normalized source
  std::string_view view = {};  // data, name, operator: a view into the normalized source
  std::string text = {};       // string: the value with escapes resolved
  int64_t integer = 0;
  double real = 0;
};

/// The source as the lexer counts lines: CRLF and CR become LF, one trailing newline is dropped.
std::string normalize_source(std::string_view source);

/// "name:line:column" of a byte offset; line and column count from 1, columns in bytes.
std::string place_of(std::string_view name, std::string_view source, uint32_t offset);

/// Splits a normalized source, which must outlive the tokens. The last token is `end`.
/// Errors: invalid_argument with the place.
Result<std::vector<Token>> lex(std::string_view source, std::string_view name);

}  // namespace tattletale::jinja

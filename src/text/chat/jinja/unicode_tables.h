// What Python knows about characters, as sorted ranges. The tables are generated (see unicode_tables.cpp).
#pragma once

#include <cstdint>
#include <span>

namespace tattletale::jinja {

struct CodeRange {
  uint32_t first, last;
};
struct CaseRun {
  uint32_t first, last, step;
  int32_t delta;
};
struct CaseSpecial {
  uint32_t code;
  const char* text;  // UTF-8
};

extern const std::span<const CodeRange> kAlphabetic, kDecimal, kDigit, kNumeric, kPrintable, kLowercase,
    kUppercase, kTitlecase;
extern const std::span<const CaseRun> kToUpper, kToLower, kToTitle;
extern const std::span<const CaseSpecial> kToUpperSpecial, kToLowerSpecial, kToTitleSpecial;

}  // namespace tattletale::jinja

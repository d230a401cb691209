// Division of 32-bit numbers by a constant as a multiplication by a rounded reciprocal and shifts.
// Source: Granlund & Montgomery 1994, "Division by invariant integers using multiplication", sections 4
// and 6.
#pragma once

#include <cstdint>

namespace tattletale::compiler {

/// floor(n / divisor) for every 32-bit n:
///   t = mul_hi(n >> pre_shift, multiplier);  quotient = (add ? ((n - t) >> 1) + t : t) >> post_shift
struct Reciprocal {
  uint32_t multiplier = 0;
  uint32_t pre_shift = 0;
  uint32_t post_shift = 0;
  bool add = false;
};

/// divisor >= 3 and no power of two (those are shifts).
Reciprocal reciprocal_of(uint32_t divisor);

}  // namespace tattletale::compiler

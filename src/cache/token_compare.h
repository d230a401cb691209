// Longest common prefix of two token runs, in 64-byte steps that the compiler turns into vector code.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace tattletale {

/// Number of leading tokens in which a[0..num) and b[0..num) agree.
inline uint64_t common_prefix(const uint32_t* a, const uint32_t* b, uint64_t num) {
  constexpr uint64_t kStep = 16;
  uint64_t i = 0;
  for (; i + kStep <= num; i += kStep) {
    uint32_t difference = 0;
    for (uint64_t k = 0; k < kStep; ++k) difference |= a[i + k] ^ b[i + k];
    if (difference != 0) break;
  }
  for (; i + 2 <= num; i += 2) {
    uint64_t x, y;
    std::memcpy(&x, a + i, 8);
    std::memcpy(&y, b + i, 8);
    if (x != y) {
      const bool first_equal = a[i] == b[i];
      return i + first_equal;
    }
  }
  return i < num && a[i] == b[i] ? i + 1 : i;
}

}  // namespace tattletale

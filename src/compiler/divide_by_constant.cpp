#include "compiler/divide_by_constant.h"

#include <bit>
#include <optional>

#include "base/check.h"

namespace tattletale::compiler {
namespace {

/// With m = ceil(2^(32+s) / d) and error e = m * d - 2^(32+s), mul_hi(n, m) >> s is exact for all n < 2^bits
/// if e <= 2^(32+s-bits). The least s for which m also fits 32 bits, or none.
std::optional<Reciprocal> without_add(uint32_t divisor, uint32_t bits) {
  const uint32_t log = 32 - static_cast<uint32_t>(std::countl_zero(divisor - 1));  // ceil(log2(divisor))
  for (uint32_t s = 0; s < log; ++s) {
    const unsigned __int128 power = static_cast<unsigned __int128>(1) << (32 + s);
    const unsigned __int128 multiplier = (power + divisor - 1) / divisor;
    if (multiplier >> 32 != 0) return std::nullopt;
    if (multiplier * divisor - power <= static_cast<unsigned __int128>(1) << (32 + s - bits)) {
      return Reciprocal{static_cast<uint32_t>(multiplier), 0, s, false};
    }
  }
  return std::nullopt;
}

}  // namespace

Reciprocal reciprocal_of(uint32_t divisor) {
  CHECK(divisor >= 3 && !std::has_single_bit(divisor));
  if (const auto found = without_add(divisor, 32)) return *found;
  const uint32_t zeros = static_cast<uint32_t>(std::countr_zero(divisor));
  if (zeros > 0) {
    if (auto found = without_add(divisor >> zeros, 32 - zeros)) {
      found->pre_shift = zeros;
      return *found;
    }
  }
  // The multiplier needs 33 bits: its top bit is the addition of n.
  const uint32_t log = 32 - static_cast<uint32_t>(std::countl_zero(divisor - 1));
  const uint64_t excess = (uint64_t{1} << log) - divisor;
  return Reciprocal{static_cast<uint32_t>((excess << 32) / divisor + 1), 0, log - 1, true};
}

}  // namespace tattletale::compiler

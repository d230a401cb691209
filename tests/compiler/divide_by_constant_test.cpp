#include "compiler/divide_by_constant.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace tattletale::compiler {
namespace {

uint32_t divide(uint32_t n, const Reciprocal& by) {
  const uint32_t t = static_cast<uint32_t>(uint64_t{n >> by.pre_shift} * by.multiplier >> 32);
  return (by.add ? ((n - t) >> 1) + t : t) >> by.post_shift;
}

// The error of a reciprocal grows with n and shows first just below a multiple of the divisor.
void expect_exact(uint32_t divisor, std::mt19937& random) {
  const Reciprocal by = reciprocal_of(divisor);
  const uint32_t last = UINT32_MAX / divisor;
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t quotient = i < 8 ? last - std::min(i, last) : static_cast<uint32_t>(random()) % (last + 1);
    const uint32_t n = quotient * divisor;
    ASSERT_EQ(divide(n, by), quotient) << n << " / " << divisor;
    if (n > 0) ASSERT_EQ(divide(n - 1, by), quotient - 1) << n - 1 << " / " << divisor;
  }
  ASSERT_EQ(divide(UINT32_MAX, by), last) << divisor;
  ASSERT_EQ(divide(0, by), 0u) << divisor;
}

TEST(DivideByConstant, EverySmallAndManyLargeDivisors) {
  std::mt19937 random(7);
  uint32_t with_add = 0, with_pre_shift = 0;
  const auto check = [&](uint32_t divisor) {
    if (divisor < 3 || std::has_single_bit(divisor)) return;
    expect_exact(divisor, random);
    with_add += reciprocal_of(divisor).add;
    with_pre_shift += reciprocal_of(divisor).pre_shift > 0;
  };
  for (uint32_t divisor = 3; divisor < 70000; ++divisor) check(divisor);
  for (int i = 0; i < 100000; ++i) check(static_cast<uint32_t>(random()) >> (random() % 30));
  for (uint32_t bit = 2; bit < 32; ++bit) {
    for (int32_t near = -3; near <= 3; ++near) check((1u << bit) + static_cast<uint32_t>(near));
  }
  for (uint32_t near = 0; near < 10; ++near) check(UINT32_MAX - near);
  EXPECT_GT(with_add, 1000u);
  EXPECT_GT(with_pre_shift, 1000u);
}

TEST(DivideByConstant, KnownReciprocals) {
  EXPECT_EQ(reciprocal_of(3).multiplier, 0xAAAAAAABu);
  EXPECT_FALSE(reciprocal_of(3).add);
  EXPECT_TRUE(reciprocal_of(7).add);
  EXPECT_EQ(reciprocal_of(28).pre_shift, 2u);
}

}  // namespace
}  // namespace tattletale::compiler

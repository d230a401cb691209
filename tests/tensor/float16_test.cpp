// The portable conversions against the compiler's own _Float16, exhaustively, and bf16 against its
// definition.
#include "tensor/float16.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tattletale {
namespace {

TEST(Float16, EveryF16WidensExactly) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const float expected = static_cast<float>(std::bit_cast<_Float16>(half));
    const float actual = f16_to_f32(half);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(actual)) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected)) << bits;
      ASSERT_EQ(f32_to_f16(actual), half);
    }
  }
}

/// The halfway points between neighbours and the floats on both sides, for every pair of neighbouring f16,
/// and a spread of other bit patterns.
TEST(Float16, F32RoundsToNearestEven) {
  const auto check = [](uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    const uint16_t expected = std::bit_cast<uint16_t>(static_cast<_Float16>(value));
    if (std::isnan(value)) return std::isnan(f16_to_f32(f32_to_f16(value)));
    return f32_to_f16(value) == expected;
  };
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const double here = f16_to_f32(static_cast<uint16_t>(half));
    const double next = half == 0x7bff ? 65536.0 : f16_to_f32(static_cast<uint16_t>(half + 1));
    const uint32_t middle = std::bit_cast<uint32_t>(static_cast<float>((here + next) / 2));
    for (const uint32_t bits : {middle - 1, middle, middle + 1}) {
      ASSERT_TRUE(check(bits)) << bits;
      ASSERT_TRUE(check(bits | 0x80000000u)) << bits;
    }
  }
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 4099)
    ASSERT_TRUE(check(static_cast<uint32_t>(bits))) << bits;
}

TEST(Float16, Bf16RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const float value = bf16_to_f32(half);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value))));
      continue;
    }
    ASSERT_EQ(f32_to_bf16(value), half);
    if (std::isinf(value)) continue;
    const uint32_t middle = (bits << 16) + 0x8000u;
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle - 1)), half);
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle)), half + (half & 1u));
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle + 1)), half + 1u);
  }
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace tattletale

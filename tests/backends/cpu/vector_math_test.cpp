// exp, and sine with cosine, against f64, on the target this test is compiled for.
#include <gtest/gtest.h>

#include <cmath>

#include "backends/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {
namespace {

float exp_of(float x) {
  const hn::ScalableTag<float> df;
  return hn::GetLane(exp_nonpositive(df, hn::Set(df, x)));
}

TEST(VectorMath, ExpOfNonpositiveNumbers) {
  double worst = 0.0;
  for (double x = 0.0; x > -87.0; x -= 0.0007) {
    const float argument = static_cast<float>(x);
    const double expected = std::exp(double{argument});
    worst = std::max(worst, std::abs(exp_of(argument) - expected) / expected);
  }
  EXPECT_LT(worst, 4e-7);
}

TEST(VectorMath, ExpIsExactAtZeroAndFarBelow) {
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_EQ(exp_of(-0.0f), 1.0f);
  for (const float x : {-87.5f, -1000.0f, -1e30f, -INFINITY}) EXPECT_EQ(exp_of(x), 0.0f) << x;
}

TEST(VectorMath, SineAndCosineAtAnyPosition) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  double worst = 0.0;
  for (const float inv_freq : {1.0f, 0.7498942f, 0.1f, 1e-3f, 1.234e-6f, 0.0f}) {
    for (uint64_t position = 0; position <= (1u << 24); position = position * 5 / 4 + 1) {
      auto sine = hn::Zero(df);
      auto cosine = hn::Zero(df);
      sin_cos_of_angles(dd, df, static_cast<double>(position), hn::Set(df, inv_freq), sine, cosine);
      const double angle = static_cast<double>(position) * double{inv_freq};
      worst = std::max(worst, std::abs(hn::GetLane(sine) - std::sin(angle)));
      worst = std::max(worst, std::abs(hn::GetLane(cosine) - std::cos(angle)));
    }
  }
  EXPECT_LT(worst, 1.5e-7);
}

}  // namespace
}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

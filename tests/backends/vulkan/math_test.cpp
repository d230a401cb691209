// Precision, and rounding of packed halves: what ir/op.h promises, against double precision and
// tensor/float16.h.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "backends/vulkan/vulkan_fixture.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

using F = Val<float>;

class VulkanMathTest : public test::VulkanTest {
 protected:
  /// y = body(x) for every number, as bits.
  std::vector<uint32_t> map(const std::string& name, const std::vector<uint32_t>& inputs,
                            const std::function<Val<uint32_t>(Val<uint32_t>)>& body) {
    KernelScope k(name, 64, target());
    const Buffer x = k.input("x"), y = k.output("y");
    const Val<uint32_t> n = k.param<uint32_t>("n", 0);
    $for (i, workgroup_id() * 64u + local_id(), n, num_workgroups() * 64u) {
      y.store(i, body(x.load<Storage::u32>(i)));
    }
    const KernelId kernel = load(k.finish());
    const BufferId from = make_buffer(inputs), to = make_buffer(inputs.size() * 4);
    const auto count = static_cast<uint32_t>(inputs.size());
    run(test::dispatch_of(kernel, 64, {{from, 0, count * 4}, {to, 0, count * 4}}, count));
    const auto result = read<uint32_t>(to, count);
    device().destroy_buffer(from);
    device().destroy_buffer(to);
    return result;
  }

  struct Worst {
    double relative = 0, absolute = 0;
    float at_relative = 0, at_absolute = 0;
  };
  Worst worst(const std::string& name, const std::vector<float>& inputs, const std::function<F(F)>& body,
              const std::function<double(double)>& truth) {
    std::vector<uint32_t> bits(inputs.size());
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = std::bit_cast<uint32_t>(inputs[i]);
    const auto results = map(name, bits, [&](Val<uint32_t> x) { return bits_of(body(f32_of_bits(x))); });
    Worst worst;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const double expected = truth(inputs[i]);
      const double error = std::abs(std::bit_cast<float>(results[i]) - expected);
      if (!(error <= worst.absolute)) worst.absolute = error, worst.at_absolute = inputs[i];
      const double relative = error / std::max(std::abs(expected), 0x1p-126);
      if (!(relative <= worst.relative)) worst.relative = relative, worst.at_relative = inputs[i];
    }
    std::printf("%-8s relative 2^%.1f at %g, absolute 2^%.1f at %g\n", name.c_str(),
                std::log2(worst.relative), worst.at_relative, std::log2(worst.absolute), worst.at_absolute);
    return worst;
  }

  static std::vector<float> between(float low, float high, uint32_t count = 100000) {
    std::vector<float> values(count);
    for (uint32_t i = 0; i < count; ++i) {
      values[i] = low + (high - low) * (static_cast<float>(i) / static_cast<float>(count - 1));
    }
    return values;
  }
  /// Positive numbers of every exponent but the extremes.
  static std::vector<float> every_scale(int lowest = -100, int highest = 100) {
    std::mt19937 random(3);
    std::vector<float> values;
    for (int e = lowest; e < highest; ++e) {
      for (int i = 0; i < 500; ++i) {
        values.push_back(std::ldexp(1.0f + static_cast<float>(random() >> 9) * 0x1p-23f, e));
      }
    }
    return values;
  }
};
TT_FOR_ALL_VULKAN_DEVICES(VulkanMathTest);

TEST_P(VulkanMathTest, FunctionsHoldTheirPrecision) {
  constexpr double kBound = 0x1p-20;
  const float pi = 3.14159265f;
  EXPECT_LT(worst(
                "exp2", between(-125.0f, 127.9f), [](F x) { return exp2(x); },
                [](double x) { return std::exp2(x); })
                .relative,
            kBound);
  EXPECT_LT(
      worst(
          "exp2 0", between(-2.0f, 2.0f), [](F x) { return exp2(x); }, [](double x) { return std::exp2(x); })
          .relative,
      kBound);
  EXPECT_LT(worst(
                "log2", every_scale(), [](F x) { return log2(x); }, [](double x) { return std::log2(x); })
                .relative,
            kBound);
  EXPECT_LT(worst(
                "log2 1", between(0.5f, 2.0f, 99998), [](F x) { return log2(x); },
                [](double x) { return std::log2(x); })
                .relative,
            kBound);
  EXPECT_LT(worst(
                "sqrt", every_scale(), [](F x) { return sqrt(x); }, [](double x) { return std::sqrt(x); })
                .relative,
            kBound);
  EXPECT_LT(
      worst(
          "rsqrt", every_scale(), [](F x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); })
          .relative,
      kBound);
  EXPECT_LT(worst(
                "sin", between(-pi, pi), [](F x) { return sin(x); }, [](double x) { return std::sin(x); })
                .absolute,
            0x1p-19);
  EXPECT_LT(worst(
                "cos", between(-pi, pi), [](F x) { return cos(x); }, [](double x) { return std::cos(x); })
                .absolute,
            0x1p-19);
  EXPECT_LT(
      worst(
          "tanh", between(-12.0f, 12.0f), [](F x) { return tanh(x); }, [](double x) { return std::tanh(x); })
          .relative,
      kBound);
  EXPECT_LT(
      worst(
          "tanh 0", every_scale(-60, 0), [](F x) { return tanh(x); }, [](double x) { return std::tanh(x); })
          .relative,
      kBound);
  EXPECT_LT(worst(
                "div", every_scale(), [](F x) { return F(3.0f) / x; }, [](double x) { return 3.0 / x; })
                .relative,
            0x1p-21);
  EXPECT_EQ(worst(
                "floor", between(-100.0f, 100.0f), [](F x) { return floor(x); },
                [](double x) { return std::floor(x); })
                .absolute,
            0.0);
}

TEST_P(VulkanMathTest, FunctionsAtTheirEnds) {
  const auto one = [&](float x, const std::function<F(F)>& body) {
    const auto bits = map("ends", {std::bit_cast<uint32_t>(x)},
                          [&](Val<uint32_t> v) { return bits_of(body(f32_of_bits(v))); });
    return std::bit_cast<float>(bits[0]);
  };
  const auto power = [](F x) { return exp2(x); };
  const auto tangent = [](F x) { return tanh(x); };
  EXPECT_EQ(one(0.0f, power), 1.0f);
  EXPECT_EQ(one(-1000.0f, power), 0.0f);
  EXPECT_EQ(one(-1e30f, power), 0.0f);  // a masked score
  EXPECT_EQ(one(1000.0f, power), std::numeric_limits<float>::infinity());
  EXPECT_EQ(one(1e30f, tangent), 1.0f);
  EXPECT_EQ(one(-1e30f, tangent), -1.0f);
  EXPECT_EQ(one(0.0f, tangent), 0.0f);
  EXPECT_EQ(one(1.0f, [](F x) { return log2(x); }), 0.0f);
  EXPECT_EQ(one(0.0f, [](F x) { return sin(x); }), 0.0f);
}

/// Each f16 and each value half way between two, with its neighbours; random numbers of any size.
std::vector<uint32_t> rounding_cases() {
  std::vector<uint32_t> cases;
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const float low = f16_to_f32(static_cast<uint16_t>(half));
    const float high = half == 0x7bff ? 65536.0f : f16_to_f32(static_cast<uint16_t>(half + 1));
    const uint32_t middle = std::bit_cast<uint32_t>((low + high) / 2);
    for (uint32_t bits : {std::bit_cast<uint32_t>(low), middle - 1, middle, middle + 1}) {
      cases.push_back(bits);
      cases.push_back(bits | 0x80000000u);
    }
  }
  std::mt19937 random(5);
  for (int i = 0; i < 100000; ++i) {
    const auto bits = static_cast<uint32_t>(random());
    if ((bits & 0x7f800000u) != 0x7f800000u && (bits & 0x7f800000u) != 0) cases.push_back(bits);
  }
  cases.push_back(0x7f800000u);
  cases.push_back(0xff800000u);
  return cases;
}

TEST_P(VulkanMathTest, PackingRoundsToNearestEven) {
  const auto cases = rounding_cases();
  const auto halves = map("pack_f16", cases, [](Val<uint32_t> v) {
    const F x = f32_of_bits(v);
    return pack_f16x2(x, neg(x));
  });
  const auto brains = map("pack_bf16", cases, [](Val<uint32_t> v) {
    const F x = f32_of_bits(v);
    return pack_bf16x2(neg(x), x);
  });
  uint32_t wrong_halves = 0, wrong_brains = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const float x = std::bit_cast<float>(cases[i]);
    const uint32_t half = f32_to_f16(x) | static_cast<uint32_t>(f32_to_f16(-x)) << 16;
    const uint32_t brain = f32_to_bf16(-x) | static_cast<uint32_t>(f32_to_bf16(x)) << 16;
    if (halves[i] != half && wrong_halves++ < 5) EXPECT_EQ(halves[i], half) << "f16 of " << x;
    if (brains[i] != brain && wrong_brains++ < 5) EXPECT_EQ(brains[i], brain) << "bf16 of " << x;
  }
  EXPECT_EQ(wrong_halves, 0u);
  EXPECT_EQ(wrong_brains, 0u);
}

TEST_P(VulkanMathTest, EveryHalfUnpacks) {
  std::vector<uint32_t> words;
  for (uint32_t half = 0; half < 0x10000; ++half) {
    if ((half & 0x7c00) != 0x7c00 || (half & 0x3ff) == 0) words.push_back(half | (half ^ 0x8001u) << 16);
  }
  const auto low = map("unpack_lo", words, [](Val<uint32_t> v) { return bits_of(unpack_f16_lo(v)); });
  const auto high = map("unpack_hi", words, [](Val<uint32_t> v) { return bits_of(unpack_f16_hi(v >> 0u)); });
  uint32_t wrong = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint32_t expected = std::bit_cast<uint32_t>(f16_to_f32(static_cast<uint16_t>(words[i])));
    if (low[i] != expected && wrong++ < 5) EXPECT_EQ(low[i], expected) << std::hex << words[i];
    const auto upper = static_cast<uint16_t>(words[i] >> 16);
    const float top = f16_to_f32(upper);
    if (!std::isnan(top) && high[i] != std::bit_cast<uint32_t>(top) && wrong++ < 5) {
      EXPECT_EQ(high[i], std::bit_cast<uint32_t>(top)) << std::hex << words[i];
    }
  }
  EXPECT_EQ(wrong, 0u);
}

/// The driver's word on fused multiply-add: printed, because Vulkan promises none.
TEST_P(VulkanMathTest, ReportsWhetherFmaRoundsOnce) {
  std::mt19937 random(9);
  std::vector<uint32_t> inputs;
  for (int i = 0; i < 1000; ++i) inputs.push_back(0x3f800000u | static_cast<uint32_t>(random() >> 9));
  const auto results = map("fma", inputs, [](Val<uint32_t> v) {
    const F x = f32_of_bits(v);
    return bits_of(fma(x, x, F(-1.0f)));
  });
  uint32_t fused = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const float x = std::bit_cast<float>(inputs[i]);
    const float result = std::bit_cast<float>(results[i]);
    fused += result == std::fma(x, x, -1.0f);
    EXPECT_NEAR(result, static_cast<double>(x) * x - 1, 0x1p-22);
  }
  std::printf("fma rounds once in %u of 1000 cases\n", fused);
}

}  // namespace
}  // namespace tattletale

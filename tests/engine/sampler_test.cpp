#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tattletale {
namespace {

std::vector<float> logits_of(std::initializer_list<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

/// Relative frequencies of `draws` samples at different positions.
std::vector<double> frequencies(const std::vector<float>& logits, const SamplingOptions& options,
                                int draws = 40000) {
  Sampler sampler;
  std::vector<double> counts(logits.size());
  for (int i = 0; i < draws; ++i) {
    std::vector<float> scratch = logits;
    counts[sampler.sample(scratch, options, {}, static_cast<uint64_t>(i))] += 1.0 / draws;
  }
  return counts;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdAmongEquals) {
  EXPECT_EQ(argmax(std::vector<float>{1.0f, 3.0f, 2.0f}), 1u);
  EXPECT_EQ(argmax(std::vector<float>{1.0f, 3.0f, 3.0f}), 1u);
  EXPECT_EQ(argmax(std::vector<float>{-2.0f, -1.0f, -3.0f}), 1u);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(argmax(std::vector<float>{nan, -5.0f, nan}), 1u);
  EXPECT_EQ(argmax(std::vector<float>{nan, nan}), 0u);
}

TEST(Sampler, TemperatureOneFollowsTheDistribution) {
  SamplingOptions options;
  options.temperature = 1.0f;
  const std::vector<double> seen = frequencies(logits_of({0.1, 0.2, 0.3, 0.4}), options);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(seen[i], 0.1 * (i + 1), 0.01);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  SamplingOptions options;
  options.temperature = 0.5f;  // probabilities squared, then normalised
  const std::vector<double> seen = frequencies(logits_of({0.2, 0.8}), options);
  EXPECT_NEAR(seen[1], 0.64 / 0.68, 0.01);
}

TEST(Sampler, TopKKeepsTheKLikeliest) {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.top_k = 2;
  const std::vector<double> seen = frequencies(logits_of({0.1, 0.2, 0.3, 0.4}), options);
  EXPECT_EQ(seen[0] + seen[1], 0.0);
  EXPECT_NEAR(seen[3], 4.0 / 7.0, 0.01);
}

TEST(Sampler, TopPKeepsTheSmallestNucleusThatReachesIt) {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.top_p = 0.6f;  // 0.4 is not enough, 0.4 + 0.3 is
  const std::vector<double> seen = frequencies(logits_of({0.1, 0.2, 0.3, 0.4}), options);
  EXPECT_EQ(seen[0] + seen[1], 0.0);
  EXPECT_NEAR(seen[3], 4.0 / 7.0, 0.01);
}

TEST(Sampler, MinPDropsWhatIsFarBelowTheBest) {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.min_p = 0.6f;  // 0.6 * 0.4 = 0.24
  const std::vector<double> seen = frequencies(logits_of({0.1, 0.2, 0.3, 0.4}), options);
  EXPECT_EQ(seen[0] + seen[1], 0.0);
  EXPECT_GT(seen[2], 0.0);
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeLogitsOnce) {
  Sampler sampler;
  SamplingOptions options;
  options.repetition_penalty = 2.0f;
  std::vector<float> logits{3.0f, 2.0f, -1.0f};
  const std::vector<uint32_t> history{0, 0, 2, 99};
  EXPECT_EQ(sampler.sample(logits, options, history, 4), 1u);
  EXPECT_EQ(logits, (std::vector<float>{1.5f, 2.0f, -2.0f}));
  logits = {3.0f, 2.0f, -1.0f};
  options.repetition_window = 2;  // token 0 has left the window
  EXPECT_EQ(sampler.sample(logits, options, history, 4), 0u);
}

TEST(Sampler, SeedAndPositionDecideAndNothingElse) {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.seed = 42;
  const std::vector<float> logits = logits_of({0.25, 0.25, 0.25, 0.25});
  Sampler fresh, used;
  for (uint64_t position = 0; position < 100; ++position) {
    std::vector<float> other = logits_of({0.9, 0.1});
    used.sample(other, options, {}, position + 7);
    std::vector<float> a = logits, b = logits;
    EXPECT_EQ(fresh.sample(a, options, {}, position), used.sample(b, options, {}, position));
  }
  SamplingOptions reseeded = options;
  reseeded.seed = 43;
  int different = 0;
  for (uint64_t position = 0; position < 100; ++position) {
    std::vector<float> a = logits, b = logits;
    different += fresh.sample(a, options, {}, position) != used.sample(b, reseeded, {}, position);
  }
  EXPECT_GT(different, 50);
}

TEST(Sampler, AllMassLostFallsBackToGreedy) {
  const float lowest = -std::numeric_limits<float>::infinity();
  std::vector<float> logits{lowest, lowest};
  SamplingOptions options;
  options.temperature = 1.0f;
  EXPECT_EQ(Sampler().sample(logits, options, {}, 0), 0u);
}

TEST(Sampler, RefusesValuesOutOfRangeByName) {
  const auto message = [](SamplingOptions options) {
    Result<void> result = options.validate();
    return result ? std::string() : result.error().message();
  };
  EXPECT_THAT(message({.temperature = -1.0f}), ::testing::HasSubstr("temperature"));
  EXPECT_THAT(message({.temperature = std::nanf("")}), ::testing::HasSubstr("temperature"));
  EXPECT_THAT(message({.top_p = 0.0f}), ::testing::HasSubstr("top_p"));
  EXPECT_THAT(message({.min_p = 1.5f}), ::testing::HasSubstr("min_p"));
  EXPECT_THAT(message({.repetition_penalty = 0.0f}), ::testing::HasSubstr("repetition_penalty"));
  EXPECT_EQ(message({}), "");
}

TEST(Sampler, LogProbabilityIsNormalised) {
  const std::vector<float> logits{1000.0f, 999.0f, -1000.0f};
  double total = 0.0;
  for (uint32_t id = 0; id < 3; ++id) total += std::exp(log_probability(logits, id));
  EXPECT_NEAR(total, 1.0, 1e-12);
}

}  // namespace
}  // namespace tattletale

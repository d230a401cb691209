#include "engine/sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/sampling/draw.h"
#include "engine/sampling/logprobs.h"

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

TEST(Sampler, PresenceAndFrequencyPenaltiesLookAtTheAnswerAlone) {
  Sampler sampler;
  SamplingOptions options;
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.25f;
  std::vector<float> logits{1.0f, 1.0f, 1.0f, 1.0f};
  const std::vector<uint32_t> history{0, 0, 1, 2, 1, 77};  // the first two are the prompt
  EXPECT_EQ(sampler.sample(logits, options, history, 6, 2), 0u);
  EXPECT_EQ(logits, (std::vector<float>{1.0f, 0.0f, 0.25f, 1.0f}));
}

TEST(Sampler, LogitBiasIsAddedAndMinusInfinityForbids) {
  Sampler sampler;
  SamplingOptions options;
  options.logit_bias = {{0, -std::numeric_limits<float>::infinity()}, {2, 5.0f}, {99, 1.0f}};
  std::vector<float> logits{9.0f, 3.0f, 0.0f};
  EXPECT_EQ(sampler.sample(logits, options, {}, 0), 2u);
  options.temperature = 1.0f;
  for (uint64_t position = 0; position < 1000; ++position) {
    logits = {9.0f, 3.0f, 0.0f};
    EXPECT_NE(sampler.sample(logits, options, {}, position), 0u);
  }
}

TEST(Sampler, DryPenalisesWhatWouldGoOnWithARepetition) {
  Sampler sampler;
  SamplingOptions options;
  options.dry.multiplier = 1.0f;
  options.dry.base = 2.0f;
  options.dry.allowed_length = 2;
  // 1 2 3 4 ... 1 2 3: going on with 4 would repeat four tokens; 5 once followed 2 3 alone.
  const std::vector<uint32_t> history{1, 2, 3, 4, 0, 2, 3, 5, 0, 1, 2, 3};
  std::vector<float> logits(8, 0.0f);
  sampler.sample(logits, options, history, history.size());
  EXPECT_EQ(logits[4], -2.0f);  // a match of 3: 2^(3-2)
  EXPECT_EQ(logits[5], -1.0f);  // a match of 2: 2^0
  EXPECT_EQ(std::ranges::count(logits, 0.0f), 6);
  options.dry.window = 7;  // the first occurrence has left
  logits.assign(8, 0.0f);
  sampler.sample(logits, options, history, history.size());
  EXPECT_EQ(logits[4], 0.0f);
  EXPECT_EQ(logits[5], -1.0f);
  options.dry.window = 0;
  options.dry.breakers = {1};  // no repetition reaches across token 1
  logits.assign(8, 0.0f);
  sampler.sample(logits, options, history, history.size());
  EXPECT_EQ(logits[4], -1.0f);
  options.dry.breakers = {3};  // nor beyond the last token
  logits.assign(8, 0.0f);
  sampler.sample(logits, options, history, history.size());
  EXPECT_EQ(std::ranges::count(logits, 0.0f), 8);
}

TEST(Sampler, DryAgreesWithTheObviousSearch) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<uint32_t> history(random() % 60);
    for (uint32_t& token : history) token = random() % 3;
    SamplingOptions options;
    options.dry.multiplier = 0.5f;
    options.dry.allowed_length = 1 + random() % 3;
    if (random() % 2 == 0) options.dry.breakers = {2};
    std::vector<float> logits(3, 0.0f), expected(3, 0.0f);
    for (uint32_t token = 0; token < 3; ++token) {
      uint32_t longest = 0;
      for (size_t end = 0; end + 1 < history.size(); ++end) {  // history[..end] and then the token
        if (history[end + 1] != token) continue;
        uint32_t length = 0;
        while (length <= end && history[end - length] == history[history.size() - 1 - length] &&
               (options.dry.breakers.empty() || history[end - length] != 2)) {
          ++length;
        }
        longest = std::max(longest, length);
      }
      if (longest >= options.dry.allowed_length)
        expected[token] = -0.5f * std::pow(1.75f, static_cast<float>(longest - options.dry.allowed_length));
    }
    Sampler().sample(logits, options, history, history.size());
    EXPECT_EQ(logits, expected) << "round " << round;
  }
}

TEST(Sampler, TypicalKeepsWhatSurprisesAsMuchAsTheWhole) {
  SamplingOptions options;
  options.temperature = 1.0f;
  // Entropy 1.09 nats; -log p is 0.69, 1.39, 1.90, 3.91 and so on: 0.25 is nearest, then 0.5.
  options.typical_p = 0.2f;
  std::vector<double> seen = frequencies(logits_of({0.5, 0.25, 0.15, 0.02, 0.08}), options, 4000);
  EXPECT_NEAR(seen[1], 1.0, 1e-9);
  options.typical_p = 0.6f;
  seen = frequencies(logits_of({0.5, 0.25, 0.15, 0.02, 0.08}), options, 4000);
  EXPECT_NEAR(seen[0] + seen[1], 1.0, 1e-9);
  EXPECT_NEAR(seen[0], 2.0 / 3.0, 0.03);
}

TEST(Sampler, TheDrawIsTheLargestOfAllLogitsWithTheirGumbelNumbers) {
  std::mt19937 random(11);
  for (uint64_t position = 0; position < 2000; ++position) {
    std::vector<Candidate> candidates(1 + random() % 200);
    const float spread = std::pow(10.0f, static_cast<float>(random() % 4) - 1.0f);
    for (uint32_t id = 0; id < candidates.size(); ++id)
      candidates[id] = {spread * static_cast<float>(random() % 1000) / 1000.0f, 7 * id};
    const auto key = [&](const Candidate& c) {
      return c.logit - std::log(-std::log(uniform(5, position, c.id)));
    };
    const Candidate expected = *std::ranges::max_element(candidates, {}, key);
    EXPECT_EQ(draw_gumbel(candidates, 5, position), expected.id);
    std::ranges::shuffle(candidates, random);
    EXPECT_EQ(draw_gumbel(candidates, 5, position), expected.id);
  }
}

TEST(Sampler, SimilarDistributionsDrawTheSameTokenMostly) {
  std::vector<Candidate> one, two;
  for (uint32_t id = 0; id < 20; ++id) {
    one.push_back({std::sin(static_cast<float>(id)), id});
    two.push_back({std::sin(static_cast<float>(id)) + (id % 2 == 0 ? 0.1f : -0.1f), id});
  }
  int same = 0;
  for (uint64_t position = 0; position < 2000; ++position)
    same += draw_gumbel(one, 1, position) == draw_gumbel(two, 1, position);
  EXPECT_GT(same, 1700);
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
  const auto changed = [&](auto&& change) {
    SamplingOptions options;
    change(options);
    return message(options);
  };
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(changed([](auto& o) { o.typical_p = 0.0f; }), ::testing::HasSubstr("typical_p"));
  EXPECT_THAT(changed([&](auto& o) { o.presence_penalty = infinity; }), ::testing::HasSubstr("presence"));
  EXPECT_THAT(changed([](auto& o) { o.frequency_penalty = -101.0f; }), ::testing::HasSubstr("frequency"));
  EXPECT_THAT(changed([](auto& o) { o.dry.multiplier = -1.0f; }), ::testing::HasSubstr("dry_multiplier"));
  EXPECT_THAT(changed([](auto& o) { o.dry.base = 0.5f; }), ::testing::HasSubstr("dry_base"));
  EXPECT_THAT(changed([](auto& o) { o.dry.allowed_length = 0; }), ::testing::HasSubstr("allowed_length"));
  EXPECT_THAT(changed([&](auto& o) { o.logit_bias = {{1, infinity}}; }), ::testing::HasSubstr("logit_bias"));
  EXPECT_EQ(changed([&](auto& o) { o.logit_bias = {{1, -infinity}}; }), "");
  EXPECT_EQ(message({}), "");
}

TEST(Logprobs, TheTopIsSortedAndTheChosenOneIsIts) {
  const std::vector<float> logits = logits_of({0.1, 0.3, 0.05, 0.3, 0.25});
  const LogprobReport report(logits, 3);
  const TokenLogprobs of_two = report.of(2);
  EXPECT_EQ(of_two.chosen.id, 2u);
  EXPECT_NEAR(of_two.chosen.logprob, std::log(0.05), 1e-5);
  ASSERT_EQ(of_two.top.size(), 3u);
  EXPECT_EQ(of_two.top[0].id, 1u);  // the lower id among equals
  EXPECT_EQ(of_two.top[1].id, 3u);
  EXPECT_EQ(of_two.top[2].id, 4u);
  EXPECT_NEAR(of_two.top[2].logprob, std::log(0.25), 1e-5);
  EXPECT_TRUE(LogprobReport(logits, 0).of(1).top.empty());
  EXPECT_EQ(LogprobReport(logits, 99).of(1).top.size(), 5u);
}

TEST(Logprobs, LogProbabilityIsNormalised) {
  const std::vector<float> logits{1000.0f, 999.0f, -1000.0f};
  double total = 0.0;
  for (uint32_t id = 0; id < 3; ++id) total += std::exp(log_probability(logits, id));
  EXPECT_NEAR(total, 1.0, 1e-12);
}

}  // namespace
}  // namespace tattletale

// Speculation on tiny models: the answer is the plain one token for token, greedy and sampled, for good and
// for hopeless guesses, in any company.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "backends/cpu/cpu_device.h"
#include "engine/engine.h"
#include "engine/speculate/draft_length.h"
#include "engine/speculate/prompt_lookup.h"
#include "model/architecture.h"
#include "support/tiny_model.h"

namespace tattletale {
namespace {

std::vector<uint32_t> lookup(const std::vector<uint32_t>& tokens, uint32_t most) {
  std::vector<uint32_t> drafts;
  lookup_drafts(tokens, most, drafts);
  return drafts;
}

TEST(PromptLookup, GivesWhatFollowedTheLongestLatestOccurrence) {
  using Tokens = std::vector<uint32_t>;
  EXPECT_EQ(lookup({1, 2, 3, 4, 5, 1, 2}, 3), (Tokens{3, 4, 5}));
  EXPECT_EQ(lookup({1, 2, 3, 1, 2, 4, 1, 2}, 1), (Tokens{4}));           // the latest of equals
  EXPECT_EQ(lookup({9, 1, 2, 3, 1, 2, 4, 9, 1, 2}, 2), (Tokens{3, 1}));  // the longest
  EXPECT_EQ(lookup({1, 1, 1, 1}, 5), (Tokens{1}));                       // what there is
  EXPECT_EQ(lookup({1, 2, 3}, 5), Tokens{});
  EXPECT_EQ(lookup({2, 2}, 5), Tokens{});
  EXPECT_EQ(lookup({1, 2, 3, 1, 2}, 0), Tokens{});
  EXPECT_EQ(lookup({}, 4), Tokens{});
}

TEST(DraftLength, GrowsWithSuccessAndPausesAfterFailures) {
  DraftLength length;
  EXPECT_EQ(length.next(100), 4u);
  length.learn(4, 4);
  EXPECT_EQ(length.next(100), 6u);
  EXPECT_EQ(length.next(3), 3u);
  length.learn(6, 2);
  EXPECT_EQ(length.next(100), 3u);
  length.learn(3, 0);
  EXPECT_EQ(length.next(100), 1u);
  for (int i = 0; i < 3; ++i) {
    length.learn(1, 0);
    uint32_t pauses = 0;
    while (length.next(100) == 0) ++pauses;
    EXPECT_EQ(pauses, 1u << i);
  }
  length.learn(1, 1);
  EXPECT_GT(length.next(100), 1u);
}

class SpeculationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = std::move(*open_cpu_device(2));
    decoder_ = std::move(*load_decoder(*device_, files_, 512));
    same_ = std::move(*load_decoder(*device_, files_, 512));
    other_ = std::move(*load_decoder(*device_, other_files_, 512));
  }

  std::unique_ptr<Engine> engine(const Decoder* draft, uint64_t kv_tokens = 2048, uint32_t step_tokens = 64) {
    EngineOptions options;
    options.context_tokens = std::min<uint64_t>(kv_tokens, 512);
    options.kv_tokens = kv_tokens;
    options.page_tokens = 16;
    options.step_tokens = step_tokens;
    options.draft = draft;
    return std::move(*Engine::create(*device_, *decoder_, options));
  }

  static TokenRequest request(uint32_t seed, size_t length, uint64_t max_new, float temperature) {
    std::mt19937 random(seed);
    TokenRequest made;
    for (size_t i = 0; i < length; ++i) made.prompt.push_back(random() % 97);
    made.max_new_tokens = max_new;
    made.sampling.temperature = temperature;
    made.sampling.seed = seed;
    return made;
  }

  static std::vector<uint32_t> run(Engine& engine, const TokenRequest& wanted,
                                   RequestProgress* progress = nullptr, uint64_t* steps = nullptr) {
    const SessionId session = engine.create_session();
    EXPECT_TRUE(engine.submit(session, wanted).has_value());
    const uint64_t before = engine.schedule_stats().steps;
    while (*engine.step()) continue;
    if (steps != nullptr) *steps = engine.schedule_stats().steps - before;
    std::vector<uint32_t> tokens = engine.take_tokens(session);
    if (progress != nullptr) *progress = engine.progress(session);
    engine.free_session(session);
    EXPECT_TRUE(engine.verify().has_value());
    return tokens;
  }

  ModelFiles files_ = testing::make_tiny_llama();
  ModelFiles other_files_ = testing::make_tiny_llama({}, 2);
  std::unique_ptr<Device> device_;
  std::unique_ptr<Decoder> decoder_, same_, other_;
};

TEST_F(SpeculationTest, TheAnswerIsThePlainOneGreedyAndSampled) {
  uint64_t lookups_accepted = 0, foreign_rejected = 0;
  for (uint32_t seed = 0; seed < 24; ++seed) {
    const float temperature = seed % 3 == 0 ? 0.0f : 0.3f * static_cast<float>(seed % 4);
    TokenRequest wanted = request(seed, 5 + 7 * seed, 60, temperature);
    if (seed % 4 == 1) wanted.sampling.top_k = 8;
    if (seed % 4 == 2) wanted.sampling.repetition_penalty = 1.2f;
    if (seed % 5 == 0) wanted.prompt.insert(wanted.prompt.end(), wanted.prompt.begin(), wanted.prompt.end());
    const std::vector<uint32_t> expected = run(*engine(nullptr), wanted);
    ASSERT_EQ(expected.size(), 60u);
    RequestProgress progress;
    wanted.speculation = Speculation::prompt_lookup;
    EXPECT_EQ(run(*engine(nullptr), wanted, &progress), expected) << "lookup, seed " << seed;
    lookups_accepted += progress.accepted_drafts;
    wanted.speculation = Speculation::draft_model;
    EXPECT_EQ(run(*engine(other_.get()), wanted, &progress), expected) << "foreign model, seed " << seed;
    foreign_rejected += progress.drafts - progress.accepted_drafts;
    uint64_t steps = 0;
    EXPECT_EQ(run(*engine(same_.get()), wanted, &progress, &steps), expected) << "same model, seed " << seed;
    // The same model guesses everything right: it draws with the same numbers.
    EXPECT_EQ(progress.accepted_drafts, progress.drafts) << "seed " << seed;
    EXPECT_LT(steps, 30u);
    EXPECT_EQ(progress.generated_tokens, 60u);
  }
  EXPECT_GT(lookups_accepted, 50u);
  EXPECT_GT(foreign_rejected, 100u);
}

TEST_F(SpeculationTest, EndTokensEndAnAnswerAmongAcceptedGuesses) {
  TokenRequest wanted = request(3, 20, 40, 0.8f);
  const std::vector<uint32_t> whole = run(*engine(nullptr), wanted);
  wanted.end_ids = {whole[17]};
  const std::vector<uint32_t> expected = run(*engine(nullptr), wanted);
  EXPECT_LT(expected.size(), whole.size());
  wanted.speculation = Speculation::draft_model;
  RequestProgress progress;
  EXPECT_EQ(run(*engine(same_.get()), wanted, &progress), expected);
  EXPECT_EQ(progress.finish, Finish::stop);
}

TEST_F(SpeculationTest, SampledTokensKeepTheirDistribution) {
  // The third token of the answer over many seeds, given the most frequent first two, against the model's own
  // probabilities for it.
  const auto frequencies = [&](const Decoder* draft, Speculation kind) {
    std::unique_ptr<Engine> shared = engine(draft);
    std::map<std::vector<uint32_t>, double> seen;
    for (uint32_t seed = 0; seed < 1500; ++seed) {
      TokenRequest wanted = request(1, 40, 3, 0.5f);
      wanted.sampling.seed = seed;
      wanted.sampling.top_k = 3;
      wanted.speculation = kind;
      seen[run(*shared, wanted)] += 1.0 / 1500;
    }
    return seen;
  };
  const auto expected = [&] {  // of each answer of three tokens, from the logits alone
    std::map<std::vector<uint32_t>, double> all;
    std::unique_ptr<Engine> scorer = engine(nullptr);
    const SessionId session = scorer->create_session();
    const auto likeliest = [&](std::vector<uint32_t> prompt) {
      std::vector<std::pair<uint32_t, double>> top;
      EXPECT_TRUE(scorer
                      ->compute_logits(session, prompt, prompt.size() - 1,
                                       [&](size_t, std::span<float> logits) {
                                         double sum = 0.0;
                                         for (int k = 0; k < 3; ++k) {
                                           const uint32_t id = argmax(logits);
                                           top.push_back({id, std::exp(logits[id] / 0.5)});
                                           sum += top.back().second;
                                           logits[id] = -INFINITY;
                                         }
                                         for (auto& entry : top) entry.second /= sum;
                                       })
                      .has_value());
      return top;
    };
    const std::vector<uint32_t> prompt = request(1, 40, 3, 0.5f).prompt;
    for (const auto& [a, pa] : likeliest(prompt)) {
      std::vector<uint32_t> two = prompt;
      two.push_back(a);
      for (const auto& [b, pb] : likeliest(two)) {
        std::vector<uint32_t> three = two;
        three.push_back(b);
        for (const auto& [c, pc] : likeliest(three)) all[{a, b, c}] = pa * pb * pc;
      }
    }
    return all;
  }();
  ASSERT_EQ(expected.size(), 27u);
  for (const auto& [draft, kind] :
       {std::pair<const Decoder*, Speculation>{other_.get(), Speculation::draft_model},
        {nullptr, Speculation::prompt_lookup}}) {
    double distance = 0.0;
    std::map<std::vector<uint32_t>, double> seen = frequencies(draft, kind);
    for (const auto& [answer, probability] : expected) {
      distance += std::abs(seen[answer] - probability) / 2;
      seen.erase(answer);
    }
    EXPECT_TRUE(seen.empty()) << "an answer that the filters forbid";
    EXPECT_LT(distance, 0.08);  // of 1500 draws from the exact distribution: 0.04 on average
  }
}

TEST_F(SpeculationTest, SoakInASmallPoolWithEveryKindOfCompany) {
  std::mt19937 random(5);
  std::vector<TokenRequest> requests;
  std::vector<std::vector<uint32_t>> expected;
  for (uint32_t i = 0; i < 40; ++i) {
    requests.push_back(request(i % 7, 1 + random() % 60, 1 + random() % 60, i % 2 == 0 ? 0.0f : 0.6f));
    expected.push_back(run(*engine(nullptr), requests.back()));
    requests.back().speculation = static_cast<Speculation>(i % 3);
  }
  std::unique_ptr<Engine> small = engine(other_.get(), 192, 40);  // twelve pages
  std::vector<SessionId> sessions;
  for (int i = 0; i < 8; ++i) sessions.push_back(small->create_session());
  std::vector<int> serving(sessions.size(), -1);
  size_t next = 0, done = 0, cancelled = 0;
  uint64_t accepted = 0;
  while (done < requests.size()) {
    if (const size_t s = random() % 200;
        s < sessions.size() && serving[s] >= 0 && small->progress(sessions[s]).finish == Finish::running) {
      small->finish(sessions[s], Finish::cancelled);  // a client goes away and comes back
      ASSERT_TRUE(small->submit(sessions[s], requests[static_cast<size_t>(serving[s])]).has_value());
      ++cancelled;
    }
    for (size_t s = 0; s < sessions.size(); ++s) {
      if (serving[s] >= 0 && small->progress(sessions[s]).finish != Finish::running) {
        EXPECT_EQ(small->take_tokens(sessions[s]), expected[static_cast<size_t>(serving[s])]);
        accepted += small->progress(sessions[s]).accepted_drafts;
        ++done;
        serving[s] = -1;
      }
      if (serving[s] >= 0 || next == requests.size()) continue;
      ASSERT_TRUE(small->submit(sessions[s], requests[next]).has_value());
      serving[s] = static_cast<int>(next++);
    }
    ASSERT_TRUE(small->step().has_value());
    const Result<void> verified = small->verify();
    ASSERT_TRUE(verified.has_value()) << verified.error().message();
  }
  EXPECT_GT(accepted, 20u);
  EXPECT_GT(cancelled, 0u);
  EXPECT_GT(small->schedule_stats().preemptions, 0u);
}

TEST_F(SpeculationTest, ADraftModelOfAnotherVocabularyIsRefused) {
  const ModelFiles tiny = testing::make_tiny_llama({.vocab = 50});
  const std::unique_ptr<Decoder> short_one = std::move(*load_decoder(*device_, tiny, 512));
  EngineOptions options;
  options.context_tokens = options.kv_tokens = 512;
  options.draft = short_one.get();
  const Result<std::unique_ptr<Engine>> made = Engine::create(*device_, *decoder_, options);
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message().find("50"), std::string::npos);
  std::unique_ptr<Engine> plain = engine(nullptr);
  TokenRequest wanted = request(1, 5, 5, 0.0f);
  wanted.speculation = Speculation::draft_model;
  EXPECT_FALSE(plain->submit(plain->create_session(), wanted).has_value());
}

}  // namespace
}  // namespace tattletale

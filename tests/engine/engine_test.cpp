// The engine on a tiny model: whatever else is in the batch, however small the pool, each request's tokens
// are those it gets alone.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "backends/cpu/cpu_device.h"
#include "model/architecture.h"
#include "support/tiny_model.h"

namespace tattletale {
namespace {

using ::testing::HasSubstr;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = std::move(*open_cpu_device(2));
    decoder_ = std::move(*load_decoder(*device_, files_, 512));
  }

  std::unique_ptr<Engine> engine(uint64_t context, uint64_t kv_tokens, uint32_t step_tokens = 64) {
    EngineOptions options;
    options.context_tokens = context;
    options.kv_tokens = kv_tokens;
    options.page_tokens = 16;
    options.step_tokens = step_tokens;
    Result<std::unique_ptr<Engine>> made = Engine::create(*device_, *decoder_, options);
    CHECK(made.has_value());
    return std::move(*made);
  }

  static std::vector<uint32_t> prompt(uint32_t seed, size_t length) {
    std::mt19937 random(seed);
    std::vector<uint32_t> tokens(length);
    for (uint32_t& token : tokens) token = random() % 97;
    return tokens;
  }

  static TokenRequest request(std::vector<uint32_t> tokens, uint64_t max_new) {
    TokenRequest made;
    made.prompt = std::move(tokens);
    made.max_new_tokens = max_new;
    return made;
  }

  static void run(Engine& engine) {
    while (true) {
      Result<bool> more = engine.step();
      ASSERT_TRUE(more.has_value()) << more.error().message();
      if (!*more) return;
    }
  }

  std::vector<uint32_t> alone(const TokenRequest& wanted) {
    std::unique_ptr<Engine> fresh = engine(512, 512);
    const SessionId session = fresh->create_session();
    EXPECT_TRUE(fresh->submit(session, wanted).has_value());
    run(*fresh);
    return fresh->take_tokens(session);
  }

  ModelFiles files_ = testing::make_tiny_llama();
  std::unique_ptr<Device> device_;
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(EngineTest, StopsAtMaxNewTokensAndAtTheContextsEnd) {
  std::unique_ptr<Engine> small = engine(64, 64);
  const SessionId session = small->create_session();
  ASSERT_TRUE(small->submit(session, request(prompt(1, 10), 5)).has_value());
  run(*small);
  EXPECT_EQ(small->take_tokens(session).size(), 5u);
  EXPECT_EQ(small->progress(session).finish, Finish::length);
  ASSERT_TRUE(small->submit(session, request(prompt(2, 10), 0)).has_value());
  run(*small);
  EXPECT_EQ(small->take_tokens(session).size(), 54u);
  EXPECT_EQ(small->progress(session).finish, Finish::length);
}

TEST_F(EngineTest, EndTokensEndTheAnswerAndAreNotReported) {
  const std::vector<uint32_t> free_run = alone(request(prompt(3, 12), 20));
  TokenRequest stopping = request(prompt(3, 12), 20);
  stopping.end_ids = {free_run[4]};
  const size_t expected = static_cast<size_t>(std::ranges::find(free_run, free_run[4]) - free_run.begin());
  std::unique_ptr<Engine> fresh = engine(512, 512);
  const SessionId session = fresh->create_session();
  ASSERT_TRUE(fresh->submit(session, stopping).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->take_tokens(session),
            std::vector<uint32_t>(free_run.begin(), free_run.begin() + static_cast<ptrdiff_t>(expected)));
  EXPECT_EQ(fresh->progress(session).finish, Finish::stop);
}

TEST_F(EngineTest, PromptInOneChunkEqualsPromptInMany) {
  const TokenRequest wanted = request(prompt(4, 200), 20);
  const std::vector<uint32_t> expected = alone(wanted);
  for (const uint32_t step_tokens : {1u, 3u, 16u, 63u, 512u}) {
    std::unique_ptr<Engine> chunked = engine(512, 512, step_tokens);
    const SessionId session = chunked->create_session();
    ASSERT_TRUE(chunked->submit(session, wanted).has_value());
    run(*chunked);
    EXPECT_EQ(chunked->take_tokens(session), expected) << step_tokens << " tokens a step";
  }
}

TEST_F(EngineTest, ASecondTurnReusesTheFirst) {
  std::unique_ptr<Engine> fresh = engine(512, 512);
  const SessionId session = fresh->create_session();
  std::vector<uint32_t> conversation = prompt(5, 50);
  ASSERT_TRUE(fresh->submit(session, request(conversation, 8)).has_value());
  run(*fresh);
  for (const uint32_t token : fresh->take_tokens(session)) conversation.push_back(token);
  for (const uint32_t token : prompt(6, 30)) conversation.push_back(token);
  const std::vector<uint32_t> expected = alone(request(conversation, 8));
  ASSERT_TRUE(fresh->submit(session, request(conversation, 8)).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->progress(session).cached_tokens, 57u);  // the last generated token was never fed back
  EXPECT_EQ(fresh->take_tokens(session), expected);
  // The same prompt again: all but its last token is cached.
  ASSERT_TRUE(fresh->submit(session, request(conversation, 8)).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->progress(session).cached_tokens, conversation.size() - 1);
  EXPECT_EQ(fresh->take_tokens(session), expected);
}

TEST_F(EngineTest, SoakWithAPoolFarTooSmallGivesEachRequestItsOwnTokens) {
  std::mt19937 random(7);
  std::vector<TokenRequest> requests;
  std::vector<std::vector<uint32_t>> expected;
  const std::vector<uint32_t> texts[] = {prompt(1, 90), prompt(2, 90), prompt(3, 90)};
  for (uint32_t i = 0; i < 60; ++i) {  // a beginning that others have too, and an end of its own
    std::vector<uint32_t> tokens = texts[i % 3];
    tokens.resize(random() % 50);
    for (const uint32_t token : prompt(100 + i, 1 + random() % 12)) tokens.push_back(token);
    requests.push_back(request(std::move(tokens), 1 + random() % 60));
    if (i % 3 == 0) requests.back().sampling.temperature = 0.8f;
    requests.back().sampling.seed = i;
    expected.push_back(alone(requests.back()));
  }
  std::unique_ptr<Engine> small = engine(128, 160, 48);  // ten pages for up to eight requests
  std::vector<SessionId> sessions;
  for (int i = 0; i < 8; ++i) sessions.push_back(small->create_session());
  std::vector<int> serving(sessions.size(), -1);
  std::vector<std::vector<uint32_t>> got(requests.size());
  size_t next = 0, done = 0, cancelled = 0;
  while (done < requests.size()) {
    for (size_t s = 0; s < sessions.size(); ++s) {
      if (serving[s] >= 0) {
        for (const uint32_t token : small->take_tokens(sessions[s])) got[serving[s]].push_back(token);
        if (small->progress(sessions[s]).finish == Finish::running) continue;
        ++done;
        serving[s] = -1;
      }
      if (next == requests.size() || random() % 3 == 0) continue;
      ASSERT_TRUE(small->submit(sessions[s], requests[next]).has_value());
      serving[s] = static_cast<int>(next++);
    }
    if (random() % 20 == 0) {  // a client that goes away, and comes back
      const size_t s = random() % sessions.size();
      if (serving[s] >= 0 && small->progress(sessions[s]).finish == Finish::running) {
        small->finish(sessions[s], Finish::cancelled);
        small->take_tokens(sessions[s]);
        got[serving[s]].clear();
        ASSERT_TRUE(small->submit(sessions[s], requests[serving[s]]).has_value());
        ++cancelled;
      }
    }
    ASSERT_TRUE(small->step().has_value());
    const Result<void> verified = small->verify();
    ASSERT_TRUE(verified.has_value()) << verified.error().message();
  }
  EXPECT_GT(cancelled, 3u);
  EXPECT_GT(small->schedule_stats().preemptions, 0u);
  EXPECT_GT(small->cache_stats().evicted_pages, 20u);
  EXPECT_GT(small->cache_stats().matched_tokens, 300u);
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(got[i], expected[i]) << "request " << i;
  for (const SessionId session : sessions) small->free_session(session);
  const CacheStats cache = small->cache_stats();
  EXPECT_EQ(cache.free_pages + cache.evictable_pages, cache.num_pages);
  EXPECT_EQ(cache.num_leases, 0u);
}

TEST_F(EngineTest, AHitCostsOnlyWhatIsNew) {
  std::unique_ptr<Engine> fresh = engine(512, 1024, 512);
  const std::vector<uint32_t> shared = prompt(50, 203);  // twelve pages and eleven rows
  const auto with = [&](uint32_t seed, size_t length) {
    std::vector<uint32_t> tokens = shared;
    for (const uint32_t token : prompt(seed, length)) tokens.push_back(token);
    return tokens;
  };
  const SessionId one = fresh->create_session(), two = fresh->create_session();
  ASSERT_TRUE(fresh->submit(one, request(with(1, 10), 5)).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->progress(one).forwarded_tokens, 213 + 4u);
  // Another session, another end: the shared rows are found, those of the last page copied.
  const TokenRequest other = request(with(2, 7), 5);
  ASSERT_TRUE(fresh->submit(two, other).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->progress(two).cached_tokens, 203u);
  EXPECT_EQ(fresh->progress(two).forwarded_tokens, 7 + 4u);
  EXPECT_EQ(fresh->take_tokens(two), alone(other));
  // A prompt that is cached whole computes its last token.
  ASSERT_TRUE(fresh->submit(one, other).has_value());
  run(*fresh);
  EXPECT_EQ(fresh->progress(one).cached_tokens, 209u);
  EXPECT_EQ(fresh->progress(one).forwarded_tokens, 1 + 4u);
  EXPECT_EQ(fresh->take_tokens(one), alone(other));
  EXPECT_TRUE(fresh->verify().has_value());
}

TEST_F(EngineTest, RequestsAtOnceComputeTheirSharedPromptOnce) {
  std::unique_ptr<Engine> fresh = engine(512, 4096, 512);
  const std::vector<uint32_t> shared = prompt(50, 160);
  std::vector<SessionId> sessions;
  std::vector<TokenRequest> wanted;
  for (uint32_t i = 0; i < 8; ++i) {
    std::vector<uint32_t> tokens = shared;
    for (const uint32_t token : prompt(60 + i, 5)) tokens.push_back(token);
    wanted.push_back(request(std::move(tokens), 3));
    sessions.push_back(fresh->create_session());
    ASSERT_TRUE(fresh->submit(sessions.back(), wanted.back()).has_value());
  }
  run(*fresh);
  EXPECT_EQ(fresh->schedule_stats().forwarded_tokens, 160 + 8 * (5 + 2u));
  for (size_t i = 0; i < sessions.size(); ++i) EXPECT_EQ(fresh->take_tokens(sessions[i]), alone(wanted[i]));
}

TEST_F(EngineTest, ChoicesShareOnePrefillAndEqualTheirOwnSeedsAlone) {
  for (const size_t length : {150u, 160u, 3u}) {  // within a page, at its end, less than one
    std::unique_ptr<Engine> fresh = engine(512, 2048, 64);
    TokenRequest wanted = request(prompt(20, length), 12);
    wanted.sampling.temperature = 1.0f;
    wanted.sampling.seed = 100;
    std::vector<SessionId> sessions;
    for (int i = 0; i < 5; ++i) sessions.push_back(fresh->create_session());
    ASSERT_TRUE(fresh->submit_choices(sessions, wanted).has_value());
    EXPECT_FALSE(fresh->submit(sessions[3], wanted).has_value());
    run(*fresh);
    EXPECT_EQ(fresh->schedule_stats().forwarded_tokens, length + 5 * 11);
    for (size_t i = 0; i < sessions.size(); ++i) {
      TokenRequest one = wanted;
      one.sampling.seed = 100 + i;
      EXPECT_EQ(fresh->take_tokens(sessions[i]), alone(one)) << "choice " << i;
      EXPECT_EQ(fresh->progress(sessions[i]).forwarded_tokens, i == 0 ? length + 11 : 11u);
    }
    EXPECT_TRUE(fresh->verify().has_value());
  }
}

TEST_F(EngineTest, ChoicesOutliveTheOneThatComputesTheirPrompt) {
  std::unique_ptr<Engine> fresh = engine(512, 512, 32);
  TokenRequest wanted = request(prompt(21, 100), 6);
  wanted.sampling.temperature = 1.0f;
  std::vector<SessionId> sessions;
  for (int i = 0; i < 4; ++i) sessions.push_back(fresh->create_session());
  ASSERT_TRUE(fresh->submit_choices(sessions, wanted).has_value());
  ASSERT_TRUE(fresh->step().has_value());
  fresh->finish(sessions[2], Finish::cancelled);  // one that waits
  fresh->finish(sessions[0], Finish::cancelled);  // the one that computes, amid its prompt
  run(*fresh);
  for (const size_t i : {1u, 3u}) {
    TokenRequest one = wanted;
    one.sampling.seed = i;
    EXPECT_EQ(fresh->take_tokens(sessions[i]), alone(one)) << "choice " << i;
  }
  EXPECT_EQ(fresh->schedule_stats().forwarded_tokens, 100 + 2 * 5u);
  for (const SessionId session : sessions) fresh->free_session(session);
  EXPECT_TRUE(fresh->verify().has_value());
  EXPECT_EQ(fresh->cache_stats().num_leases, 0u);
}

TEST_F(EngineTest, MoreChoicesThanPagesStillEachGetTheirTokens) {
  std::unique_ptr<Engine> small = engine(64, 96, 32);  // six pages
  TokenRequest wanted = request(prompt(22, 40), 20);
  wanted.sampling.temperature = 1.0f;
  std::vector<SessionId> sessions;
  for (int i = 0; i < 9; ++i) sessions.push_back(small->create_session());
  ASSERT_TRUE(small->submit_choices(sessions, wanted).has_value());
  run(*small);
  for (size_t i = 0; i < sessions.size(); ++i) {
    TokenRequest one = wanted;
    one.sampling.seed = i;
    EXPECT_EQ(small->take_tokens(sessions[i]), alone(one)) << "choice " << i;
  }
  EXPECT_TRUE(small->verify().has_value());
}

TEST_F(EngineTest, LogprobsAreThoseOfTheModelWhateverTheSampling) {
  std::unique_ptr<Engine> fresh = engine(512, 512);
  const SessionId session = fresh->create_session();
  TokenRequest wanted = request(prompt(23, 30), 8);
  wanted.sampling.temperature = 0.7f;
  wanted.sampling.repetition_penalty = 1.3f;
  wanted.wants_logprobs = true;
  wanted.top_logprobs = 4;
  ASSERT_TRUE(fresh->submit(session, wanted).has_value());
  run(*fresh);
  const std::vector<TokenLogprobs> logprobs = fresh->take_logprobs(session);
  const std::vector<uint32_t> tokens = fresh->take_tokens(session);
  ASSERT_EQ(logprobs.size(), 8u);
  std::vector<uint32_t> all = wanted.prompt;
  all.insert(all.end(), tokens.begin(), tokens.end());
  size_t i = 0;
  ASSERT_TRUE(fresh
                  ->compute_logits(session, all, 29,
                                   [&](size_t, std::span<float> logits) {
                                     if (i == tokens.size()) return;
                                     EXPECT_EQ(logprobs[i].chosen.id, tokens[i]);
                                     EXPECT_NEAR(logprobs[i].chosen.logprob,
                                                 log_probability(logits, tokens[i]), 1e-5);
                                     ASSERT_EQ(logprobs[i].top.size(), 4u);
                                     EXPECT_EQ(logprobs[i].top[0].id, argmax(logits));
                                     ++i;
                                   })
                  .has_value());
  EXPECT_EQ(i, tokens.size());
}

TEST_F(EngineTest, ADeadlineEndsARequestWithinOneStep) {
  uint64_t now = 1'000'000;
  EngineOptions options;
  options.context_tokens = options.kv_tokens = 512;
  options.page_tokens = 16;
  options.now_us = [&] { return now; };
  std::unique_ptr<Engine> timed = std::move(*Engine::create(*device_, *decoder_, options));
  const SessionId late = timed->create_session(), patient = timed->create_session();
  TokenRequest wanted = request(prompt(24, 20), 50);
  wanted.timeout_us = 5000;
  ASSERT_TRUE(timed->submit(late, wanted).has_value());
  ASSERT_TRUE(timed->submit(patient, request(prompt(25, 20), 50)).has_value());
  for (int step = 0; step < 4; ++step) {
    now += 1000;
    ASSERT_TRUE(timed->step().has_value());
  }
  EXPECT_EQ(timed->progress(late).finish, Finish::running);
  now += 1000;
  ASSERT_TRUE(timed->step().has_value());
  EXPECT_EQ(timed->progress(late).finish, Finish::deadline);
  EXPECT_EQ(timed->take_tokens(late).size(), 4u);
  run(*timed);
  EXPECT_EQ(timed->take_tokens(patient).size(), 50u);
}

TEST_F(EngineTest, LogitsOfOneCallEqualThoseOfDecoding) {
  std::unique_ptr<Engine> fresh = engine(512, 512);
  const SessionId session = fresh->create_session();
  const std::vector<uint32_t> tokens = prompt(9, 150);
  std::map<size_t, std::vector<float>> all;
  ASSERT_TRUE(fresh
                  ->compute_logits(session, tokens, 0,
                                   [&](size_t row, std::span<float> logits) {
                                     all[row].assign(logits.begin(), logits.end());
                                   })
                  .has_value());
  ASSERT_EQ(all.size(), tokens.size());
  for (const size_t first : {size_t{149}, size_t{70}}) {
    size_t rows = 0;
    ASSERT_TRUE(fresh
                    ->compute_logits(session, tokens, first,
                                     [&](size_t row, std::span<float> logits) {
                                       EXPECT_TRUE(std::ranges::equal(logits, all[row])) << "row " << row;
                                       ++rows;
                                     })
                    .has_value());
    EXPECT_EQ(rows, tokens.size() - first);
  }
}

TEST_F(EngineTest, RefusesWhatCannotWorkWithBothNumbers) {
  std::unique_ptr<Engine> small = engine(64, 64);
  const SessionId session = small->create_session();
  const auto message = [&](TokenRequest wanted) {
    Result<void> result = small->submit(session, std::move(wanted));
    return result ? std::string() : result.error().message();
  };
  EXPECT_THAT(message(request(prompt(1, 65), 1)), ::testing::AllOf(HasSubstr("65"), HasSubstr("64")));
  EXPECT_THAT(message(request(prompt(1, 64), 1)), HasSubstr("no room"));
  EXPECT_THAT(message(request({}, 1)), HasSubstr("empty"));
  EXPECT_THAT(message(request({97}, 1)), HasSubstr("vocabulary has 97"));
  TokenRequest hot = request(prompt(1, 4), 1);
  hot.sampling.temperature = -1.0f;
  EXPECT_THAT(message(hot), HasSubstr("temperature"));
  ASSERT_EQ(message(request(prompt(1, 4), 4)), "");
  EXPECT_THAT(message(request(prompt(1, 4), 4)), HasSubstr("still answers"));
  EngineOptions impossible;
  impossible.context_tokens = 100;
  impossible.kv_tokens = 50;
  EXPECT_FALSE(Engine::create(*device_, *decoder_, impossible).has_value());
}

}  // namespace
}  // namespace tattletale

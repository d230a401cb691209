// The scheduler over a simulated model: any mix of arrivals, cancels, forks and preemptions gives every
// request the tokens it gets alone, loses no page, and makes nobody wait for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "engine/simulated_model.h"

namespace tattletale::testing {
namespace {

struct PoolSetup {
  uint64_t num_pages = 64;
  uint32_t page_tokens = 16;
  uint32_t vocab = 50;
  bool can_copy = true;
  StepLimits limits{64, 256};
};

/// A scheduler, its trie and a simulated model; runs steps and hands out tokens.
class Simulation {
 public:
  struct Request : Sequence {
    std::vector<uint32_t> prompt;
    uint64_t max_new = 1;
    std::vector<uint32_t> got;
    uint64_t submitted_at = 0, done_at = 0;  // steps
    bool done = false;
  };

  explicit Simulation(const PoolSetup& setup)
      : setup_(setup), model_(setup.num_pages, setup.page_tokens, setup.vocab) {
    TrieOptions options;
    options.pool.num_pages = setup.num_pages;
    options.pool.page_tokens = setup.page_tokens;
    trie_ = std::move(*RadixTrie::create(std::move(options)));
    scheduler_ = std::make_unique<Scheduler>(*trie_, setup.can_copy);
  }

  void submit(Request& request, std::vector<uint32_t> prompt, uint64_t max_new) {
    request.prompt = prompt;
    request.tokens = std::move(prompt);
    request.max_new = max_new;
    request.got.clear();
    request.done = false;
    request.preemptions = 0;
    request.forwarded_tokens = request.cached_tokens = 0;
    request.submitted_at = scheduler_->stats().steps;
    scheduler_->add(request);
  }

  void cancel(Request& request) {
    scheduler_->remove(request, true);
    request.done = true;
  }

  /// One step; the plan it ran.
  const StepPlan& step() {
    const StepPlan& plan = scheduler_->plan(setup_.limits);
    uint64_t tokens = 0;
    for (const PageCopy& copy : plan.copies) model_.copy(copy);
    scheduler_->copies_done();
    std::vector<uint64_t> prefixes;
    for (const StepPart& part : plan.parts) {
      tokens += part.num_tokens;
      EXPECT_GT(part.num_tokens, 0u);
      prefixes.emplace_back();
      model_.compute(*part.sequence, part.num_tokens, prefixes.back());
    }
    EXPECT_LE(tokens, setup_.limits.max_tokens);
    EXPECT_LE(plan.parts.size(), setup_.limits.max_sequences);
    for (size_t i = 0; i < plan.parts.size(); ++i) {
      Request& request = static_cast<Request&>(*plan.parts[i].sequence);
      const bool yields = plan.parts[i].wants_logits();
      scheduler_->computed(request, plan.parts[i].num_tokens);
      if (!yields) continue;
      const uint32_t token = model_.next_token(prefixes[i]);
      if (fork_ != nullptr) fork(request, token);
      accept(request, token);
    }
    return plan;
  }

  /// The next request that yields a token is joined by `child`.
  void fork_next(Request& child) { fork_ = &child; }

  void run() {
    while (scheduler_->has_work()) step();
  }

  void expect_right(const Request& request) {
    EXPECT_EQ(request.got, model_.answer(request.prompt, request.max_new));
  }

  void expect_conserved() {
    const Result<void> verified = scheduler_->verify();
    ASSERT_TRUE(verified.has_value()) << verified.error().message();
  }
  void expect_idle() {
    expect_conserved();
    EXPECT_EQ(trie_->num_free_pages() + trie_->num_evictable_pages(), trie_->num_pages());
    EXPECT_EQ(trie_->stats().num_leases, 0u);
  }

  RadixTrie& trie() { return *trie_; }
  Scheduler& scheduler() { return *scheduler_; }

 private:
  void accept(Request& request, uint32_t token) {
    request.tokens.push_back(token);
    request.got.push_back(token);
    if (request.got.size() < request.max_new) return;
    scheduler_->remove(request, true);
    request.done = true;
    request.done_at = scheduler_->stats().steps;
  }

  void fork(Request& parent, uint32_t token) {
    Request& child = *std::exchange(fork_, nullptr);
    child.prompt = parent.tokens;
    child.tokens = parent.tokens;
    child.max_new = std::clamp<uint64_t>(setup_.num_pages * setup_.page_tokens - parent.tokens.size(), 1, 5);
    child.got.clear();
    child.done = false;
    child.submitted_at = scheduler_->stats().steps;
    if (const std::optional<PageCopy> copy = scheduler_->fork(parent, child)) model_.copy(*copy);
    accept(child, token);
  }

  PoolSetup setup_;
  SimulatedModel model_;
  std::unique_ptr<RadixTrie> trie_;
  std::unique_ptr<Scheduler> scheduler_;
  Request* fork_ = nullptr;
};

using Request = Simulation::Request;

std::vector<uint32_t> random_tokens(std::mt19937& random, size_t length) {
  std::vector<uint32_t> tokens(length);
  for (uint32_t& token : tokens) token = random() % 50;
  return tokens;
}

/// Prompts that share beginnings: a prefix of one of a few long texts, then some tokens of their own.
class Prompts {
 public:
  explicit Prompts(uint32_t seed) : random_(seed) {
    for (int i = 0; i < 4; ++i) texts_.push_back(random_tokens(random_, 400));
  }
  std::vector<uint32_t> next(size_t max_tokens) {
    const std::vector<uint32_t>& text = texts_[random_() % texts_.size()];
    std::vector<uint32_t> prompt(text.begin(), text.begin() + random_() % max_tokens);
    if (random_() % 4 != 0 || prompt.empty()) {
      const std::vector<uint32_t> own = random_tokens(random_, 1 + random_() % 20);
      prompt.insert(prompt.end(), own.begin(), own.end());
    }
    if (prompt.size() > max_tokens) prompt.resize(max_tokens);
    return prompt;
  }

 private:
  std::mt19937 random_;
  std::vector<std::vector<uint32_t>> texts_;
};

class ScheduleSoak : public ::testing::TestWithParam<PoolSetup> {};

TEST_P(ScheduleSoak, EveryRequestGetsItsOwnTokensAndNoPageIsLost) {
  const PoolSetup setup = GetParam();
  const uint64_t context = std::min<uint64_t>(setup.num_pages * setup.page_tokens, 200);
  Simulation simulation(setup);
  std::mt19937 random(17);
  Prompts prompts(3);
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < 24; ++i) {
    requests.push_back(std::make_unique<Request>());
    requests.back()->done = true;
  }
  uint64_t finished = 0, cancelled = 0, forked = 0, longest_wait = 0;
  Request* child = nullptr;
  const auto retire = [&](Request& request) {
    ++finished;
    longest_wait = std::max(longest_wait, request.done_at - request.submitted_at);
    simulation.expect_right(request);
    request.max_new = 0;  // seen
  };
  for (uint64_t step = 0; step < 60000; ++step) {
    for (const std::unique_ptr<Request>& request : requests) {
      if (request->done && request->max_new != 0 && request->got.size() == request->max_new) retire(*request);
      if (!request->done || request.get() == child || random() % 16 != 0) continue;
      if (child == nullptr && random() % 8 == 0) {
        child = request.get();
        simulation.fork_next(*child);
      } else {
        const uint64_t max_new = 1 + random() % std::min<uint64_t>(60, context / 2);
        simulation.submit(*request, prompts.next(context - max_new), max_new);
      }
    }
    if (random() % 40 == 0) {
      Request& victim = *requests[random() % requests.size()];
      if (!victim.done && &victim != child) {
        simulation.cancel(victim);
        victim.max_new = 0;
        ++cancelled;
      }
    }
    if (simulation.scheduler().has_work()) simulation.step();
    if (child != nullptr && child->state != Sequence::State::idle) {
      ++forked;
      child = nullptr;
    } else if (child != nullptr && child->done && child->max_new == 1 && child->got.size() == 1) {
      child = nullptr;  // it ended with its first token
    }
    if (step % 1000 == 0) simulation.expect_conserved();
    ASSERT_FALSE(HasFailure()) << "step " << step;
  }
  simulation.run();
  for (const std::unique_ptr<Request>& request : requests) {
    if (request->done && request->max_new != 0 && request->got.size() == request->max_new) retire(*request);
  }
  simulation.expect_idle();
  EXPECT_GT(finished, 300u);
  EXPECT_GT(cancelled, 30u);
  EXPECT_GT(forked, 10u);
  EXPECT_GT(simulation.trie().stats().matched_tokens, 1000u);
  EXPECT_LT(longest_wait, requests.size() * 260);  // each older one's longest prompt and answer
  if (setup.num_pages < 40) {
    // With one page no two requests run side by side.
    EXPECT_EQ(simulation.scheduler().stats().preemptions > 0, setup.num_pages > 1);
    EXPECT_GT(simulation.trie().stats().evicted_pages, 100u);
  }
}

INSTANTIATE_TEST_SUITE_P(Pools, ScheduleSoak,
                         ::testing::Values(PoolSetup{.num_pages = 400}, PoolSetup{.num_pages = 20},
                                           PoolSetup{.num_pages = 13, .limits = {16, 256}},
                                           PoolSetup{.num_pages = 13, .can_copy = false},
                                           PoolSetup{.num_pages = 30, .limits = {7, 4}},
                                           PoolSetup{.num_pages = 30, .limits = {1, 256}},
                                           PoolSetup{.num_pages = 1, .vocab = 3},
                                           PoolSetup{.num_pages = 14, .page_tokens = 32, .limits = {48, 3}}),
                         [](const auto& test) {
                           const PoolSetup& s = test.param;
                           return std::to_string(s.num_pages) + "PagesOf" + std::to_string(s.page_tokens) +
                                  "Step" + std::to_string(s.limits.max_tokens) + "x" +
                                  std::to_string(s.limits.max_sequences) + (s.can_copy ? "" : "NoCopy");
                         });

TEST(Schedule, ALongPromptNeverStallsRunningDecodes) {
  Simulation simulation({.num_pages = 400, .limits = {32, 256}});
  std::mt19937 random(1);
  std::vector<Request> talkers(6);
  for (Request& talker : talkers) simulation.submit(talker, random_tokens(random, 5), 150);
  while (std::ranges::any_of(talkers, [](const Request& r) { return r.got.empty(); })) simulation.step();
  Request reader;
  simulation.submit(reader, random_tokens(random, 3000), 5);
  while (reader.got.empty()) {
    const StepPlan& plan = simulation.step();
    EXPECT_EQ(plan.parts.size(), talkers.size() + 1);
    ASSERT_FALSE(HasFailure());
  }
  // 26 tokens a step are left for the prompt, and all are used.
  EXPECT_LE(simulation.scheduler().stats().steps, 3000 / 26 + 10u);
}

TEST(Schedule, ManyDecodesNeverStarveAPrompt) {
  Simulation simulation({.num_pages = 400, .limits = {8, 256}});
  std::mt19937 random(1);
  std::vector<Request> talkers(20);  // more than a step has tokens
  for (Request& talker : talkers) simulation.submit(talker, random_tokens(random, 2), 200);
  while (std::ranges::any_of(talkers, [](const Request& r) { return r.got.empty(); })) simulation.step();
  Request reader;
  simulation.submit(reader, random_tokens(random, 40), 1);
  std::vector<size_t> before;
  for (const Request& talker : talkers) before.push_back(talker.got.size());
  uint64_t steps = 0;
  for (; reader.got.empty(); ++steps) simulation.step();
  EXPECT_LE(steps, 21u);  // two tokens a step
  for (size_t i = 0; i < talkers.size(); ++i)
    EXPECT_GE(talkers[i].got.size() - before[i], steps * 6 / 20 - 1);
  simulation.run();
}

TEST(Schedule, TheOldestIsNeverPreemptedAndTheYoungestGivesWay) {
  Simulation simulation({.num_pages = 12, .limits = {64, 256}});
  std::mt19937 random(5);
  std::vector<Request> requests(4);
  for (Request& request : requests) simulation.submit(request, random_tokens(random, 30), 100);
  simulation.run();
  EXPECT_EQ(requests[0].preemptions, 0u);
  EXPECT_GT(simulation.scheduler().stats().preemptions, 0u);
  for (const Request& request : requests) simulation.expect_right(request);
  simulation.expect_idle();
}

TEST(Schedule, APreemptedRequestComesBackAsAPrefixHit) {
  Simulation simulation({.num_pages = 16, .limits = {64, 256}});
  std::mt19937 random(5);
  std::vector<Request> requests(2);
  simulation.submit(requests[0], random_tokens(random, 60), 100);
  simulation.submit(requests[1], random_tokens(random, 90), 60);
  simulation.run();
  EXPECT_GT(requests[1].preemptions, 0u);
  // Without the cache each preemption would compute its 90 tokens and more again.
  EXPECT_LT(requests[1].forwarded_tokens, 90 + 60 + 90u * requests[1].preemptions);
  for (const Request& request : requests) simulation.expect_right(request);
}

TEST(Schedule, RequestsThatShareAPromptComputeItOnce) {
  Simulation simulation({.num_pages = 400, .limits = {256, 256}});
  std::mt19937 random(2);
  const std::vector<uint32_t> shared = random_tokens(random, 160);  // ten pages
  std::vector<Request> requests(8);
  for (Request& request : requests) {
    std::vector<uint32_t> prompt = shared;
    for (const uint32_t token : random_tokens(random, 7)) prompt.push_back(token);
    simulation.submit(request, std::move(prompt), 4);
  }
  simulation.run();
  // 160 once, then for each its own 7 and three of the four tokens of its answer.
  EXPECT_EQ(simulation.scheduler().stats().forwarded_tokens, 160 + 8 * (7 + 3u));
  for (size_t i = 1; i < requests.size(); ++i) EXPECT_EQ(requests[i].cached_tokens, 160u);
  for (const Request& request : requests) simulation.expect_right(request);
}

TEST(Schedule, APartlySharedPageIsCopiedAndNotComputed) {
  Simulation simulation({.num_pages = 40, .limits = {256, 256}});
  std::mt19937 random(2);
  const std::vector<uint32_t> first = random_tokens(random, 60);
  std::vector<Request> requests(2);
  simulation.submit(requests[0], first, 1);
  simulation.run();
  std::vector<uint32_t> second(first.begin(), first.begin() + 55);  // 3 pages and 7 rows
  second.push_back(first[55] + 1);
  simulation.submit(requests[1], second, 1);
  EXPECT_EQ(simulation.step().copies.size(), 1u);
  simulation.run();
  EXPECT_EQ(requests[1].cached_tokens, 55u);
  EXPECT_EQ(requests[1].forwarded_tokens, 1u);
  simulation.expect_right(requests[1]);
}

TEST(Schedule, PagesAreSharedWhilePrefillAndDecodeGoOn) {
  Simulation simulation({.num_pages = 40, .limits = {32, 256}});
  std::mt19937 random(2);
  const std::vector<uint32_t> prompt = random_tokens(random, 100);
  Request first;
  simulation.submit(first, prompt, 50);
  simulation.step();
  EXPECT_EQ(simulation.trie().peek(prompt), 32u);
  simulation.step();
  EXPECT_EQ(simulation.trie().peek(prompt), 64u);
  while (first.got.size() < 30) simulation.step();
  EXPECT_EQ(simulation.trie().peek(first.tokens), 128u);  // 129 are computed
  simulation.cancel(first);
  simulation.expect_idle();
}

TEST(Schedule, ACancelReleasesItsPagesAtOnce) {
  Simulation simulation({.num_pages = 40, .limits = {32, 256}});
  std::mt19937 random(2);
  std::vector<Request> requests(3);
  for (Request& request : requests) simulation.submit(request, random_tokens(random, 100), 50);
  simulation.step();
  simulation.step();
  for (Request& request : requests) {
    simulation.cancel(request);
    simulation.expect_conserved();
  }
  simulation.expect_idle();
  EXPECT_FALSE(simulation.scheduler().has_work());
}

TEST(Schedule, NobodyOvertakesARequestThatWaitsForPages) {
  Simulation simulation({.num_pages = 20, .limits = {64, 256}});
  std::mt19937 random(9);
  Request holder, large;
  simulation.submit(holder, random_tokens(random, 100), 60);  // ten pages at its end
  simulation.step();
  simulation.step();
  simulation.submit(large, random_tokens(random, 250), 5);  // sixteen
  std::vector<Request> small(30);
  size_t submitted = 0;
  while (!large.done) {
    if (submitted < small.size()) simulation.submit(small[submitted++], random_tokens(random, 5), 3);
    simulation.step();
    for (size_t i = 0; i < submitted && large.state == Sequence::State::waiting; ++i)
      EXPECT_EQ(small[i].state, Sequence::State::waiting);
  }
  simulation.run();
  for (size_t i = 0; i < submitted; ++i) simulation.expect_right(small[i]);
  simulation.expect_right(large);
}

TEST(Schedule, AForkSharesWhatItsParentComputed) {
  Simulation simulation({.num_pages = 40, .limits = {256, 256}});
  std::mt19937 random(4);
  Request parent, child;
  simulation.submit(parent, random_tokens(random, 70), 5);
  simulation.fork_next(child);
  simulation.run();
  EXPECT_EQ(child.got, parent.got);
  EXPECT_EQ(child.forwarded_tokens, 4u);
  EXPECT_EQ(simulation.scheduler().stats().forwarded_tokens, 70 + 4 + 4u);
  simulation.expect_idle();
}

}  // namespace
}  // namespace tattletale::testing

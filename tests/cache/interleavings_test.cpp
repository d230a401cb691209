// Orders of small sets of requests of six operations each: all orders of two requests, every 997th of the 17
// million of three, a seeded sample of four. Each starts from a fresh cache and is verified after every
// operation.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "cache/radix_trie.h"
#include "cache/trie_verifier.h"
#include "model_cache.h"

namespace tattletale::testing {
namespace {

Tokens run_of(uint32_t first, uint64_t num) {
  Tokens tokens(num);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}
Tokens join(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// One request, advanced operation by operation; `cancels` drops it instead of finishing.
struct Actor {
  Tokens tokens;
  bool cancels = false;
  Lease lease;
  std::vector<PageId> pages;
  uint32_t done = 0;
};
constexpr uint32_t kOperations = 6;  // match, allocate, extend one page, extend all, evict, finish or drop

class Interleaving {
 public:
  explicit Interleaving(const std::vector<std::pair<Tokens, bool>>& requests)
      : trie_(std::move(*RadixTrie::create({.pool = {.num_pages = 11}}))) {
    for (const auto& [tokens, cancels] : requests) actors_.push_back({.tokens = tokens, .cancels = cancels});
  }
  void advance(size_t who) {
    Actor& actor = actors_[who];
    switch (actor.done++) {
      case 0: actor.lease = trie_->match(actor.tokens, actor.pages); break;
      case 1: {
        const uint64_t needed = (actor.tokens.size() + 15) / 16 - actor.pages.size();
        if (!trie_->allocate_pages(actor.lease, needed, actor.pages)) actor.cancels = true;
        break;
      }
      case 2:
      case 3: {
        if (actor.cancels && trie_->num_private_pages(actor.lease) == 0) break;
        const uint64_t first = trie_->published_tokens(actor.lease) + 16;
        const uint64_t num =
            actor.done == 3 ? std::min<uint64_t>(first, actor.tokens.size()) : actor.tokens.size();
        trie_->extend(actor.lease, ModelCache::head(actor.tokens, num), actor.pages);
        EXPECT_GE(trie_->peek(actor.tokens), trie_->published_tokens(actor.lease));
        break;
      }
      case 4: {
        const uint64_t evictable = trie_->num_evictable_pages();
        EXPECT_EQ(trie_->evict(2).num_freed, std::min<uint64_t>(2, evictable));
        EXPECT_GE(trie_->peek(actor.tokens), trie_->published_tokens(actor.lease));
        break;
      }
      default:
        if (actor.cancels)
          actor.lease.release();
        else
          trie_->finish(std::move(actor.lease), actor.tokens, actor.pages);
    }
    const auto verdict = TrieVerifier::verify(*trie_);
    ASSERT_TRUE(verdict) << verdict.error().message();
  }
  void end() {
    trie_->evict(100);
    EXPECT_EQ(trie_->num_free_pages(), 11u);
    EXPECT_EQ(trie_->num_nodes(), 0u);
  }

 private:
  std::unique_ptr<RadixTrie> trie_;
  std::vector<Actor> actors_;
};

using Requests = std::vector<std::pair<Tokens, bool>>;

std::string first_order(const Requests& requests) {
  std::string order;
  for (size_t who = 0; who < requests.size(); ++who) order.append(kOperations, static_cast<char>('0' + who));
  return order;
}

bool run_order(const Requests& requests, const std::string& order) {
  Interleaving interleaving(requests);
  for (const char who : order) interleaving.advance(static_cast<size_t>(who - '0'));
  interleaving.end();
  if (::testing::Test::HasFailure()) ADD_FAILURE() << "order " << order;
  return !::testing::Test::HasFailure();
}

/// All orders, or every stride-th. Returns how many were run.
uint64_t run_all(const Requests& requests, uint64_t stride) {
  std::string order = first_order(requests);
  uint64_t number = 0, num_run = 0;
  do {
    if (number++ % stride != 0) continue;
    if (!run_order(requests, order)) return num_run;
    ++num_run;
  } while (std::next_permutation(order.begin(), order.end()));
  return num_run;
}

/// `num` orders drawn evenly from all.
void run_sample(const Requests& requests, uint64_t num) {
  std::string order = first_order(requests);
  std::mt19937 random(17);
  for (uint64_t i = 0; i < num; ++i) {
    std::shuffle(order.begin(), order.end(), random);
    if (!run_order(requests, order)) return;
  }
}

const Tokens kTrunk = run_of(0, 20);

TEST(CacheInterleavings, TwoRequestsThatShareAndPart) {
  EXPECT_EQ(run_all({{join(kTrunk, run_of(100, 20)), false}, {join(kTrunk, run_of(200, 20)), false}}, 1),
            924u);
}
TEST(CacheInterleavings, TwoEqualRequests) {
  EXPECT_EQ(run_all({{run_of(0, 37), false}, {run_of(0, 37), false}}, 1), 924u);
}
TEST(CacheInterleavings, OneExtendsTheOthersTailAndOneCancels) {
  EXPECT_EQ(run_all({{run_of(0, 24), false}, {run_of(0, 40), false}}, 1), 924u);
  EXPECT_EQ(run_all({{run_of(0, 24), true}, {run_of(0, 40), false}}, 1), 924u);
}
TEST(CacheInterleavings, ThreeRequests) {
  EXPECT_GT(
      run_all({{join(kTrunk, run_of(100, 15)), false}, {run_of(0, 24), true}, {run_of(0, 18), false}}, 997),
      17'000u);
}
TEST(CacheInterleavings, FourRequests) {
  run_sample({{run_of(0, 33), false},
              {run_of(0, 24), false},
              {join(kTrunk, run_of(100, 15)), true},
              {join(kTrunk, {100, 7, 8, 9}), false}},
             30'000);
}

}  // namespace
}  // namespace tattletale::testing

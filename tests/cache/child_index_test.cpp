// Thousands of children under one node: trees, fans and fans of fans, growing and shrinking, against a plain
// set.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cache/radix_trie.h"
#include "cache/trie_verifier.h"

namespace tattletale {
namespace {

/// `make_key(random)` says how first tokens are spread.
template <class MakeKey>
void churn(MakeKey make_key, uint64_t min_fans) {
  constexpr uint64_t kPages = 6000;
  auto trie = std::move(*RadixTrie::create({.pool = {.num_pages = kPages}}));
  std::mt19937 random(11);
  std::vector<TokenId> tokens(16, 7);
  std::vector<PageId> pages;
  std::map<uint64_t, uint32_t> key_by_age;
  std::map<uint32_t, uint64_t> age_by_key;
  uint64_t most_fans = 0;
  for (uint64_t step = 0; step < 30'000; ++step) {
    const bool grows = (step / 5000) % 2 == 0;
    if (random() % 4 == (grows ? 0u : 1u) || trie->num_free_pages() == 0) {
      const uint64_t num = std::min<uint64_t>(1 + random() % (grows ? 2 : 12), key_by_age.size());
      ASSERT_EQ(trie->evict(num).num_freed, num);
      for (uint64_t i = 0; i < num; ++i) {
        age_by_key.erase(key_by_age.begin()->second);
        key_by_age.erase(key_by_age.begin());
      }
    } else {
      tokens[0] = make_key(random);
      Lease lease = trie->match(tokens, pages, {.recompute_last_token = false});
      const auto known = age_by_key.find(tokens[0]);
      ASSERT_EQ(lease.matched_tokens(), known == age_by_key.end() ? 0u : 16u);
      if (known == age_by_key.end()) {
        ASSERT_TRUE(trie->allocate_pages(lease, 1, pages));
      } else {
        key_by_age.erase(known->second);
      }
      trie->finish(std::move(lease), tokens, pages);
      age_by_key[tokens[0]] = step;
      key_by_age[step] = tokens[0];
    }
    most_fans = std::max(most_fans, trie->num_fans());
    ASSERT_EQ(trie->num_trie_pages(), key_by_age.size());
    if (step % 500 == 0) {
      const auto verdict = TrieVerifier::verify(*trie);
      ASSERT_TRUE(verdict) << "step " << step << ": " << verdict.error().message();
    }
  }
  for (const auto& [key, age] : age_by_key) {
    tokens[0] = key;
    ASSERT_EQ(trie->peek(tokens), 16u);
  }
  EXPECT_GE(most_fans, min_fans);
  trie->evict(kPages);
  EXPECT_EQ(trie->num_fans(), 0u);
  EXPECT_EQ(trie->num_nodes(), 0u);
  EXPECT_TRUE(TrieVerifier::verify(*trie));
}

TEST(ChildIndexTest, VocabularyTokens) {
  churn([](auto& random) { return random() % 128'000; }, 60);
}
TEST(ChildIndexTest, TokensThatShareTheirLowBits) {
  churn([](auto& random) { return random() % 4000 << 12; }, 10);
}
TEST(ChildIndexTest, TokensThatDifferInHighBitsOnly) {
  churn([](auto& random) { return random() % 16 << 28; }, 0);
}
TEST(ChildIndexTest, ReservedIds) {
  churn([](auto& random) { return static_cast<uint32_t>(random()); }, 60);
}

}  // namespace
}  // namespace tattletale

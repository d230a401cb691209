// Sixteen ways in which an earlier implementation of this idea broke, one test each, in the order of
// docs/cache.md.
#include <gtest/gtest.h>

#include <numeric>

#include "cache/radix_trie.h"
#include "cache/trie_verifier.h"
#include "model_cache.h"

namespace tattletale::testing {
namespace {

class KnownFailures : public ::testing::Test {
 protected:
  void SetUp() override { make(64); }
  void TearDown() override { expect_sound(); }
  void make(uint64_t num_pages, uint32_t page_tokens = 16, PageId first_page = 0) {
    auto made = RadixTrie::create(
        {.pool = {.num_pages = num_pages, .page_tokens = page_tokens, .first_page = first_page}});
    ASSERT_TRUE(made);
    trie_ = std::move(*made);
  }
  void expect_sound() {
    const Result<void> verdict = TrieVerifier::verify(*trie_);
    EXPECT_TRUE(verdict) << verdict.error().message();
  }
  static Tokens run_of(uint32_t first, uint64_t num) {
    Tokens tokens(num);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
  }
  static Tokens join(Tokens a, const Tokens& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  /// One whole request: match, allocate, publish everything.
  std::vector<PageId> serve(const Tokens& tokens) {
    std::vector<PageId> pages;
    Lease lease = trie_->match(tokens, pages);
    const uint64_t needed = (tokens.size() + trie_->page_tokens() - 1) / trie_->page_tokens();
    EXPECT_TRUE(trie_->allocate_pages(lease, needed - pages.size(), pages));
    trie_->finish(std::move(lease), tokens, pages);
    expect_sound();
    return pages;
  }
  uint64_t cached(const Tokens& tokens) { return trie_->peek(tokens); }

  std::unique_ptr<RadixTrie> trie_;
  std::vector<PageId> pages_;
};

TEST_F(KnownFailures, F01_DivergenceInsideANodeNeverReachesItsChildren) {
  const Tokens trunk = run_of(0, 64);
  serve(join(trunk, run_of(1000, 32)));
  serve(join(trunk, run_of(2000, 32)));
  Tokens query = ModelCache::head(trunk, 40);  // leaves the trunk at 40, then spells what a child begins with
  query = join(query, run_of(1000, 32));
  EXPECT_EQ(cached(query), 40u);
  const Lease lease = trie_->match(query, pages_);
  EXPECT_EQ(lease.matched_tokens(), 40u);
  EXPECT_EQ(pages_.size(), 2u);
}

TEST_F(KnownFailures, F02_ThirdBranchAtOnePointIsABranch) {
  const Tokens trunk = run_of(0, 32);
  for (uint32_t branch = 1; branch <= 3; ++branch) serve(join(trunk, run_of(branch * 1000, 20)));
  for (uint32_t branch = 1; branch <= 3; ++branch)
    EXPECT_EQ(cached(join(trunk, run_of(branch * 1000, 20))), 52u);
  EXPECT_EQ(trie_->num_nodes(), 4u);
}

TEST_F(KnownFailures, F03_ForkLeavesTheGrandparentsOtherChildren) {
  const Tokens a = run_of(1000, 48), b = run_of(2000, 48), c = run_of(3000, 48);
  serve(a);
  serve(b);
  serve(c);
  serve(join(ModelCache::head(b, 24), run_of(5000, 30)));  // forks b below the root
  for (const Tokens& tokens : {a, b, c}) EXPECT_EQ(cached(tokens), 48u);
  EXPECT_EQ(cached(join(ModelCache::head(b, 24), run_of(5000, 30))), 54u);
}

TEST_F(KnownFailures, F04_ExtendingAHalfFilledLastPage) {
  const Tokens first = run_of(0, 300);
  serve(first);  // 18 full pages and 12 rows
  const Tokens second = run_of(0, 400);
  Lease lease = trie_->match(second, pages_);
  EXPECT_EQ(lease.matched_tokens(), 300u);
  ASSERT_TRUE(lease.copy_source());
  EXPECT_EQ(lease.copy_source()->num_tokens, 12u);
  const PageId copied = lease.copy_source()->page;
  ASSERT_TRUE(trie_->allocate_pages(lease, 7, pages_));
  EXPECT_NE(pages_[18], copied);
  const PageId own = pages_[18];
  trie_->finish(std::move(lease), second, pages_);
  EXPECT_EQ(cached(second), 400u);
  Lease again = trie_->match(second, pages_, {.recompute_last_token = false});
  ASSERT_EQ(pages_.size(), 25u);
  EXPECT_EQ(pages_[18], own);
  EXPECT_EQ(trie_->num_trie_pages(), 25u);  // the half-filled page is gone: a full one holds its rows
}

TEST_F(KnownFailures, F05_SubPageSiblingHasPagesAlignedToPositions) {
  const std::vector<PageId> a = serve(run_of(0, 32));
  const Tokens sibling = join(run_of(0, 21), run_of(900, 27));  // parts inside page 1
  const std::vector<PageId> b = serve(sibling);
  Lease lease = trie_->match(sibling, pages_, {.recompute_last_token = false});
  EXPECT_EQ(lease.matched_tokens(), 48u);
  EXPECT_EQ(pages_, b);
  EXPECT_EQ(pages_[0], a[0]);
  EXPECT_NE(pages_[1], a[1]);  // page 1 holds tokens 16..31 of either, never a mixture
}

TEST_F(KnownFailures, F06_PageCountsStayTrueThroughForkEvictMerge) {
  for (uint32_t i = 0; i < 6; ++i) serve(join(run_of(0, 20 + i), run_of(1000 * (i + 1), 40)));
  const uint64_t held = trie_->num_trie_pages();
  EXPECT_EQ(trie_->num_free_pages() + held, 64u);
  for (uint64_t left = held; left > 0; --left) {
    EXPECT_EQ(trie_->evict(1).num_freed, 1u);
    EXPECT_EQ(trie_->num_trie_pages(), left - 1);
    EXPECT_EQ(trie_->num_evictable_pages(), left - 1);
    expect_sound();
  }
  EXPECT_EQ(trie_->num_free_pages(), 64u);
}

TEST_F(KnownFailures, F07_AFailedEvictionChangesNothing) {
  const Tokens tokens = run_of(0, 64);
  serve(tokens);
  const Lease lease = trie_->match(tokens, pages_, {.recompute_last_token = false});
  const EvictResult result = trie_->evict(3);
  EXPECT_EQ(result.num_freed, 0u);
  EXPECT_EQ(result.num_not_freed, 3u);
  EXPECT_EQ(cached(tokens), 64u);
  expect_sound();
}

TEST_F(KnownFailures, F08_TwoReadersOfOneLeafLeaveTheOtherLeafEvictable) {
  const Tokens trunk = run_of(0, 32), a = join(trunk, run_of(1000, 32)), b = join(trunk, run_of(2000, 32));
  serve(a);
  serve(b);
  std::vector<PageId> more;
  const Lease one = trie_->match(a, pages_, {.recompute_last_token = false});
  const Lease two = trie_->match(a, more, {.recompute_last_token = false});
  EXPECT_EQ(trie_->num_evictable_pages(), 2u);
  EXPECT_EQ(trie_->evict(64).num_freed, 2u);
  EXPECT_EQ(cached(a), 64u);
  EXPECT_EQ(cached(b), 32u);
}

TEST_F(KnownFailures, F09_ReleaseNamesItsPathAndACancelIsARelease) {
  const Tokens tokens = run_of(0, 64);
  serve(tokens);
  Lease lease = trie_->match(tokens, pages_, {.recompute_last_token = false});
  std::vector<PageId> other_pages;
  Lease other = trie_->match(join(ModelCache::head(tokens, 40), run_of(500, 40)), other_pages);
  ASSERT_TRUE(trie_->allocate_pages(other, 3, other_pages));
  trie_->extend(other, join(ModelCache::head(tokens, 40), run_of(500, 40)),
                other_pages);  // cuts the leased node
  other.release();
  EXPECT_EQ(trie_->num_evictable_pages(), 3u);
  trie_->evict(64);
  EXPECT_EQ(cached(tokens), 64u);  // still held
  lease.release();
  lease.release();  // a second release of the same lease does nothing
  EXPECT_EQ(trie_->num_evictable_pages(), 4u);
  EXPECT_EQ(trie_->evict(64).num_freed, 4u);
}

TEST_F(KnownFailures, F10_AColdLeafUnderAHotTrunkGoesFirst) {
  const Tokens trunk = run_of(0, 32);
  const Tokens cold = join(trunk, run_of(1000, 16)), hot = join(trunk, run_of(2000, 16)),
               lone = run_of(5000, 16);
  serve(cold);
  serve(lone);
  for (int i = 0; i < 3; ++i) serve(hot);
  EXPECT_EQ(trie_->evict(1).num_freed, 1u);
  EXPECT_EQ(cached(cold), 32u);  // the hot sibling does not shelter it
  EXPECT_EQ(cached(lone), 16u);
  EXPECT_EQ(trie_->evict(1).num_freed, 1u);
  EXPECT_EQ(cached(lone), 0u);
  EXPECT_EQ(cached(hot), 48u);
}

TEST_F(KnownFailures, F11_NodesShorterThanAPageCountTheirTokensOnce) {
  Tokens tokens = run_of(0, 16);
  std::vector<Tokens> all;
  for (uint32_t cut = 1; cut < 16; ++cut) {  // a node a token
    all.push_back(join(run_of(0, cut), run_of(1000 * cut, 20)));
    serve(all.back());
  }
  for (const Tokens& sequence : all) EXPECT_EQ(cached(sequence), sequence.size());
  EXPECT_EQ(cached(tokens), 15u);
}

TEST_F(KnownFailures, F12_TwoSiblingsShareTheirFirstTokensInsideAPage) {
  const Tokens a = join(run_of(0, 16), {7, 8, 9, 100, 101}), b = join(run_of(0, 16), {7, 8, 9, 200, 201});
  serve(a);
  serve(b);
  EXPECT_EQ(cached(a), 21u);
  EXPECT_EQ(cached(b), 21u);
  EXPECT_EQ(cached(join(run_of(0, 16), {7, 8, 9, 300})), 19u);
}

TEST_F(KnownFailures, F13_OneEvictionFreesManyPagesAndCountsOnlyFreedOnes) {
  for (uint32_t i = 0; i < 5; ++i) serve(run_of(1000 * i, 48));
  const Lease lease = trie_->match(run_of(0, 48), pages_, {.recompute_last_token = false});
  const uint64_t free_before = trie_->num_free_pages();
  const EvictResult result = trie_->evict(100);
  EXPECT_EQ(result.num_freed, 12u);
  EXPECT_EQ(result.num_not_freed, 88u);
  EXPECT_EQ(trie_->num_free_pages(), free_before + 12);
}

TEST_F(KnownFailures, F14_AHitSaysWherePrefillStarts) {
  serve(run_of(0, 100));
  const Lease lease = trie_->match(run_of(0, 120), pages_);
  EXPECT_EQ(lease.matched_tokens(), 100u);  // 20 tokens are left to compute
  EXPECT_EQ(pages_.size() * 16 + lease.copy_source()->num_tokens, 100u);
}

TEST_F(KnownFailures, F15_APromptCachedWholeLeavesOneTokenToForward) {
  for (const uint64_t length : {1, 16, 17, 32, 33}) {
    serve(run_of(0, length));
    const Lease lease = trie_->match(run_of(0, length), pages_);
    EXPECT_EQ(lease.matched_tokens(), length - 1);
  }
  const Lease nothing = trie_->match({}, pages_);
  EXPECT_EQ(nothing.matched_tokens(), 0u);
}

TEST_F(KnownFailures, F16_PageIdsAndOffsetsAre64Bit) {
  const PageId far = (uint64_t{1} << 33) + 5;
  make(64, 16, far);
  const std::vector<PageId> pages = serve(run_of(0, 64));
  EXPECT_EQ(trie_->match(run_of(0, 64), pages_, {.recompute_last_token = false}).matched_tokens(), 64u);
  EXPECT_EQ(pages, pages_);
  for (const PageId page : pages_) EXPECT_GE(page, far);
  constexpr uint64_t kPageBytes = uint64_t{16} * 32 * 8 * 128 * 2;
  EXPECT_EQ(page_offset_bytes(75'000, kPageBytes), 75'000 * kPageBytes);
  EXPECT_GT(page_offset_bytes(75'000, kPageBytes), uint64_t{UINT32_MAX});
}

}  // namespace
}  // namespace tattletale::testing

// The verifier must object to every kind of damage, and the lockstep comparison to a wrong cache.
#include <gtest/gtest.h>

#include <numeric>

#include "cache/trie_verifier.h"

namespace tattletale {

/// Reaches into a trie to damage it.
struct TrieTamper {
  static TrieNode& node(RadixTrie& trie, NodeIndex index) { return trie.nodes_[index]; }
  static NodeIndex high_water(RadixTrie& trie) { return trie.nodes_.high_water(); }
  static uint32_t& token(RadixTrie& trie, uint32_t page, uint32_t row) {
    return trie.pool_.tokens(page)[row];
  }
  static uint64_t& trie_pages(RadixTrie& trie) { return trie.trie_pages_; }
  static uint64_t& protected_pages(RadixTrie& trie) { return trie.protected_pages_; }
  static uint64_t& num_free(RadixTrie& trie) { return trie.pool_.num_free_; }
  static uint32_t& free_head(RadixTrie& trie) { return trie.pool_.free_head_; }
  static uint32_t& fan_children(RadixTrie& trie) { return trie.children_.info_[1].num_children; }
  static uint64_t& fan_occupied(RadixTrie& trie) { return trie.children_.info_[1].occupied; }
  static void lose_lease_hold(RadixTrie& trie, NodeIndex node) { trie.unhold(node); }
};

namespace {

using Damage = std::function<void(RadixTrie&)>;

class Verifier : public ::testing::Test {
 protected:
  void SetUp() override {
    trie_ = std::move(*RadixTrie::create({.pool = {.num_pages = 200}}));
    for (uint32_t i = 0; i < 60; ++i) {
      std::vector<TokenId> tokens(40);
      std::iota(tokens.begin(), tokens.end(), i * 1000);
      std::vector<PageId> pages;
      Lease lease = trie_->match(tokens, pages);
      ASSERT_TRUE(trie_->allocate_pages(lease, 3, pages));
      trie_->finish(std::move(lease), tokens, pages);
    }
    ASSERT_TRUE(TrieVerifier::verify(*trie_));
  }
  void expect_objection(const Damage& damage, const char* what) {
    damage(*trie_);
    EXPECT_FALSE(TrieVerifier::verify(*trie_)) << "not seen: " << what;
  }
  std::unique_ptr<RadixTrie> trie_;
};

#define TT_DAMAGE(name, statement)                               \
  TEST_F(Verifier, Sees##name) {                                 \
    expect_objection([](RadixTrie& trie) { statement; }, #name); \
  }
TT_DAMAGE(WrongSiblingRank, TrieTamper::node(trie, 5).sibling_parity ^= 1)
TT_DAMAGE(WrongOrderRank, TrieTamper::node(trie, 5).order_parity ^= 1)
TT_DAMAGE(WrongKey, TrieTamper::node(trie, 5).key += 64)
TT_DAMAGE(WrongParent, TrieTamper::node(trie, 5).parent = 6)
TT_DAMAGE(WrongUp, TrieTamper::node(trie, 5).order_up ^= 1)
TT_DAMAGE(AgeChangedInPlace, TrieTamper::node(trie, 5).last_use = 3)
TT_DAMAGE(ALostHold, TrieTamper::node(trie, 5).num_holds += 1)
TT_DAMAGE(WrongBusyCount, TrieTamper::node(trie, kRootNode).num_busy += 1)
TT_DAMAGE(AWrongEnd, TrieTamper::node(trie, 5).end += 16)
TT_DAMAGE(AMissingTail, TrieTamper::node(trie, 5).has_tail = 0)
TT_DAMAGE(WrongLastPage, TrieTamper::node(trie, 5).last_page = 1)
TT_DAMAGE(APageOfAnother, TrieTamper::node(trie, 5).first_page = TrieTamper::node(trie, 6).first_page)
TT_DAMAGE(DriftOfTriePages, ++TrieTamper::trie_pages(trie))
TT_DAMAGE(DriftOfProtectedPages, ++TrieTamper::protected_pages(trie))
TT_DAMAGE(DriftOfFreePages, --TrieTamper::num_free(trie))
TT_DAMAGE(AFreePageThatIsPublished, TrieTamper::free_head(trie) = TrieTamper::node(trie, 5).first_page)
TT_DAMAGE(AWrongFanCount, ++TrieTamper::fan_children(trie))
TT_DAMAGE(AWrongFanBit, TrieTamper::fan_occupied(trie) ^= uint64_t{1} << 7)
TT_DAMAGE(ALeafOutsideTheOrder, TrieTamper::node(trie, 5).in_order = 0)
#undef TT_DAMAGE

TEST_F(Verifier, SeesALeaseWhoseHoldIsGone) {
  std::vector<TokenId> tokens(40);
  std::iota(tokens.begin(), tokens.end(), 5000);
  std::vector<PageId> pages;
  Lease lease = trie_->match(tokens, pages);
  ASSERT_TRUE(TrieVerifier::verify(*trie_));
  NodeIndex held = 2;
  while (TrieTamper::node(*trie_, held).num_holds == 0) ++held;
  --TrieTamper::node(*trie_, held).num_holds;
  EXPECT_FALSE(TrieVerifier::verify(*trie_));
  ++TrieTamper::node(*trie_, held).num_holds;
  EXPECT_TRUE(TrieVerifier::verify(*trie_));
}

TEST(PagePoolOptionsTest, AreChecked) {
  EXPECT_FALSE(PagePool::create({.num_pages = 10, .page_tokens = 24}));
  EXPECT_FALSE(PagePool::create({.num_pages = 10, .page_tokens = 8}));
  EXPECT_FALSE(PagePool::create({.num_pages = 0}));
  EXPECT_FALSE(PagePool::create({.num_pages = kMaxPoolPages + 1}));
}

}  // namespace
}  // namespace tattletale

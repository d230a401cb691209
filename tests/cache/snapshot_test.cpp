// Snapshot and restore: the same prefixes, pages, ages and pins come back; damage and mismatch are refused
// whole.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <sstream>

#include "cache/trie_snapshot.h"
#include "cache/trie_verifier.h"

namespace tattletale {
namespace {

using Rows = std::map<PageId, std::vector<std::byte>>;

class Snapshot : public ::testing::Test {
 protected:
  void SetUp() override {
    trie_ = make(200);
    std::mt19937 random(5);
    for (int i = 0; i < 30; ++i) {
      std::vector<TokenId> tokens;
      if (i != 0) {
        const auto& old = requests_[random() % requests_.size()];
        tokens.assign(old.begin(), old.begin() + static_cast<ptrdiff_t>(random() % old.size()));
      }
      const uint64_t num = tokens.size() + 1 + random() % 40;
      while (tokens.size() < num) tokens.push_back(random() % 5 * 64);
      requests_.push_back(tokens);
      std::vector<PageId> pages;
      Lease lease = trie_->match(tokens, pages);
      const uint64_t shared = pages.size();
      ASSERT_TRUE(trie_->allocate_pages(lease, (num + 15) / 16 - shared, pages));
      for (uint64_t p = shared; p < pages.size(); ++p) {
        std::vector<std::byte> rows(16 * 4);
        std::memcpy(rows.data(), &tokens[p * 16], std::min<uint64_t>(16, num - p * 16) * 4);
        device_[pages[p]] = rows;
      }
      trie_->finish(std::move(lease), tokens, pages);
    }
    EXPECT_GT(trie_->pin(requests_[0]) + trie_->pin(requests_[7]), 0u);
  }
  static std::unique_ptr<RadixTrie> make(uint64_t num_pages) {
    return std::move(*RadixTrie::create({.pool = {.num_pages = num_pages, .first_page = uint64_t{1} << 35}}));
  }
  std::string save() {
    std::ostringstream out;
    const auto saved = TrieSnapshot::save(
        *trie_, "model",
        [&](PageId page, uint32_t rows, std::vector<std::byte>& to) {
          to.assign(device_[page].begin(), device_[page].begin() + rows * 4);
          return Result<void>{};
        },
        out);
    EXPECT_TRUE(saved);
    return out.str();
  }
  static Result<uint64_t> restore(RadixTrie& trie, const std::string& bytes, Rows& rows) {
    std::istringstream in(bytes);
    return TrieSnapshot::restore(
        trie, "model",
        [&](PageId page, uint32_t, std::span<const std::byte> from) {
          rows[page].assign(from.begin(), from.end());
          return Result<void>{};
        },
        in);
  }
  std::unique_ptr<RadixTrie> trie_;
  std::vector<std::vector<TokenId>> requests_;
  Rows device_;
};

TEST_F(Snapshot, BringsEverythingBack) {
  auto fresh = make(220);
  Rows rows;
  const auto restored = restore(*fresh, save(), rows);
  ASSERT_TRUE(restored) << restored.error().message();
  const auto verdict = TrieVerifier::verify(*fresh);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_EQ(fresh->num_trie_pages(), trie_->num_trie_pages());
  EXPECT_EQ(fresh->num_evictable_pages(), trie_->num_evictable_pages());
  for (const auto& tokens : requests_) {
    EXPECT_EQ(fresh->peek(tokens), trie_->peek(tokens));
    std::vector<PageId> pages;
    const Lease lease = fresh->match(tokens, pages, {.recompute_last_token = false});
    for (uint64_t p = 0; p < pages.size(); ++p)
      EXPECT_EQ(std::memcmp(rows[pages[p]].data(), &tokens[p * 16], 64), 0);
    if (const auto copy = lease.copy_source()) {
      EXPECT_EQ(std::memcmp(rows[copy->page].data(), &tokens[pages.size() * 16], copy->num_tokens * 4), 0);
    }
  }
}

TEST_F(Snapshot, KeepsTheOrderOfEviction) {
  auto fresh = make(200);
  Rows rows;
  ASSERT_TRUE(restore(*fresh, save(), rows));
  while (trie_->evict(3).num_freed != 0) {
    fresh->evict(3);
    for (const auto& tokens : requests_) ASSERT_EQ(fresh->peek(tokens), trie_->peek(tokens));
  }
}

TEST_F(Snapshot, RefusesEveryChangedByteAndEveryTruncation) {
  const std::string good = save();
  for (size_t i = 0; i < good.size(); i += 7) {
    auto fresh = make(200);
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    Rows rows;
    ASSERT_FALSE(restore(*fresh, bad, rows)) << "byte " << i;
    ASSERT_EQ(fresh->num_free_pages(), 200u);
    ASSERT_TRUE(TrieVerifier::verify(*fresh));
    ASSERT_FALSE(restore(*fresh, good.substr(0, i), rows));
    ASSERT_TRUE(TrieVerifier::verify(*fresh));
  }
}

TEST_F(Snapshot, RefusesASmallPoolAnotherModelAndAFullCache) {
  const std::string good = save();
  Rows rows;
  auto small = make(10);
  EXPECT_EQ(restore(*small, good, rows).error().kind, ErrorKind::limit_exceeded);
  EXPECT_EQ(restore(*trie_, good, rows).error().kind, ErrorKind::invalid_argument);
  auto fresh = make(200);
  std::istringstream in(good);
  const auto other = TrieSnapshot::restore(*fresh, "another model", nullptr, in);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().what.find("another model"), std::string::npos);
}

}  // namespace
}  // namespace tattletale

// A prefix cache that is obviously right and slow: a sorted map from the token sequence that ends at a page's
// last row to that page. It knows no trie, node or tree; the real cache is held against it operation by
// operation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace tattletale::testing {

using Tokens = std::vector<uint32_t>;

struct ModelPage {
  uint64_t page = 0;
  uint64_t last_use = 0;
  uint32_t num_holds = 0;
  bool pinned = false;
  uint64_t checkpoint = 0;
};

class ModelCache {
 public:
  using Pages = std::map<Tokens, ModelPage>;

  ModelCache(uint64_t num_pages, uint32_t page_tokens) : num_pages_(num_pages), page_tokens_(page_tokens) {}

  static bool is_prefix(const Tokens& a, const Tokens& b) {
    return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
  }
  static uint64_t common(const Tokens& a, const Tokens& b) {
    const size_t n = std::min(a.size(), b.size());
    return static_cast<uint64_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first - a.begin());
  }
  static Tokens head(const Tokens& tokens, uint64_t num) {
    return Tokens(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(num));
  }

  /// The longest prefix of `query` for which every row is in some page: a neighbour in the order has it.
  uint64_t longest(const Tokens& query) const {
    uint64_t best = 0;
    const auto after = pages_.lower_bound(query);
    if (after != pages_.end()) best = common(query, after->first);
    if (after != pages_.begin()) best = std::max(best, common(query, std::prev(after)->first));
    return best;
  }
  bool extended(const Tokens& key) const {
    const auto next = pages_.upper_bound(key);
    return next != pages_.end() && is_prefix(key, next->first);
  }
  bool is_protected(const Tokens& key) const {
    for (auto it = pages_.lower_bound(key); it != pages_.end() && is_prefix(key, it->first); ++it) {
      if (it->second.num_holds != 0) return true;
    }
    return false;
  }
  uint64_t num_evictable() const {
    uint64_t num = 0;
    for (const auto& [key, page] : pages_) num += !is_protected(key);
    return num;
  }
  uint64_t num_free() const { return num_pages_ - pages_.size() - num_private; }

  void touch(const Tokens& tokens) {
    for (uint64_t end = page_tokens_; end <= tokens.size(); end += page_tokens_) {
      pages_.at(head(tokens, end)).last_use = clock_;
    }
    if (const auto it = pages_.find(tokens); it != pages_.end()) it->second.last_use = clock_;
  }
  void tick() { ++clock_; }
  void hold(const Tokens& key) {
    if (!key.empty()) ++pages_.at(key).num_holds;
  }
  void unhold(const Tokens& key) {
    if (key.empty()) return;
    --pages_.at(key).num_holds;
    drop_if_redundant(key);
  }
  /// An unfilled page whose rows another page holds too, and that nobody holds, is freed.
  void drop_if_redundant(const Tokens& key) {
    const auto it = pages_.find(key);
    if (it == pages_.end() || key.size() % page_tokens_ == 0 || it->second.num_holds != 0) return;
    if (extended(key)) pages_.erase(it);
  }
  void publish(const Tokens& key, uint64_t page) {
    pages_[key] = {.page = page, .last_use = clock_};
    const uint64_t from = (key.size() - 1) / page_tokens_ * page_tokens_;
    for (uint64_t end = from + 1; end < key.size(); ++end) drop_if_redundant(head(key, end));
  }

  /// Frees up to num pages, least recently used first; only pages that nothing extends.
  std::vector<std::pair<Tokens, ModelPage>> evict(uint64_t num) {
    std::vector<std::pair<Tokens, ModelPage>> gone;
    while (gone.size() < num) {
      auto oldest = pages_.end();
      for (auto it = pages_.begin(); it != pages_.end(); ++it) {
        if (it->second.num_holds != 0 || extended(it->first)) continue;
        if (oldest == pages_.end() || it->second.last_use < oldest->second.last_use) oldest = it;
      }
      if (oldest == pages_.end()) break;
      gone.emplace_back(*oldest);
      pages_.erase(oldest);
    }
    return gone;
  }

  Pages& pages() { return pages_; }
  uint64_t num_private = 0;

 private:
  uint64_t num_pages_;
  uint32_t page_tokens_;
  uint64_t clock_ = 0;
  Pages pages_;
};

}  // namespace tattletale::testing

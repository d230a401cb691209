// TrieVerifier: one pass over the trie in depth-first order, then the eviction order and the pages.
#include "cache/trie_verifier.h"

#include <algorithm>

namespace tattletale {
namespace {

enum PageOwner : uint8_t { kNobody, kFree, kTrie, kLease };

Error broken(std::string where, std::string what) {
  return make_error(ErrorKind::internal, std::move(where), std::move(what));
}
std::string node_name(NodeIndex node) {
  return "node " + std::to_string(node);
}

}  // namespace

// Says which invariant failed at which node; only for functions that return Result.
#define TT_INVARIANT(condition, node)                                          \
  do {                                                                         \
    if (!(condition)) return broken(node_name(node), "violated: " #condition); \
  } while (false)

Result<void> TrieVerifier::verify(const RadixTrie& trie) {
  return TrieVerifier(trie).run();
}

Result<void> TrieVerifier::run() {
  holds_.assign(trie_.nodes_.high_water(), 0);
  page_owner_.assign(trie_.pool_.num_pages() + 1, kNobody);
  TT_TRY(count_holds());
  std::vector<TokenId> path;
  to_visit_.push_back(kRootNode);
  while (!to_visit_.empty()) {
    const NodeIndex node = to_visit_.back();
    to_visit_.pop_back();
    TT_TRY(check_node(node, path));
  }
  TT_INVARIANT(num_nodes_ == trie_.nodes_.num_used(), kRootNode);
  TT_TRY(check_eviction_order());
  return check_conservation();
}

Result<void> TrieVerifier::claim(uint32_t page, uint8_t owner) {
  if (page == 0 || page >= page_owner_.size())
    return broken("page index " + std::to_string(page), "out of range");
  if (page_owner_[page] != kNobody) {
    return broken("page " + std::to_string(trie_.pool_.id(page)), "owned twice");
  }
  page_owner_[page] = owner;
  return {};
}

Result<void> TrieVerifier::count_holds() {
  uint64_t num_leases = 0;
  for (uint32_t i = 1; i < trie_.num_lease_records_; ++i) {
    const RadixTrie::LeaseRecord& lease = trie_.record(i);
    if (!lease.in_use) continue;
    ++num_leases;
    TT_INVARIANT(lease.node != kNoNode && lease.node < holds_.size(), lease.node);
    TT_INVARIANT((trie_.nodes_[lease.node].end & trie_.page_mask()) == 0, lease.node);
    ++holds_[lease.node];
    if (lease.copy_node != kNoNode) {
      TT_INVARIANT(lease.copy_node < holds_.size(), lease.copy_node);
      ++holds_[lease.copy_node];
      NodeIndex above = lease.copy_node;  // the copy source lies below the lease's path
      while (above != lease.node && above != kRootNode) above = trie_.nodes_[above].parent;
      TT_INVARIANT(above == lease.node, lease.copy_node);
    }
    uint32_t page = lease.first_private;
    uint32_t last = 0;
    for (uint32_t k = 0; k < lease.num_private; ++k, page = trie_.pool_.links_[page].next) {
      TT_TRY(claim(page, kLease));
      last = page;
    }
    TT_INVARIANT(last == lease.last_private, lease.node);
  }
  TT_INVARIANT(num_leases == trie_.num_leases_, kRootNode);
  return {};
}

Result<void> TrieVerifier::check_node(NodeIndex index, std::vector<TokenId>& path) {
  const TrieNode& node = trie_.nodes_[index];
  ++num_nodes_;
  TT_INVARIANT(index < holds_.size(), index);
  if (index == kRootNode) {
    TT_INVARIANT(node.start == 0 && node.end == 0 && node.parent == kNoNode, index);
    path.clear();
  } else {
    TT_INVARIANT(node.start < node.end, index);
    TT_INVARIANT(node.start == trie_.nodes_[node.parent].end, index);
    // A held leaf gets its last use when the hold ends; every other use of a child uses its parent too.
    TT_INVARIANT(node.last_use <= trie_.nodes_[node.parent].last_use || node.parent == kRootNode, index);
    TT_INVARIANT(node.last_use <= trie_.clock_, index);
    TT_TRY(check_pages(index, path));
  }
  TT_INVARIANT(node.num_holds == holds_[index] + node.pinned, index);
  TT_TRY(check_children(index));

  const bool is_leaf = children_.empty();
  uint32_t num_busy = 0;
  for (const NodeIndex child : children_) {
    TT_INVARIANT(trie_.nodes_[child].parent == index, child);
    num_busy += trie_.nodes_[child].is_busy();
    to_visit_.push_back(child);
  }
  TT_INVARIANT(node.num_busy == num_busy, index);
  if (index == kRootNode) return {};
  const bool is_aligned = (node.end & trie_.page_mask()) == 0;
  const bool is_free = node.num_holds == 0 && !node.has_checkpoint;
  TT_INVARIANT(!node.in_order || is_leaf, index);
  TT_INVARIANT(node.in_order || !is_leaf || node.num_holds != 0, index);
  TT_INVARIANT(!node.has_tail || !is_aligned, index);
  TT_INVARIANT(is_aligned || node.has_tail || !is_leaf, index);
  TT_INVARIANT(!node.has_tail || is_leaf || node.num_holds != 0, index);
  TT_INVARIANT(!trie_.is_pageless(node) || is_free, index);
  TT_INVARIANT(!trie_.is_pageless(node) || children_.size() >= 2, index);
  TT_INVARIANT(is_aligned || node.has_tail || children_.size() >= 2, index);
  TT_INVARIANT(node.has_checkpoint == (trie_.checkpoints_[index] != 0), index);
  TT_INVARIANT(!(node.has_checkpoint || node.pinned) || is_aligned, index);
  if (node.is_busy()) protected_pages_ += trie_.num_pages_of(node);
  num_in_order_ += node.in_order;
  return {};
}

/// Reads the node's tokens through its page chain into `path`, then holds every owned page against the whole
/// path.
Result<void> TrieVerifier::check_pages(NodeIndex index, std::vector<TokenId>& path) {
  const TrieNode& node = trie_.nodes_[index];
  const PagePool& pool = trie_.pool_;
  const uint64_t page_tokens = pool.page_tokens();
  TT_INVARIANT(path.size() >= node.start, index);
  path.resize(node.start);
  const uint64_t num_owned = trie_.num_pages_of(node);
  uint32_t page = node.first_page;
  uint32_t last_owned = 0;
  uint64_t num_seen = 0;
  while (path.size() < node.end || num_seen < num_owned) {
    TT_INVARIANT(page != 0 && page <= pool.num_pages(), index);
    const uint64_t page_start = path.size() - path.size() % page_tokens;
    const uint64_t stop = std::min<uint64_t>(page_start + page_tokens, node.end);
    for (uint64_t pos = path.size(); pos < stop; ++pos) path.push_back(pool.tokens(page)[pos - page_start]);
    for (uint64_t pos = page_start; pos < stop; ++pos) {
      TT_INVARIANT(pool.tokens(page)[pos - page_start] == path[pos], index);
    }
    if (num_seen < num_owned) {
      TT_TRY(claim(page, kTrie));
      ++trie_pages_;
      TT_INVARIANT(num_seen == 0 || pool.links_[page].prev == last_owned, index);
      last_owned = page;
    } else {  // borrowed: it belongs to some node below and its owner is checked there
      TT_INVARIANT(!trie_.children_.empty(trie_.nodes_, index), index);
    }
    ++num_seen;
    page = pool.links_[page].next;
  }
  TT_INVARIANT(node.last_page == last_owned, index);
  TT_INVARIANT(node.key == path[node.start], index);
  return {};
}

Result<void> TrieVerifier::check_children(NodeIndex index) {
  children_.clear();
  uint32_t num_found = 0;
  TT_TRY(check_slot(index, trie_.nodes_[index].children, 0, 0, num_found));
  std::vector<uint32_t> keys;
  keys.reserve(children_.size());
  for (const NodeIndex child : children_) keys.push_back(trie_.nodes_[child].key);
  std::sort(keys.begin(), keys.end());
  TT_INVARIANT(std::adjacent_find(keys.begin(), keys.end()) == keys.end(), index);
  return {};
}

Result<void> TrieVerifier::check_slot(NodeIndex owner, uint32_t slot, uint32_t level, uint32_t bits,
                                      uint32_t& num_found) {
  const ChildIndex& index = trie_.children_;
  if (!(slot & ChildIndex::kFanBit)) {
    const SiblingLinks links{const_cast<TrieNode*>(&trie_.nodes_[0])};  // read only
    const size_t before = children_.size();
    TT_ASSIGN(const int rank, check_tree(links, slot, kNoNode, children_));
    (void)rank;
    num_found += static_cast<uint32_t>(children_.size() - before);
    const uint32_t shift = level * ChildIndex::kFanBits;
    const uint32_t mask = shift >= 32 ? ~0u : (1u << shift) - 1;
    for (size_t i = before; i < children_.size(); ++i) {
      TT_INVARIANT((trie_.nodes_[children_[i]].key & mask) == bits, children_[i]);
      TT_INVARIANT(i == before || trie_.nodes_[children_[i - 1]].key < trie_.nodes_[children_[i]].key,
                   children_[i]);
    }
    return {};
  }
  const uint32_t fan = slot & ~ChildIndex::kFanBit;
  TT_INVARIANT(level < ChildIndex::kMaxLevels && fan < index.high_water_, owner);
  uint32_t num_here = 0;
  for (uint32_t way = 0; way < ChildIndex::kFanWidth; ++way) {
    const uint32_t below = index.fans_[fan].slots[way];
    TT_INVARIANT((below != 0) == (index.info_[fan].occupied >> way & 1), owner);
    TT_TRY(check_slot(owner, below, level + 1, bits | way << (level * ChildIndex::kFanBits), num_here));
  }
  TT_INVARIANT(num_here == index.info_[fan].num_children, owner);
  TT_INVARIANT(num_here >= ChildIndex::kMinInFan, owner);
  num_found += num_here;
  return {};
}

/// Returns the rank of `at`, rebuilt from below, and appends the tree's nodes in order.
template <class Links>
Result<int> TrieVerifier::check_tree(Links links, NodeIndex at, NodeIndex up,
                                     std::vector<NodeIndex>& in_order) {
  if (at == kNoNode) return -1;
  TT_INVARIANT(at < holds_.size() && links.up(at) == up, at);
  TT_INVARIANT(in_order.size() <= holds_.size(), at);  // no cycle
  TT_ASSIGN(const int left, check_tree(links, links.left(at), at, in_order));
  in_order.push_back(at);
  TT_ASSIGN(const int right, check_tree(links, links.right(at), at, in_order));
  const int low = std::max(left, right) + 1;  // the rank is low or low + 1; its parity says which
  const int rank = (low & 1) == links.parity(at) ? low : low + 1;
  TT_INVARIANT(rank - left >= 1 && rank - left <= 2, at);
  TT_INVARIANT(rank - right >= 1 && rank - right <= 2, at);
  const bool is_leaf = left == -1 && right == -1;
  TT_INVARIANT(!is_leaf || rank == 0, at);
  return rank;
}

Result<void> TrieVerifier::check_eviction_order() {
  const OrderLinks links{const_cast<TrieNode*>(&trie_.nodes_[0])};  // read only
  std::vector<NodeIndex> order;
  TT_ASSIGN(const int rank, check_tree(links, trie_.order_.root(), kNoNode, order));
  (void)rank;
  TT_INVARIANT(order.size() == num_in_order_, kRootNode);
  for (size_t i = 0; i < order.size(); ++i) {
    TT_INVARIANT(trie_.nodes_[order[i]].in_order, order[i]);
    TT_INVARIANT(i == 0 || EvictionOrder::before(trie_.nodes_, order[i - 1], order[i]), order[i]);
  }
  TT_INVARIANT(trie_.order_.oldest() == (order.empty() ? kNoNode : order.front()), kRootNode);
  TT_INVARIANT(trie_.order_.newest() == (order.empty() ? kNoNode : order.back()), kRootNode);
  return {};
}

Result<void> TrieVerifier::check_conservation() {
  const PagePool& pool = trie_.pool_;
  uint64_t num_free = 0;
  for (uint32_t page = pool.free_head_; page != 0; page = pool.links_[page].next, ++num_free) {
    TT_TRY(claim(page, kFree));
  }
  for (uint64_t page = pool.high_water_; page <= pool.num_pages(); ++page, ++num_free) {
    TT_TRY(claim(static_cast<uint32_t>(page), kFree));
  }
  for (size_t page = 1; page < page_owner_.size(); ++page) {
    if (page_owner_[page] == kNobody) {
      return broken("page " + std::to_string(trie_.pool_.id(static_cast<uint32_t>(page))),
                    "lost: nobody owns it");
    }
  }
  TT_INVARIANT(num_free == pool.num_free(), kRootNode);
  TT_INVARIANT(trie_pages_ == trie_.trie_pages_, kRootNode);
  TT_INVARIANT(protected_pages_ == trie_.protected_pages_, kRootNode);
  return {};
}

#undef TT_INVARIANT

}  // namespace tattletale

// RadixTrie, the structure: splitting and merging nodes, holds, pages borrowed by unaligned nodes, and giving
// up the end of a leaf. Nothing here looks at a request.
#include <algorithm>

#include "cache/radix_trie.h"

namespace tattletale {

/// Cuts `node` before token `at`. The lower part keeps its index, so that every hold stays where it was; the
/// new upper part takes the full pages that end at or before `at`, the last of which is `last_of_upper`
/// (unused if there is none).
NodeIndex RadixTrie::split(NodeIndex node, uint64_t at, PageIndex last_of_upper) {
  const NodeIndex upper = nodes_.take();
  TrieNode& high = nodes_[upper];
  TrieNode& low = nodes_[node];
  CHECK(at > low.start && at < low.end);
  high.key = low.key;
  high.start = low.start;
  high.end = static_cast<uint32_t>(at);
  high.parent = low.parent;
  high.last_use = low.last_use;
  high.num_busy = low.is_busy() ? 1 : 0;
  high.first_page = low.first_page;
  children_.replace(nodes_, low.parent, node, upper);

  PageIndex first_of_lower = low.first_page;
  if (num_pages_of(high) != 0) {
    high.last_page = last_of_upper;
    first_of_lower = pool_.links_[last_of_upper].next;
  }
  low.first_page = first_of_lower;
  low.start = high.end;
  low.key = pool_.tokens(first_of_lower)[at & page_mask()];
  low.parent = upper;
  if (is_pageless(low)) low.last_page = PagePool::kNone;
  children_.insert(nodes_, upper, node);
  return upper;
}

/// Joins a node nobody holds with its only child, if that loses nothing: no checkpoint between them, and one
/// age for all pages. A node without pages always joins, and one that ends inside a page leaves those last
/// tokens to the child, so that every node that ends inside a page and has no tail has two children.
bool RadixTrie::try_merge(NodeIndex node) {
  TrieNode& high = nodes_[node];
  if (node == kRootNode || high.num_holds != 0 || high.has_checkpoint || high.has_tail) return false;
  const NodeIndex child = children_.only_child(nodes_, node);
  if (child == kNoNode) return false;
  TrieNode& low = nodes_[child];
  const bool pageless = is_pageless(high);
  if (!pageless && high.last_use != low.last_use) {
    if ((high.end & page_mask()) != 0) {
      high.end = low.start = high.end & ~page_mask();
      low.key = pool_.tokens(low.first_page)[0];
    }
    return false;
  }

  if (!pageless) {
    const bool low_owns = !is_pageless(low);
    pool_.links_[high.last_page].next = low.first_page;
    if (low_owns) pool_.links_[low.first_page].prev = high.last_page;
    if (!low_owns) low.last_page = high.last_page;
    low.first_page = high.first_page;
  }
  low.start = high.start;
  low.key = high.key;
  low.parent = high.parent;
  children_.replace(nodes_, high.parent, node, child);
  nodes_.give_back(node);
  return true;
}

/// Counts one more hold. A node is busy if it or a node below is held; its pages are protected.
void RadixTrie::hold(NodeIndex node) {
  CHECK(nodes_[node].num_holds < kMaxHolds);
  bool was_busy = nodes_[node].is_busy();
  ++nodes_[node].num_holds;
  while (!was_busy) {
    protected_pages_ += num_pages_of(nodes_[node]);
    if (node == kRootNode) break;
    node = nodes_[node].parent;
    was_busy = nodes_[node].is_busy();
    ++nodes_[node].num_busy;
  }
}

/// Ends one hold; afterwards a leaf may be evicted and an inner node may merge with its child.
void RadixTrie::unhold(NodeIndex node) {
  CHECK(nodes_[node].num_holds > 0);
  --nodes_[node].num_holds;
  for (NodeIndex at = node; !nodes_[at].is_busy();) {
    protected_pages_ -= num_pages_of(nodes_[at]);
    if (at == kRootNode) break;
    at = nodes_[at].parent;
    --nodes_[at].num_busy;
  }
  if (nodes_[node].num_holds != 0 || node == kRootNode) return;
  if (children_.empty(nodes_, node)) {
    if (!nodes_[node].in_order) order_.insert(nodes_, node);
    return;
  }
  drop_redundant_tail(node);
  try_merge(node);
}

/// The tail of a node that has children: a child's first page holds the same rows, so the tail page is free
/// to go.
void RadixTrie::drop_redundant_tail(NodeIndex node) {
  TrieNode& at = nodes_[node];
  if (!at.has_tail) return;
  const PageIndex tail = at.last_page;
  const PageIndex borrowed = nodes_[children_.any_child(nodes_, node)].first_page;
  if (at.is_busy()) --protected_pages_;
  --trie_pages_;
  at.has_tail = 0;
  if (is_pageless(at)) {
    at.last_page = PagePool::kNone;
    at.first_page = borrowed;
    repair_borrowed_page(at.parent, tail);
  } else {
    at.last_page = pool_.links_[tail].prev;
    pool_.links_[at.last_page].next = borrowed;
  }
  pool_.give_back(tail);
}

/// `gone` was the first page of a node below `from`. Nodes that end inside a page and have no tail read their
/// last tokens from a child's first page; those that read `gone` read another child's from now on.
void RadixTrie::repair_borrowed_page(NodeIndex from, PageIndex gone) {
  for (NodeIndex at = from; at != kRootNode; at = nodes_[at].parent) {
    TrieNode& node = nodes_[at];
    const bool pageless = is_pageless(node);
    if ((node.end & page_mask()) != 0 && !node.has_tail && !children_.empty(nodes_, at)) {
      PageIndex& borrowed = pageless ? node.first_page : pool_.links_[node.last_page].next;
      if (borrowed == gone) borrowed = nodes_[children_.any_child(nodes_, at)].first_page;
    }
    if (!pageless) return;
  }
}

void RadixTrie::drop_checkpoint(NodeIndex node) {
  if (!nodes_[node].has_checkpoint) return;
  nodes_[node].has_checkpoint = 0;
  const uint64_t id = std::exchange(checkpoints_[node], 0);
  if (options_.release_checkpoint) options_.release_checkpoint(id);
}

/// Takes away a leaf whose pages are gone and that nobody holds. Its parent may become a leaf with its own
/// last use.
void RadixTrie::remove_leaf(NodeIndex node) {
  const NodeIndex parent = nodes_[node].parent;
  const PageIndex gone = nodes_[node].first_page;
  if (nodes_[node].in_order) order_.erase(nodes_, node);
  children_.erase(nodes_, parent, node);
  nodes_.give_back(node);
  repair_borrowed_page(parent, gone);
  if (parent == kRootNode) return;
  if (!children_.empty(nodes_, parent)) {
    try_merge(parent);
    return;
  }
  TrieNode& leaf = nodes_[parent];
  if (!leaf.has_tail) leaf.end &= ~page_mask();  // the rows past its last page went with the child
  if (leaf.num_holds == 0) order_.insert(nodes_, parent);
}

/// Frees up to max_pages pages from the end of a leaf that nobody holds; returns how many.
uint64_t RadixTrie::trim_leaf(NodeIndex node, uint64_t max_pages) {
  drop_checkpoint(node);
  TrieNode& leaf = nodes_[node];
  const uint64_t num_owned = num_pages_of(leaf);
  const uint64_t num = std::min(num_owned, max_pages);
  PageIndex page = leaf.last_page;
  for (uint64_t i = 0; i < num; ++i) {
    const PageIndex prev = pool_.links_[page].prev;
    pool_.give_back(page);
    page = prev;
  }
  trie_pages_ -= num;
  leaf.has_tail = 0;
  if (num == num_owned) {
    remove_leaf(node);
  } else {
    leaf.last_page = page;
    leaf.end =
        static_cast<uint32_t>(((leaf.start >> pool_.page_shift()) + num_owned - num) << pool_.page_shift());
  }
  return num;
}

void RadixTrie::path_tokens(NodeIndex node, std::vector<TokenId>& out) const {
  out.resize(nodes_[node].end);
  for (NodeIndex at = node; at != kRootNode; at = nodes_[at].parent) {
    PageIndex page = nodes_[at].first_page;
    for (uint64_t pos = nodes_[at].start; pos < nodes_[at].end;) {
      const uint64_t row = pos & page_mask();
      const uint64_t num = std::min<uint64_t>(page_tokens() - row, nodes_[at].end - pos);
      std::copy_n(pool_.tokens(page) + row, num, out.begin() + static_cast<ptrdiff_t>(pos));
      pos += num;
      page = pool_.links_[page].next;
    }
  }
}

void RadixTrie::report_eviction(NodeIndex node, uint64_t num_pages) {
  const TrieNode& leaf = nodes_[node];
  path_tokens(node, path_scratch_);
  page_scratch_.resize(num_pages);
  PageIndex page = leaf.last_page;
  for (uint64_t i = num_pages; i-- > 0; page = pool_.links_[page].prev) page_scratch_[i] = pool_.id(page);
  const uint64_t pages_of_path = (uint64_t{leaf.end} + page_mask()) >> pool_.page_shift();
  options_.on_evict({path_scratch_, page_scratch_, pages_of_path - num_pages});
}

EvictResult RadixTrie::evict(uint64_t num_pages) {
  EvictResult result;
  while (result.num_freed < num_pages) {
    const NodeIndex oldest = order_.oldest();
    if (oldest == kNoNode) break;
    if (nodes_[oldest].num_holds != 0) {  // the end of the hold puts it back, as the newest
      order_.erase(nodes_, oldest);
      continue;
    }
    const uint64_t wanted = std::min(num_pages - result.num_freed, num_pages_of(nodes_[oldest]));
    if (options_.on_evict) report_eviction(oldest, wanted);
    result.num_freed += trim_leaf(oldest, wanted);
  }
  result.num_not_freed = num_pages - result.num_freed;
  CacheStatsWriter::add(stats_.evicted_pages, result.num_freed);
  publish_counts();
  return result;
}

}  // namespace tattletale

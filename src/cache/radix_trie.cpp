// RadixTrie, the readers' side: creation, matching, leases and what they hold, pins, checkpoints.
#include "cache/radix_trie.h"

#include <algorithm>

#include "cache/token_compare.h"

namespace tattletale {

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    trie_ = std::exchange(other.trie_, nullptr);
    record_ = other.record_;
    matched_tokens_ = other.matched_tokens_;
    copy_ = other.copy_;
    checkpoint_ = other.checkpoint_;
  }
  return *this;
}

void Lease::release() {
  if (trie_ != nullptr) trie_->release_lease(*this);
}

Result<std::unique_ptr<RadixTrie>> RadixTrie::create(TrieOptions options) {
  TT_ASSIGN(PagePool pool, PagePool::create(options.pool));
  std::unique_ptr<RadixTrie> trie(new RadixTrie);
  trie->pool_ = std::move(pool);
  // Every leaf owns a page and every node without one has two children, so there are fewer nodes than 2 *
  // pages.
  const uint64_t max_nodes = 2 * options.pool.num_pages + 8;
  const bool touch_now = options.pool.touch_memory_now;
  if (!trie->nodes_.allocate(max_nodes, touch_now) ||
      !trie->children_.allocate(max_nodes / 16 + 64, touch_now) ||
      !trie->checkpoints_.allocate(max_nodes + 2, false)) {
    return make_error(
        ErrorKind::out_of_memory, "radix trie",
        "no memory for the nodes of " + std::to_string(options.pool.num_pages) + " pages; use fewer pages");
  }
  CHECK(trie->nodes_.take() == kRootNode);
  trie->options_ = std::move(options);
  CacheStatsWriter::set(trie->stats_.num_pages, trie->num_pages());
  trie->publish_counts();
  return trie;
}

RadixTrie::~RadixTrie() = default;

void RadixTrie::publish_counts() {
  CacheStatsWriter::set(stats_.free_pages, pool_.num_free());
  CacheStatsWriter::set(stats_.trie_pages, trie_pages_);
  CacheStatsWriter::set(stats_.evictable_pages, num_evictable_pages());
  CacheStatsWriter::set(stats_.num_nodes, num_nodes());
  CacheStatsWriter::set(stats_.num_leases, num_leases_);
}

/// Follows `tokens` from the end of `from`. Appends the full pages passed, if asked. Looks into a child only
/// after agreeing with its parent to the end.
RadixTrie::Walk RadixTrie::walk(std::span<const TokenId> tokens, NodeIndex from,
                                std::vector<PageId>* pages) const {
  Walk at{.node = from,
          .child = kNoNode,
          .depth = nodes_[from].end,
          .checkpoint = {},
          .checkpoint_node = kNoNode};
  const uint64_t mask = page_mask();
  while (at.depth < tokens.size()) {
    const NodeIndex child = children_.find(nodes_, at.node, tokens[at.depth]);
    if (child == kNoNode) break;
    const TrieNode& node = nodes_[child];
    const uint64_t stop = std::min<uint64_t>(node.end, tokens.size());
    uint64_t pos = at.depth;
    for (PageIndex page = node.first_page; pos < stop; page = pool_.links_[page].next) {
      const uint64_t row = pos & mask;
      const uint64_t num = std::min(mask + 1 - row, stop - pos);
      const uint64_t agree = common_prefix(pool_.tokens(page) + row, &tokens[pos], num);
      pos += agree;
      if (row + agree == mask + 1 && pages != nullptr) pages->push_back(pool_.id(page));
      if (agree < num) break;
    }
    at.depth = pos;
    if (pos < node.end) {
      at.child = child;
      break;
    }
    at.node = child;
    if (node.has_checkpoint) {
      at.checkpoint = {checkpoints_[child], pos};
      at.checkpoint_node = child;
    }
  }
  return at;
}

/// The node on the path to `bottom` that ends at `depth` (page aligned), cut there if need be. `pages` are
/// the path's full pages.
NodeIndex RadixTrie::end_node_at(NodeIndex bottom, uint64_t depth, std::span<const PageId> pages) {
  while (bottom != kRootNode && nodes_[bottom].start >= depth) bottom = nodes_[bottom].parent;
  if (nodes_[bottom].end == depth) return bottom;
  return split(bottom, depth, page_index(pages[(depth >> pool_.page_shift()) - 1]));
}

/// A walk ended inside the page that begins at token `full`: finds the page that holds those rows and returns
/// its node, cut so that the page is its last. A hold on it holds this page and nothing below.
NodeIndex RadixTrie::find_copy_source(const Walk& end, uint64_t full, CopySource& copy) {
  NodeIndex owner = end.child;
  if (owner == kNoNode) owner = nodes_[end.node].has_tail ? end.node : children_.any_child(nodes_, end.node);
  while (is_pageless(nodes_[owner])) owner = children_.any_child(nodes_, owner);
  const PageIndex page = nodes_[owner].first_page;
  copy = {pool_.id(page), static_cast<uint32_t>(end.depth - full)};
  const uint64_t boundary = full + page_tokens();
  return nodes_[owner].end > boundary ? split(owner, boundary, page) : owner;
}

Lease RadixTrie::match(std::span<const TokenId> tokens, std::vector<PageId>& pages, MatchOptions options) {
  CHECK(tokens.size() <= UINT32_MAX);
  pages.clear();
  const uint64_t limit = tokens.size() - (options.recompute_last_token && !tokens.empty() ? 1 : 0);
  const Walk end = walk(tokens.first(limit), kRootNode, &pages);

  NodeIndex last = kRootNode;
  uint64_t rows = 0;
  if (options.need_checkpoint) {
    if (end.checkpoint_node != kNoNode) last = end.checkpoint_node;
    pages.resize(nodes_[last].end >> pool_.page_shift());
  } else {
    rows = end.depth & page_mask();
    last = end_node_at(end.child != kNoNode ? end.child : end.node, end.depth - rows, pages);
  }
  Lease lease = new_lease(last);
  LeaseRecord& held = record(lease.record_);
  if (rows != 0) {
    held.copy_node = find_copy_source(end, end.depth - rows, lease.copy_);
    hold(held.copy_node);
  }
  lease.matched_tokens_ = nodes_[last].end + rows;
  lease.checkpoint_ = end.checkpoint;
  ++clock_;
  touch_path(held.copy_node != kNoNode ? held.copy_node : last);

  CacheStatsWriter::add(stats_.num_matches, 1);
  CacheStatsWriter::add(stats_.queried_tokens, tokens.size());
  CacheStatsWriter::add(stats_.matched_tokens, lease.matched_tokens_);
  publish_counts();
  return lease;
}

uint64_t RadixTrie::peek(std::span<const TokenId> tokens) const {
  return walk(tokens, kRootNode, nullptr).depth;
}

Lease RadixTrie::fork(const Lease& lease, std::vector<PageId>& pages) {
  const NodeIndex node = record(lease.record_).node;
  pages.resize(nodes_[node].end >> pool_.page_shift());
  uint64_t last = pages.size();
  for (NodeIndex at = node; at != kRootNode; at = nodes_[at].parent) {
    PageIndex page = nodes_[at].last_page;
    for (uint64_t i = num_pages_of(nodes_[at]) - nodes_[at].has_tail; i-- > 0;
         page = pool_.links_[page].prev) {
      pages[--last] = pool_.id(page);
    }
  }
  Lease copy = new_lease(node);
  copy.matched_tokens_ = nodes_[node].end;
  publish_counts();
  return copy;
}

/// All nodes of the path were used now. A leaf in the eviction order keeps its key there: it is held by the
/// caller and gets a new one when the hold ends.
void RadixTrie::touch_path(NodeIndex node) {
  for (; node != kRootNode; node = nodes_[node].parent) {
    if (!nodes_[node].in_order) nodes_[node].last_use = clock_;
  }
}

/// Ends a hold at the end of a use: the path's last use is the current tick, and nodes that have become alike
/// merge.
void RadixTrie::release_hold(NodeIndex node) {
  if (nodes_[node].in_order) order_.erase(nodes_, node);
  touch_path(node);
  NodeIndex above = nodes_[node].parent;
  const bool is_leaf = children_.empty(nodes_, node);
  unhold(node);
  if (!is_leaf) return;
  while (above != kRootNode && above != kNoNode && try_merge(above)) above = nodes_[node].parent;
}

Lease RadixTrie::new_lease(NodeIndex node) {
  uint32_t index = free_lease_;
  if (index != 0) {
    free_lease_ = record(index).next_free;
  } else {
    if (num_lease_records_ / kLeaseChunk >= lease_chunks_.size()) {
      lease_chunks_.push_back(std::make_unique<LeaseRecord[]>(kLeaseChunk));
    }
    index = num_lease_records_++;
  }
  record(index) = LeaseRecord{.node = node,
                              .copy_node = kNoNode,
                              .first_private = PagePool::kNone,
                              .last_private = PagePool::kNone,
                              .num_private = 0,
                              .in_use = 1,
                              .next_free = 0};
  hold(node);
  ++num_leases_;
  Lease lease;
  lease.trie_ = this;
  lease.record_ = index;
  return lease;
}

void RadixTrie::release_lease(Lease& lease) {
  LeaseRecord& held = record(lease.record_);
  ++clock_;
  if (held.copy_node != kNoNode) release_hold(held.copy_node);
  free_private_pages(held, held.num_private);
  release_hold(held.node);
  held.in_use = 0;
  held.next_free = free_lease_;
  free_lease_ = lease.record_;
  --num_leases_;
  lease.trie_ = nullptr;
  publish_counts();
}

void RadixTrie::drop_copy_source(Lease& lease) {
  lease.copy_ = {};
  LeaseRecord& held = record(lease.record_);
  if (held.copy_node == kNoNode) return;
  ++clock_;
  release_hold(std::exchange(held.copy_node, kNoNode));
}

bool RadixTrie::allocate_pages(Lease& lease, uint64_t num_pages, std::vector<PageId>& pages) {
  if (pool_.num_free() < num_pages) {
    const uint64_t missing = num_pages - pool_.num_free();
    if (missing > num_evictable_pages()) return false;
    evict(missing);
  }
  LeaseRecord& held = record(lease.record_);
  CHECK(pages.size() == (nodes_[held.node].end >> pool_.page_shift()) + held.num_private);
  for (uint64_t i = 0; i < num_pages; ++i) {
    const PageIndex page = pool_.take();
    pool_.links_[page] = {PagePool::kNone, held.last_private};
    (held.num_private == 0 ? held.first_private : pool_.links_[held.last_private].next) = page;
    held.last_private = page;
    ++held.num_private;
    pages.push_back(pool_.id(page));
  }
  publish_counts();
  return true;
}

/// Returns the lease's first `num` private pages to the pool.
void RadixTrie::free_private_pages(LeaseRecord& lease, uint64_t num) {
  for (uint64_t i = 0; i < num; ++i) {
    const PageIndex page = lease.first_private;
    lease.first_private = pool_.links_[page].next;
    pool_.give_back(page);
  }
  lease.num_private -= static_cast<uint32_t>(num);
  if (lease.num_private == 0) lease.first_private = lease.last_private = PagePool::kNone;
}

uint64_t RadixTrie::pin(std::span<const TokenId> tokens) {
  page_scratch_.clear();
  const Walk end = walk(tokens, kRootNode, &page_scratch_);
  const uint64_t full = end.depth & ~uint64_t{page_mask()};
  const NodeIndex node = end_node_at(end.child != kNoNode ? end.child : end.node, full, page_scratch_);
  if (node != kRootNode && !nodes_[node].pinned) {
    hold(node);
    nodes_[node].pinned = 1;
    publish_counts();
  }
  return full;
}

bool RadixTrie::unpin(std::span<const TokenId> tokens) {
  NodeIndex node = walk(tokens, kRootNode, nullptr).node;
  while (node != kRootNode && !nodes_[node].pinned) node = nodes_[node].parent;
  if (node == kRootNode) return false;
  nodes_[node].pinned = 0;
  ++clock_;
  release_hold(node);
  publish_counts();
  return true;
}

void RadixTrie::set_checkpoint(Lease& lease, uint64_t id) {
  const NodeIndex node = record(lease.record_).node;
  CHECK(id != 0 && node != kRootNode);
  drop_checkpoint(node);
  nodes_[node].has_checkpoint = 1;
  checkpoints_[node] = id;
}

uint64_t RadixTrie::published_tokens(const Lease& lease) const {
  return nodes_[record(lease.record_).node].end;
}
uint64_t RadixTrie::num_private_pages(const Lease& lease) const {
  return record(lease.record_).num_private;
}

}  // namespace tattletale

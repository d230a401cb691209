// RadixTrie, the writers' side: turning a lease's private pages into published ones.
#include <algorithm>

#include "cache/radix_trie.h"

namespace tattletale {

ExtendResult RadixTrie::extend(Lease& lease, std::span<const TokenId> computed, std::vector<PageId>& pages) {
  CHECK(computed.size() <= UINT32_MAX);
  LeaseRecord& held = record(lease.record_);
  ExtendResult result;
  const uint64_t target = computed.size() & ~uint64_t{page_mask()};
  const uint64_t published = nodes_[held.node].end;
  if (target > published) {
    const uint64_t shift = pool_.page_shift();
    check_private_pages(held, published >> shift, (target - published) >> shift, pages);
    drop_copy_source(lease);
    move_lease(held, publish(held, computed.first(target), pages, result));
    publish_counts();
  }
  result.published_tokens = nodes_[held.node].end;
  return result;
}

void RadixTrie::finish(Lease&& lease, std::span<const TokenId> computed, std::vector<PageId>& pages) {
  extend(lease, computed, pages);
  LeaseRecord& held = record(lease.record_);
  const bool has_tail = computed.size() > nodes_[held.node].end && held.num_private != 0;
  if (has_tail) {
    check_private_pages(held, nodes_[held.node].end >> pool_.page_shift(), 1, pages);
    drop_copy_source(lease);
    ExtendResult unused;
    move_lease(held, publish(held, computed, pages, unused));
  }
  lease.release();
}

void RadixTrie::check_private_pages(const LeaseRecord& lease, uint64_t first, uint64_t num,
                                    std::span<const PageId> pages) const {
  CHECK(num <= lease.num_private && first + num <= pages.size());
  PageIndex page = lease.first_private;
  for (uint64_t i = first; i < first + num; ++i, page = pool_.links_[page].next)
    CHECK(pages[i] == pool_.id(page));
}

/// Hangs the tokens after the lease's path, and the private pages that hold them, where they belong. Returns
/// the node that ends the lease's new path; for an unfilled last page that is already cached in full, the old
/// one.
NodeIndex RadixTrie::publish(LeaseRecord& lease, std::span<const TokenId> tokens, std::vector<PageId>& pages,
                             ExtendResult& result) {
  const uint64_t shift = pool_.page_shift();
  const uint64_t first = nodes_[lease.node].end >> shift;
  page_scratch_.clear();
  const Walk end = walk(tokens, lease.node, &page_scratch_);
  if (end.depth == tokens.size() && (end.depth & page_mask()) != 0) return lease.node;

  NodeIndex at = end.node;
  if (end.child != kNoNode) {
    const PageIndex above = page_scratch_.empty() ? PagePool::kNone : page_index(page_scratch_.back());
    at = split(end.child, end.depth, above);
  }
  // What another request published first replaces this request's pages.
  const uint64_t num_duplicates = page_scratch_.size();
  std::copy(page_scratch_.begin(), page_scratch_.end(), pages.begin() + static_cast<ptrdiff_t>(first));
  free_private_pages(lease, num_duplicates);
  result.first_replaced = first;
  result.num_replaced = num_duplicates;
  CacheStatsWriter::add(stats_.duplicate_pages, num_duplicates);
  return end.depth == tokens.size() ? at : attach_run(lease, at, tokens, end.depth);
}

/// Publishes tokens[depth..) below `at`, which ends at `depth`, with the lease's first private pages.
NodeIndex RadixTrie::attach_run(LeaseRecord& lease, NodeIndex at, std::span<const TokenId> tokens,
                                uint64_t depth) {
  const uint64_t shift = pool_.page_shift();
  const uint64_t first_of_path = depth >> shift;
  const uint64_t num = ((tokens.size() + page_mask()) >> shift) - first_of_path;
  const PageIndex first = lease.first_private;
  PageIndex last = first;
  for (uint64_t i = 0; i < num; ++i) {
    if (i != 0) last = pool_.links_[last].next;
    const uint64_t from = (first_of_path + i) << shift;
    std::copy_n(&tokens[from], std::min<uint64_t>(page_tokens(), tokens.size() - from), pool_.tokens(last));
  }
  lease.first_private = pool_.links_[last].next;
  lease.num_private -= static_cast<uint32_t>(num);
  if (lease.num_private == 0) lease.last_private = PagePool::kNone;
  trie_pages_ += num;
  CacheStatsWriter::add(stats_.published_pages, num);

  if (may_grow(at, lease)) {
    grow(at, first, last, tokens.size());
    return at;
  }
  const NodeIndex leaf = nodes_.take();
  TrieNode& fresh = nodes_[leaf];
  fresh.key = tokens[depth];
  fresh.parent = at;
  fresh.start = static_cast<uint32_t>(depth);
  fresh.end = static_cast<uint32_t>(tokens.size());
  fresh.first_page = first;
  fresh.last_page = last;
  fresh.has_tail = (tokens.size() & page_mask()) != 0;
  if (nodes_[at].in_order) order_.erase(nodes_, at);
  children_.insert(nodes_, at, leaf);
  return leaf;
}

/// A leaf that nobody else holds may take a run at its end; a hold elsewhere, a pin or a checkpoint names
/// that end.
bool RadixTrie::may_grow(NodeIndex node, const LeaseRecord& lease) const {
  const TrieNode& at = nodes_[node];
  const uint64_t own_holds = node == lease.node ? 1 : 0;
  return node != kRootNode && children_.empty(nodes_, node) && at.num_holds == own_holds && !at.pinned &&
         !at.has_checkpoint;
}

/// Appends pages first..last to a leaf. They hold the rows of its tail too, which is freed.
void RadixTrie::grow(NodeIndex node, PageIndex first, PageIndex last, uint64_t end) {
  TrieNode& leaf = nodes_[node];
  const uint64_t pages_before = num_pages_of(leaf);
  const PageIndex tail = leaf.has_tail ? leaf.last_page : PagePool::kNone;
  const PageIndex above = tail != PagePool::kNone ? pool_.links_[tail].prev : leaf.last_page;
  const bool keeps_pages = pages_before > leaf.has_tail;
  if (keeps_pages) {
    pool_.links_[above].next = first;
    pool_.links_[first].prev = above;
  } else {
    leaf.first_page = first;
  }
  leaf.last_page = last;
  leaf.end = static_cast<uint32_t>(end);
  leaf.has_tail = (end & page_mask()) != 0;
  if (leaf.is_busy()) protected_pages_ += num_pages_of(leaf) - pages_before;
  if (tail == PagePool::kNone) return;
  if (!keeps_pages) repair_borrowed_page(leaf.parent, tail);
  pool_.give_back(tail);
  --trie_pages_;
}

/// The lease's path ends at `to` from now on.
void RadixTrie::move_lease(LeaseRecord& lease, NodeIndex to) {
  const NodeIndex from = std::exchange(lease.node, to);
  if (to != from) hold(to);
  ++clock_;
  touch_path(to);
  if (to != from) unhold(from);
}

}  // namespace tattletale

// IntrusiveAttention's cache: a paged radix trie over token ids that says which KV pages a request can reuse,
// where new pages hang and which go first. Pure logic; page contents live elsewhere. The structure is
// described in docs/cache.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cache/cache_stats.h"
#include "cache/child_index.h"
#include "cache/page_pool.h"
#include "cache/trie_node.h"

namespace tattletale {

class RadixTrie;

/// Rows 0 .. num_tokens-1 of `page` hold the request's next tokens but the page is not (wholly) the
/// request's: copy those rows into the request's own first page (the first that allocate_pages gives), then
/// compute the rest.
struct CopySource {
  PageId page = 0;
  uint32_t num_tokens = 0;
};

/// Caller's opaque per-layer state (recurrent layers, sliding windows) as it was after num_tokens tokens.
struct Checkpoint {
  uint64_t id = 0;  // never 0
  uint64_t num_tokens = 0;
};

/// One request's hold on a path of the trie plus the pages it owns alone. Move-only. While it lives no page
/// on its path is evicted; dropping it releases exactly that path and returns its private pages, in O(log n),
/// without a search. It must not outlive its trie. Threading: the trie's writer thread only.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept { *this = std::move(other); }
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { release(); }

  /// Drops the hold now (finish without a tail, cancel, disconnect). Safe to call again.
  void release();
  explicit operator bool() const { return trie_ != nullptr; }

  /// Where prefill starts: tokens that need no computing, = full pages * page_tokens +
  /// copy_source()->num_tokens.
  uint64_t matched_tokens() const { return matched_tokens_; }
  /// Set if the match ended inside a page. It stays valid until drop_copy_source(), extend() past it, or
  /// release.
  std::optional<CopySource> copy_source() const {
    return copy_.num_tokens != 0 ? std::optional<CopySource>(copy_) : std::nullopt;
  }
  /// The deepest checkpoint at or before the matched full pages.
  std::optional<Checkpoint> checkpoint() const {
    return checkpoint_.id != 0 ? std::optional<Checkpoint>(checkpoint_) : std::nullopt;
  }

 private:
  friend class RadixTrie;
  RadixTrie* trie_ = nullptr;
  uint32_t record_ = 0;
  uint64_t matched_tokens_ = 0;
  CopySource copy_;
  Checkpoint checkpoint_;
};

struct MatchOptions {
  /// Match at most tokens.size() - 1 tokens, so that the last one is computed and yields logits.
  bool recompute_last_token = true;
  /// End the match at the deepest checkpoint (no copy source then): for models with state not addressable by
  /// token.
  bool need_checkpoint = false;
};

struct ExtendResult {
  uint64_t published_tokens = 0;  // length of the lease's path now, a multiple of page_tokens
  /// Entries of the page table that now name the trie's page, since another request published the same tokens
  /// first.
  uint64_t first_replaced = 0;
  uint64_t num_replaced = 0;
};

struct EvictResult {
  uint64_t num_freed = 0;
  uint64_t num_not_freed = 0;  // asked for but leased, pinned or not there
};

/// Pages about to be freed, oldest first in the path; `tokens` is the whole path up to the last row of the
/// last page. Valid during the call only.
struct EvictedRun {
  std::span<const TokenId> tokens;
  std::span<const PageId> pages;  // consecutive; the last may be a tail with tokens.size() % page_tokens rows
  uint64_t first_page_of_path = 0;  // pages[0] holds tokens [first_page_of_path * page_tokens, ...)
};

struct TrieOptions {
  PagePoolOptions pool;
  /// Called with a checkpoint's id when its node goes or the checkpoint is replaced.
  std::function<void(uint64_t checkpoint_id)> release_checkpoint = {};
  /// Called before evicted pages are freed, so that a second tier may copy them. Costs O(path) a leaf when
  /// set.
  std::function<void(const EvictedRun&)> on_evict = {};
};

/// The paged radix trie.
///
/// A request's life: match() -> allocate_pages() -> copy rows of copy_source(), compute -> extend() whenever
/// a page has filled -> finish() or drop the lease. `pages` in these calls is the request's page table: entry
/// i holds tokens [i * page_tokens, (i + 1) * page_tokens). match() replaces it, the others keep it true.
///
/// Costs: O(length compared + path nodes * log fan-out); no hash table, no rehash, no growth copying, no walk
/// over siblings or subtrees. The longest sequence is 2^32 - 1 tokens. Threading: ONE writer thread (the
/// scheduler) calls everything; any thread may call stats(). Errors: broken calls (a page table that is not
/// the lease's) fail a CHECK before anything changes.
class RadixTrie {
 public:
  /// Errors: as PagePool::create.
  static Result<std::unique_ptr<RadixTrie>> create(TrieOptions options);
  ~RadixTrie();
  RadixTrie(const RadixTrie&) = delete;
  RadixTrie& operator=(const RadixTrie&) = delete;

  /// Finds the longest cached prefix, exact to the token, and holds it. pages := the shared full pages.
  Lease match(std::span<const TokenId> tokens, std::vector<PageId>& pages, MatchOptions options = {});

  /// Length of the longest cached prefix; holds and touches nothing (for cache-aware scheduling).
  uint64_t peek(std::span<const TokenId> tokens) const;

  /// A second lease on what `lease` has published (n choices from one prefill). pages := its full pages. Rows
  /// of the parent's unpublished page are not shared: copy them from the parent's page table.
  Lease fork(const Lease& lease, std::vector<PageId>& pages);

  /// Gives the lease num_pages more private pages, appended to `pages`; evicts when too few are free.
  /// False, and nothing changed, if free and evictable pages together do not suffice.
  bool allocate_pages(Lease& lease, uint64_t num_pages, std::vector<PageId>& pages);

  /// Publishes every full page of `computed`, the request's whole token sequence so far whose rows are
  /// computed; it must begin with the lease's path. Where the same tokens are already published, the
  /// request's duplicates are freed and `pages` names the trie's instead (same contents). Call it once the
  /// device work writing those rows is ordered before any later use of the pages.
  ExtendResult extend(Lease& lease, std::span<const TokenId> computed, std::vector<PageId>& pages);

  /// Publishes everything computed, the unfilled last page included, and releases the lease.
  void finish(Lease&& lease, std::span<const TokenId> computed, std::vector<PageId>& pages);

  /// Ends the hold on the copy source once its rows are copied (extend and release do so too).
  void drop_copy_source(Lease& lease);

  /// Frees pages nobody holds, least recently used leaves first and each leaf from its end.
  EvictResult evict(uint64_t num_pages);

  /// Keeps the cached full pages of `tokens` until unpin(tokens); returns how many tokens are kept now.
  uint64_t pin(std::span<const TokenId> tokens);
  /// False if exactly these tokens' full pages are not pinned.
  bool unpin(std::span<const TokenId> tokens);

  /// Hangs caller state at the end of what the lease has published; `id` is not 0. An older one there is
  /// released.
  void set_checkpoint(Lease& lease, uint64_t id);

  /// Tokens of the lease's published path; a multiple of page_tokens.
  uint64_t published_tokens(const Lease& lease) const;
  /// Pages the lease owns alone.
  uint64_t num_private_pages(const Lease& lease) const;

  uint32_t page_tokens() const { return pool_.page_tokens(); }
  uint64_t num_pages() const { return pool_.num_pages(); }
  uint64_t num_free_pages() const { return pool_.num_free(); }
  /// Pages that evict could free now. free + evictable is what admission may promise.
  uint64_t num_evictable_pages() const { return trie_pages_ - protected_pages_; }
  uint64_t num_trie_pages() const { return trie_pages_; }
  uint64_t num_nodes() const { return nodes_.num_used() - 1; }  // without the root

  uint64_t num_fans() const { return children_.num_fans(); }

  /// Host memory that what is cached now takes: nodes, fans, and per published page its tokens and links.
  uint64_t memory_bytes_in_use() const {
    return num_nodes() * sizeof(TrieNode) + children_.num_fans() * ChildIndex::kFanBytes +
           trie_pages_ * (8 + uint64_t{4} * page_tokens());
  }

  /// Published facts; callable from any thread at any time.
  CacheStats stats() const { return stats_.read(); }

 private:
  friend class Lease;
  friend class TrieVerifier;
  friend class TrieSnapshot;
  friend struct TrieTamper;  // tests damage a trie through it to see the verifier object
  using PageIndex = PagePool::PageIndex;

  struct LeaseRecord {
    NodeIndex node;       // the path's end; its end is page aligned
    NodeIndex copy_node;  // kNoNode, or the node whose last page is the copy source
    PageIndex first_private, last_private;
    uint32_t num_private;
    uint32_t in_use;
    uint32_t next_free;
  };

  /// How far a token sequence agrees with the trie.
  struct Walk {
    NodeIndex node = 0;   // the last node that agrees to its end
    NodeIndex child = 0;  // the child that agrees in part, or kNoNode
    uint64_t depth = 0;   // tokens that agree
    Checkpoint checkpoint;
    NodeIndex checkpoint_node = 0;
  };

  RadixTrie() = default;
  // radix_trie.cpp: match, leases
  Walk walk(std::span<const TokenId> tokens, NodeIndex from, std::vector<PageId>* pages) const;
  NodeIndex end_node_at(NodeIndex bottom, uint64_t depth, std::span<const PageId> pages);
  NodeIndex find_copy_source(const Walk& end, uint64_t full, CopySource& copy);
  void touch_path(NodeIndex node);
  void release_hold(NodeIndex node);
  Lease new_lease(NodeIndex node);
  void release_lease(Lease& lease);
  LeaseRecord& record(uint32_t index) { return lease_chunks_[index / kLeaseChunk][index % kLeaseChunk]; }
  const LeaseRecord& record(uint32_t index) const {
    return lease_chunks_[index / kLeaseChunk][index % kLeaseChunk];
  }
  void free_private_pages(LeaseRecord& lease, uint64_t num);
  void publish_counts();
  // trie_publish.cpp: extend, finish
  void check_private_pages(const LeaseRecord& lease, uint64_t first, uint64_t num,
                           std::span<const PageId> pages) const;
  NodeIndex publish(LeaseRecord& lease, std::span<const TokenId> tokens, std::vector<PageId>& pages,
                    ExtendResult& result);
  NodeIndex attach_run(LeaseRecord& lease, NodeIndex at, std::span<const TokenId> tokens, uint64_t depth);
  bool may_grow(NodeIndex node, const LeaseRecord& lease) const;
  void grow(NodeIndex node, PageIndex first, PageIndex last, uint64_t end);
  void move_lease(LeaseRecord& lease, NodeIndex to);
  // trie_structure.cpp: split, merge, holds, borrowed pages, eviction of one leaf
  NodeIndex split(NodeIndex node, uint64_t at, PageIndex last_of_upper);
  bool try_merge(NodeIndex node);
  void hold(NodeIndex node);
  void unhold(NodeIndex node);
  void drop_redundant_tail(NodeIndex node);
  void remove_leaf(NodeIndex node);
  void repair_borrowed_page(NodeIndex from, PageIndex gone);
  void drop_checkpoint(NodeIndex node);
  uint64_t trim_leaf(NodeIndex node, uint64_t max_pages);
  void report_eviction(NodeIndex node, uint64_t num_pages);
  void path_tokens(NodeIndex node, std::vector<TokenId>& out) const;

  uint64_t num_pages_of(const TrieNode& node) const {
    return (node.end >> pool_.page_shift()) - (node.start >> pool_.page_shift()) + node.has_tail;
  }
  bool is_pageless(const TrieNode& node) const { return num_pages_of(node) == 0; }
  uint32_t page_mask() const { return pool_.page_tokens() - 1; }
  PageIndex page_index(PageId page) const { return static_cast<PageIndex>(page - pool_.first_page()) + 1; }

  static constexpr uint32_t kLeaseChunk = 1024;

  PagePool pool_;
  NodeArena nodes_;
  ChildIndex children_;
  EvictionOrder order_;
  LazyArray<uint64_t> checkpoints_;  // by node, where has_checkpoint
  std::vector<std::unique_ptr<LeaseRecord[]>> lease_chunks_;
  uint32_t free_lease_ = 0;
  uint32_t num_lease_records_ = 1;  // record 0 is not used
  uint64_t num_leases_ = 0;
  uint64_t clock_ = 0;
  uint64_t trie_pages_ = 0;
  uint64_t protected_pages_ = 0;  // of nodes that are busy
  TrieOptions options_;
  CacheStatsWriter stats_;
  std::vector<TokenId> path_scratch_;
  std::vector<PageId> page_scratch_;
};

}  // namespace tattletale

// A RadixTrie and a Lease that write down every call, its answer and the structure it leaves. The trie
// underneath is the one that ships.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cache/radix_trie.h"
#include "trace_writer.h"

namespace tattletale {

/// RadixTrie's friend: reads the structure.
struct TrieTamper {
  /// Every node in the order of its path: start, end, [tokens start..end), [pages owned], has_tail, holds,
  /// pinned, last use, whether it stands in the eviction order.
  static void write_structure(const RadixTrie& trie, proofs::TraceWriter& out) {
    out.begin(proofs::Record::kStructure);
    out.word(trie.num_nodes());
    write_children(trie, kRootNode, out);
  }

 private:
  static void write_children(const RadixTrie& trie, NodeIndex owner, proofs::TraceWriter& out) {
    std::vector<NodeIndex> children;
    trie.children_.for_each_tree(trie.nodes_, owner, [&](NodeIndex root) { collect(trie, root, children); });
    std::ranges::sort(children, {}, [&](NodeIndex child) { return trie.nodes_[child].key; });
    for (const NodeIndex child : children) {
      write_node(trie, child, out);
      write_children(trie, child, out);
    }
  }
  static void collect(const RadixTrie& trie, NodeIndex at, std::vector<NodeIndex>& out) {
    if (at == kNoNode) return;
    collect(trie, trie.nodes_[at].left, out);
    out.push_back(at);
    collect(trie, trie.nodes_[at].right, out);
  }
  static void write_node(const RadixTrie& trie, NodeIndex index, proofs::TraceWriter& out) {
    const TrieNode& node = trie.nodes_[index];
    out.word(node.start);
    out.word(node.end);
    out.word(node.num_tokens());
    uint32_t page = node.first_page;
    for (uint32_t pos = node.start; pos < node.end;) {
      out.word(trie.pool_.tokens(page)[pos & trie.page_mask()]);
      if ((++pos & trie.page_mask()) == 0) page = trie.pool_.links_[page].next;
    }
    const uint64_t num = trie.num_pages_of(node);
    out.word(num);
    page = node.first_page;
    for (uint64_t i = 0; i < num; ++i, page = trie.pool_.links_[page].next) out.word(trie.pool_.id(page));
    for (const uint64_t value : {uint64_t{node.has_tail}, uint64_t{node.num_holds}, uint64_t{node.pinned},
                                 uint64_t{node.last_use}, uint64_t{node.in_order}}) {
      out.word(value);
    }
  }
};

namespace proofs {

class TracedTrie;

class TracedLease {
 public:
  TracedLease() = default;
  TracedLease(TracedLease&& other) noexcept { *this = std::move(other); }
  TracedLease& operator=(TracedLease&& other) noexcept {
    release();
    trie_ = std::exchange(other.trie_, nullptr);
    id_ = other.id_;
    lease_ = std::move(other.lease_);
    return *this;
  }
  ~TracedLease() { release(); }
  void release();
  uint64_t matched_tokens() const { return lease_.matched_tokens(); }
  std::optional<CopySource> copy_source() const { return lease_.copy_source(); }
  std::optional<Checkpoint> checkpoint() const { return lease_.checkpoint(); }

 private:
  friend class TracedTrie;
  TracedTrie* trie_ = nullptr;
  uint32_t id_ = 0;
  Lease lease_;
};

class TracedTrie {
 public:
  static Result<std::unique_ptr<TracedTrie>> create(TrieOptions options) {
    auto traced = std::make_unique<TracedTrie>();
    writer().begin(Record::kTrie);
    writer().word(options.pool.num_pages);
    writer().word(options.pool.page_tokens);
    TT_ASSIGN(traced->trie_, RadixTrie::create(std::move(options)));
    return traced;
  }
  static TraceWriter& writer() {
    static TraceWriter writer;
    return writer;
  }
  operator const RadixTrie&() const { return *trie_; }

  TracedLease match(std::span<const TokenId> tokens, std::vector<PageId>& pages, MatchOptions options = {}) {
    TracedLease traced = name_lease(trie_->match(tokens, pages, options));
    begin(Record::kMatch, {traced.id_, options.recompute_last_token});
    writer().list(tokens);
    writer().word(traced.matched_tokens());
    writer().list(std::span<const PageId>(pages));
    const auto copy = traced.copy_source();
    writer().word(copy ? copy->page + 1 : 0);
    finish_record();
    return traced;
  }
  uint64_t peek(std::span<const TokenId> tokens) {
    const uint64_t matched = trie_->peek(tokens);
    begin(Record::kPeek, {});
    writer().list(tokens);
    writer().word(matched);
    finish_record();
    return matched;
  }
  TracedLease fork(const TracedLease& lease, std::vector<PageId>& pages) {
    TracedLease traced = name_lease(trie_->fork(lease.lease_, pages));
    begin(Record::kFork, {lease.id_, traced.id_});
    writer().list(std::span<const PageId>(pages));
    finish_record();
    return traced;
  }
  bool allocate_pages(TracedLease& lease, uint64_t num_pages, std::vector<PageId>& pages) {
    const size_t before = pages.size();
    const bool done = trie_->allocate_pages(lease.lease_, num_pages, pages);
    begin(Record::kAllocate, {lease.id_, num_pages, done});
    writer().list(std::span<const PageId>(pages).subspan(before));
    finish_record();
    return done;
  }
  ExtendResult extend(TracedLease& lease, std::span<const TokenId> computed, std::vector<PageId>& pages) {
    const ExtendResult result = trie_->extend(lease.lease_, computed, pages);
    begin(Record::kExtend, {lease.id_});
    writer().list(computed);
    writer().word(result.published_tokens);
    writer().word(result.first_replaced);
    writer().list(std::span<const PageId>(pages).subspan(result.first_replaced, result.num_replaced));
    finish_record();
    return result;
  }
  void finish(TracedLease&& lease, std::span<const TokenId> computed, std::vector<PageId>& pages) {
    trie_->finish(std::move(lease.lease_), computed, pages);
    lease.trie_ = nullptr;
    begin(Record::kFinish, {lease.id_});
    writer().list(computed);
    finish_record();
  }
  void drop_copy_source(TracedLease& lease) {
    trie_->drop_copy_source(lease.lease_);
    begin(Record::kDropCopy, {lease.id_});
    finish_record();
  }
  void release(TracedLease& lease) {
    lease.lease_.release();
    begin(Record::kRelease, {lease.id_});
    finish_record();
  }
  EvictResult evict(uint64_t num_pages) {
    const EvictResult result = trie_->evict(num_pages);
    begin(Record::kEvict, {num_pages, result.num_freed});
    finish_record();
    return result;
  }
  uint64_t pin(std::span<const TokenId> tokens) {
    const uint64_t kept = trie_->pin(tokens);
    begin(Record::kPin, {});
    writer().list(tokens);
    writer().word(kept);
    finish_record();
    return kept;
  }
  bool unpin(std::span<const TokenId> tokens) {
    const bool done = trie_->unpin(tokens);
    begin(Record::kUnpin, {});
    writer().list(tokens);
    writer().word(done);
    finish_record();
    return done;
  }
  void set_checkpoint(TracedLease& lease, uint64_t id) { trie_->set_checkpoint(lease.lease_, id); }
  uint64_t num_free_pages() const { return trie_->num_free_pages(); }
  uint64_t num_trie_pages() const { return trie_->num_trie_pages(); }
  uint64_t num_evictable_pages() const { return trie_->num_evictable_pages(); }
  uint64_t num_nodes() const { return trie_->num_nodes(); }
  uint64_t num_fans() const { return trie_->num_fans(); }

 private:
  TracedLease name_lease(Lease&& lease) {
    TracedLease traced;
    traced.trie_ = this;
    traced.id_ = ++last_lease_;
    traced.lease_ = std::move(lease);
    return traced;
  }
  static void begin(Record record, std::initializer_list<uint64_t> words) {
    writer().begin(record);
    for (const uint64_t word : words) writer().word(word);
  }
  void finish_record() {
    for (const uint64_t value :
         {trie_->num_free_pages(), trie_->num_trie_pages(), trie_->num_evictable_pages()}) {
      writer().word(value);
    }
    TrieTamper::write_structure(*trie_, writer());
  }
  std::unique_ptr<RadixTrie> trie_;
  uint32_t last_lease_ = 0;
};

inline void TracedLease::release() {
  if (trie_ != nullptr) std::exchange(trie_, nullptr)->release(*this);
}

}  // namespace proofs
}  // namespace tattletale

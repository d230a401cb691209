// Decides, before every step, which tokens of which requests are computed and in which pages: continuous
// batching with chunked prefill over the prefix cache. Pure logic: no device, no sampling, no clock.
//
// Rights go by arrival. Running requests decode first; prompts share what is left of the step's tokens, but
// always get some. Pages are reserved oldest request first, and only from younger ones: a request that cannot
// have its pages waits holding what it has, and the youngest is put back (its pages stay in the cache, so
// that coming back is a prefix hit). The oldest can take every page, so every request ends.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/schedule/sequence.h"

namespace tattletale {

struct StepLimits {
  uint32_t max_tokens = 512;
  uint32_t max_sequences = 256;
};

struct StepPlan {
  std::vector<StepPart> parts;  // oldest request first
  std::vector<PageCopy>
      copies;               // to be done before the parts; no page is target twice, nor target and source
  uint32_t num_tokens = 0;  // of all parts, without drafts
};

struct ScheduleStats {
  uint64_t steps = 0;
  uint64_t admissions = 0;
  uint64_t preemptions = 0;
  uint64_t deferrals = 0;  // steps in which a request waited for a prefix that another one was computing
  uint64_t forwarded_tokens = 0;  // rows computed, drafts included
};

/// Threading: as RadixTrie, one thread. Sequences must be removed before they are destroyed.
class Scheduler {
 public:
  /// `can_copy`: the device copies rows of pages; without, matches end at full pages.
  Scheduler(RadixTrie& trie, bool can_copy) : trie_(trie), can_copy_(can_copy) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Gives an idle sequence its arrival, and with it its rights, before it is added or forked.
  void enlist(Sequence& sequence);

  /// Queues an idle sequence by its arrival; behind all others if it has none yet.
  void add(Sequence& sequence);

  /// Takes a sequence out. What it has computed stays in the cache, unless `keep` is false (its pages may
  /// hold anything after a failed step).
  void remove(Sequence& sequence, bool keep);

  /// Plans a step; its pages are reserved and its copies must be done, then copies_done() called, before
  /// anything else. Empty only if nothing waits or runs.
  StepPlan& plan(const StepLimits& limits);
  void copies_done();

  /// Room for guessed tokens behind a planned part, in pages that cost nobody anything: how many of
  /// `num_drafts` fit.
  uint32_t reserve_drafts(StepPart& part, uint32_t num_drafts);

  /// The next num_tokens of the sequence's tokens are computed (an accepted draft is appended to them first);
  /// pages that are full now are published.
  void computed(Sequence& sequence, uint64_t num_tokens);
  /// Counts rows that were computed for drafts which turned out wrong.
  void rejected(Sequence& sequence, uint64_t num_tokens);

  /// Lets `child`, an idle sequence that begins with what `parent` has computed, run beside it on the same
  /// pages. Gives the copy of the page that both write on next, to be done at once; none if there is no such
  /// page, or if the child could get no page of its own and was queued instead.
  std::optional<PageCopy> fork(const Sequence& parent, Sequence& child);

  /// Pages for an idle sequence that is computed outside of the plans, up to num_tokens, at any running
  /// request's cost. It is admitted on the first call, matching at most max_matched tokens. Gives a copy to
  /// be done at once. False: pinned pages leave too little room.
  bool reserve_now(Sequence& sequence, uint64_t num_tokens, uint64_t max_matched,
                   std::optional<PageCopy>& copy);

  bool has_work() const { return !running_.empty() || !waiting_.empty(); }
  std::span<Sequence* const> running() const { return running_; }
  std::span<Sequence* const> waiting() const { return waiting_; }
  const ScheduleStats& stats() const { return stats_; }

  /// Errors: internal, where sequences, leases and the trie do not agree on every page. O(everything).
  Result<void> verify() const;

 private:
  void choose_decodes(uint32_t budget);
  void plan_running(uint32_t prefill_budget);
  void admit_waiting();
  void admit(Sequence& sequence, uint64_t max_matched);
  uint64_t growth_pages(const Sequence& sequence) const;
  bool must_defer(const Sequence& sequence) const;
  bool allocate(Sequence& sequence, uint64_t num_tokens);
  uint64_t num_that_fit(const Sequence& sequence) const;
  bool preempt_younger_than(const Sequence& sequence);
  void release(Sequence& sequence, bool keep);
  void add_part(Sequence& sequence, uint64_t num_tokens);
  uint64_t pages_for(uint64_t num_tokens) const {
    return (num_tokens + trie_.page_tokens() - 1) / trie_.page_tokens();
  }

  RadixTrie& trie_;
  bool can_copy_;
  std::vector<Sequence*> waiting_;  // by arrival
  std::vector<Sequence*> running_;  // by arrival
  std::vector<Sequence*> decodes_;  // chosen for this step
  StepLimits limits_;
  uint64_t prefill_left_ = 0;
  StepPlan plan_;
  uint64_t next_arrival_ = 1;
  ScheduleStats stats_;
};

}  // namespace tattletale

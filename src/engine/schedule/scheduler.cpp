#include "engine/schedule/scheduler.h"

#include <algorithm>
#include <string>

#include "cache/token_compare.h"
#include "cache/trie_verifier.h"

namespace tattletale {
namespace {

constexpr uint32_t kPrefillShare = 4;  // prompts get at least 1/4 of a step's tokens while any wait
constexpr size_t kMaxConsidered = 64;  // waiting requests looked at in one step

bool by_arrival(const Sequence* a, const Sequence* b) {
  return a->arrival < b->arrival;
}

void insert_by_arrival(std::vector<Sequence*>& into, Sequence& sequence) {
  into.insert(std::upper_bound(into.begin(), into.end(), &sequence, by_arrival), &sequence);
}

}  // namespace

void Scheduler::enlist(Sequence& sequence) {
  if (sequence.arrival == 0) sequence.arrival = next_arrival_++;
}

void Scheduler::add(Sequence& sequence) {
  CHECK(sequence.state == Sequence::State::idle && !sequence.tokens.empty());
  enlist(sequence);
  sequence.state = Sequence::State::waiting;
  insert_by_arrival(waiting_, sequence);
}

/// Gives up the lease and the pages.
void Scheduler::release(Sequence& sequence, bool keep) {
  if (sequence.lease) {
    if (keep) {
      trie_.finish(std::move(sequence.lease), std::span(sequence.tokens).first(sequence.computed),
                   sequence.pages);
    }
    sequence.lease.release();
  }
  sequence.pages.clear();
  sequence.computed = 0;
}

void Scheduler::remove(Sequence& sequence, bool keep) {
  release(sequence, keep);
  std::erase(waiting_, &sequence);
  std::erase(running_, &sequence);
  sequence.state = Sequence::State::idle;
  sequence.arrival = 0;
}

/// Puts the youngest running request back if it is younger than `sequence`.
bool Scheduler::preempt_younger_than(const Sequence& sequence) {
  if (running_.empty() || running_.back()->arrival <= sequence.arrival) return false;
  Sequence& victim = *running_.back();
  running_.pop_back();
  release(victim, true);
  victim.state = Sequence::State::waiting;
  insert_by_arrival(waiting_, victim);
  ++victim.preemptions;
  ++stats_.preemptions;
  return true;
}

/// Pages for the first num_tokens tokens, from what is free or nobody's.
bool Scheduler::allocate(Sequence& sequence, uint64_t num_tokens) {
  const uint64_t wanted = pages_for(num_tokens);
  if (wanted <= sequence.pages.size()) return true;
  return trie_.allocate_pages(sequence.lease, wanted - sequence.pages.size(), sequence.pages);
}

/// How many tokens behind the computed ones could have pages now, at nobody's cost.
uint64_t Scheduler::num_that_fit(const Sequence& sequence) const {
  const uint64_t pages = sequence.pages.size() + trie_.num_free_pages() + trie_.num_evictable_pages();
  return pages * trie_.page_tokens() - sequence.computed;
}

void Scheduler::add_part(Sequence& sequence, uint64_t num_tokens) {
  plan_.parts.push_back({&sequence, static_cast<uint32_t>(num_tokens), 0});
  plan_.num_tokens += static_cast<uint32_t>(num_tokens);
  sequence.last_step = stats_.steps;
}

/// Of the requests that decode, those that have waited longest, as many as the budget allows.
void Scheduler::choose_decodes(uint32_t budget) {
  decodes_.clear();
  for (Sequence* sequence : running_) {
    if (sequence->pending() == 1) decodes_.push_back(sequence);
  }
  if (decodes_.size() > budget) {
    std::ranges::sort(decodes_, {}, [](const Sequence* s) { return std::pair(s->last_step, s->arrival); });
    decodes_.resize(budget);
    std::ranges::sort(decodes_, by_arrival);
  }
}

/// Pages and parts for the running requests, oldest first. Only requests younger than the one at hand give
/// way, so none that is planned already.
void Scheduler::plan_running(uint32_t prefill_budget) {
  prefill_left_ = prefill_budget;
  for (size_t i = 0; i < running_.size() && plan_.parts.size() < limits_.max_sequences; ++i) {
    Sequence& sequence = *running_[i];
    const bool decoding = sequence.pending() == 1;
    if (decoding && !std::ranges::binary_search(decodes_, &sequence, by_arrival)) continue;
    uint64_t count = decoding ? 1 : std::min(prefill_left_, sequence.pending());
    if (count == 0) continue;
    // A shorter chunk before another's pages.
    do {
      count = std::clamp<uint64_t>(num_that_fit(sequence), 1, count);
    } while (!allocate(sequence, sequence.computed + count) && preempt_younger_than(sequence));
    if (sequence.computed + count > sequence.pages.size() * trie_.page_tokens()) continue;
    if (!decoding) prefill_left_ -= count;
    add_part(sequence, count);
  }
}

/// An older running request is computing pages that this one shares: one step of waiting saves them.
bool Scheduler::must_defer(const Sequence& sequence) const {
  const uint64_t limit = sequence.tokens.size() - 1;
  std::optional<uint64_t> cached;
  for (const Sequence* other : running_) {
    if (other->arrival > sequence.arrival) break;
    if (other->pending() <= 1) continue;
    uint64_t shared = common_prefix(other->tokens.data(), sequence.tokens.data(),
                                    std::min<uint64_t>(limit, other->tokens.size()));
    shared -= shared % trie_.page_tokens();
    if (shared == 0) continue;
    if (!cached) cached = trie_.peek(std::span(sequence.tokens).first(limit));
    if (shared > *cached) return true;
  }
  return false;
}

/// Matches the sequence and sets it running; its copy goes into the plan.
void Scheduler::admit(Sequence& sequence, uint64_t max_matched) {
  const uint64_t most = std::min<uint64_t>(max_matched, sequence.tokens.size() - 1);
  sequence.lease =
      trie_.match(std::span(sequence.tokens).first(most), sequence.pages, {.recompute_last_token = false});
  if (!can_copy_) trie_.drop_copy_source(sequence.lease);
  sequence.computed = sequence.pages.size() * trie_.page_tokens();
  if (const std::optional<CopySource> source = sequence.lease.copy_source()) {
    if (allocate(sequence, sequence.computed + 1)) {
      plan_.copies.push_back({source->page, sequence.pages.back(), source->num_tokens});
      sequence.computed += source->num_tokens;
    } else {  // the page to copy from may be the only one left
      trie_.drop_copy_source(sequence.lease);
    }
  }
}

/// 1 if the sequence, its tokens computed, may still want another page. The last token is never computed.
uint64_t Scheduler::growth_pages(const Sequence& sequence) const {
  return pages_for(sequence.tokens.size()) < pages_for(std::min(sequence.final_tokens, uint64_t{1} << 40) - 1)
             ? 1
             : 0;
}

/// Lets requests in, oldest first, while prompts may have tokens in this step. The first that lacks pages
/// keeps the others out.
void Scheduler::admit_waiting() {
  size_t considered = 0;
  for (size_t i = 0; i < waiting_.size() && considered < kMaxConsidered; ++considered) {
    if (prefill_left_ == 0 || running_.size() >= limits_.max_sequences ||
        plan_.parts.size() >= limits_.max_sequences) {
      return;
    }
    Sequence& sequence = *waiting_[i];
    if (must_defer(sequence)) {
      ++stats_.deferrals;
      ++i;
      continue;
    }
    // Room for the whole prompt, and a page for each request that may grow.
    const uint64_t total = pages_for(sequence.tokens.size());
    uint64_t reserve = growth_pages(sequence);
    for (const Sequence* other : running_) reserve += growth_pages(*other);
    const std::span<const uint32_t> matchable = std::span(sequence.tokens).first(sequence.tokens.size() - 1);
    const uint64_t cached = trie_.peek(matchable) / trie_.page_tokens();
    if (trie_.num_free_pages() + trie_.num_evictable_pages() + cached < total + reserve &&
        !running_.empty()) {
      return;
    }
    admit(sequence, UINT64_MAX);
    const uint64_t fits = num_that_fit(sequence);
    const bool roomy =
        running_.empty() || sequence.computed + fits >= (total + reserve) * trie_.page_tokens();
    const uint64_t count = std::min({prefill_left_, sequence.pending(), std::max<uint64_t>(fits, 1)});
    if (!roomy || !allocate(sequence, sequence.computed + count)) {
      if (!plan_.copies.empty() && !sequence.pages.empty() &&
          plan_.copies.back().to == sequence.pages.back()) {
        plan_.copies.pop_back();
      }
      release(sequence, false);
      return;
    }
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
    insert_by_arrival(running_, sequence);
    sequence.state = Sequence::State::running;
    sequence.admitted_step = stats_.steps;
    if (sequence.preemptions == 0) sequence.cached_tokens = sequence.computed;
    ++stats_.admissions;
    prefill_left_ -= count;
    add_part(sequence, count);
  }
}

StepPlan& Scheduler::plan(const StepLimits& limits) {
  CHECK(limits.max_tokens > 0 && limits.max_sequences > 0);
  limits_ = limits;
  plan_ = {};
  if (!has_work()) return plan_;
  ++stats_.steps;
  const bool prefilling =
      !waiting_.empty() || std::ranges::any_of(running_, [](const Sequence* s) { return s->pending() > 1; });
  uint32_t for_prefill = prefilling ? std::max(limits.max_tokens / kPrefillShare, 1u) : 0;
  if (limits.max_tokens == 1 && stats_.steps % 2 == 0) for_prefill = 0;  // one token a step: by turns
  const uint32_t seats = limits.max_sequences - (prefilling && limits.max_sequences > 1 ? 1 : 0);
  choose_decodes(std::min(limits.max_tokens - for_prefill, seats));
  plan_running(limits.max_tokens - static_cast<uint32_t>(decodes_.size()));
  admit_waiting();
  if (plan_.parts.empty()) {  // the tokens went to prompts that could not be let in
    choose_decodes(1);
    plan_running(1);
  }
  if (plan_.parts.empty()) admit_waiting();
  CHECK(!plan_.parts.empty());
  return plan_;
}

void Scheduler::copies_done() {
  if (plan_.copies.empty()) return;
  for (const StepPart& part : plan_.parts) trie_.drop_copy_source(part.sequence->lease);
}

uint32_t Scheduler::reserve_drafts(StepPart& part, uint32_t num_drafts) {
  Sequence& sequence = *part.sequence;
  const uint64_t fits = num_that_fit(sequence) - part.num_tokens;  // the part has its pages already
  num_drafts = static_cast<uint32_t>(std::min<uint64_t>(num_drafts, fits));
  if (num_drafts == 0 || !allocate(sequence, sequence.computed + part.num_tokens + num_drafts)) return 0;
  part.num_drafts = num_drafts;
  return num_drafts;
}

void Scheduler::rejected(Sequence& sequence, uint64_t num_tokens) {
  sequence.forwarded_tokens += num_tokens;
  stats_.forwarded_tokens += num_tokens;
}

void Scheduler::computed(Sequence& sequence, uint64_t num_tokens) {
  sequence.computed += num_tokens;
  sequence.forwarded_tokens += num_tokens;
  stats_.forwarded_tokens += num_tokens;
  CHECK(sequence.computed <= sequence.tokens.size());
  if (sequence.computed / trie_.page_tokens() >
      trie_.published_tokens(sequence.lease) / trie_.page_tokens()) {
    trie_.extend(sequence.lease, std::span(sequence.tokens).first(sequence.computed), sequence.pages);
  }
}

std::optional<PageCopy> Scheduler::fork(const Sequence& parent, Sequence& child) {
  CHECK(parent.running() && child.state == Sequence::State::idle);
  enlist(child);
  child.lease = trie_.fork(parent.lease, child.pages);
  child.computed = child.pages.size() * trie_.page_tokens();
  const uint64_t rows = std::min<uint64_t>(parent.computed - child.computed, trie_.page_tokens());
  std::optional<PageCopy> copy;
  if (rows != 0 && can_copy_) {
    if (!allocate(child, child.computed + 1)) {
      release(child, false);
      child.state = Sequence::State::waiting;
      insert_by_arrival(waiting_, child);
      return {};
    }
    copy = PageCopy{parent.pages[child.pages.size() - 1], child.pages.back(), static_cast<uint32_t>(rows)};
    child.computed += rows;
  }
  child.cached_tokens = child.computed;
  child.state = Sequence::State::running;
  insert_by_arrival(running_, child);
  return copy;
}

bool Scheduler::reserve_now(Sequence& sequence, uint64_t num_tokens, uint64_t max_matched,
                            std::optional<PageCopy>& copy) {
  copy.reset();
  if (!sequence.lease) {
    plan_ = {};
    admit(sequence, max_matched);
    if (!plan_.copies.empty()) copy = plan_.copies.front();
  }
  while (!allocate(sequence, num_tokens)) {
    if (!preempt_younger_than(sequence)) return false;
  }
  return true;
}

Result<void> Scheduler::verify() const {
  TT_TRY(TrieVerifier::verify(trie_));
  const auto fault = [](const std::string& what) {
    return make_error(ErrorKind::internal, "scheduler", what);
  };
  if (!std::ranges::is_sorted(running_, by_arrival) || !std::ranges::is_sorted(waiting_, by_arrival))
    return fault("requests are out of order");
  uint64_t private_pages = 0;
  for (const Sequence* sequence : running_) {
    if (!sequence->running() || !sequence->lease) return fault("a running request has no lease");
    const uint64_t published = trie_.published_tokens(sequence->lease) / trie_.page_tokens();
    if (sequence->pages.size() != published + trie_.num_private_pages(sequence->lease))
      return fault("a page table differs from its lease");
    if (sequence->computed > sequence->pages.size() * trie_.page_tokens())
      return fault("computed tokens have no pages");
    private_pages += trie_.num_private_pages(sequence->lease);
  }
  for (const Sequence* sequence : waiting_) {
    if (sequence->lease || !sequence->pages.empty()) return fault("a waiting request holds pages");
  }
  if (trie_.num_free_pages() + trie_.num_trie_pages() + private_pages != trie_.num_pages())
    return fault("pages leaked: " + std::to_string(trie_.num_pages()) + " in the pool, " +
                 std::to_string(trie_.num_free_pages()) + " free, " + std::to_string(trie_.num_trie_pages()) +
                 " cached, " + std::to_string(private_pages) + " private");
  return {};
}

}  // namespace tattletale

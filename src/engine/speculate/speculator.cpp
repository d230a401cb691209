#include "engine/speculate/speculator.h"

#include <algorithm>

#include "engine/speculate/prompt_lookup.h"

namespace tattletale {

Result<void> Speculator::copy(std::span<const PageCopy> copies) {
  return draft_model_ == nullptr ? Result<void>() : draft_model_->copy(copies);
}

/// The draft model computes what the larger one has since its last turn.
Result<void> Speculator::catch_up(const StepPlan& plan, uint32_t max_tokens) {
  batch_.clear();
  uint64_t left = max_tokens;
  for (const StepPart& part : plan.parts) {
    Session& session = static_cast<Session&>(*part.sequence);
    // What it found in the cache, the draft model found too.
    if (session.admitted_step == session.last_step) session.draft_computed = session.computed;
    const uint64_t count =
        std::min(left, session.computed - std::min(session.draft_computed, session.computed));
    if (count == 0) continue;
    batch_.push_back({.tokens = std::span(session.tokens).subspan(session.draft_computed, count),
                      .drafts = {},
                      .first_position = session.draft_computed,
                      .pages = session.pages,
                      .num_logit_rows = 0});
    session.draft_computed += count;
    left -= count;
  }
  return draft_model_->follow(batch_);
}

Result<void> Speculator::propose(StepPlan& plan, uint32_t max_tokens, uint32_t max_rows) {
  if (draft_model_ != nullptr) TT_TRY(catch_up(plan, max_tokens));
  uint32_t tokens_left = max_tokens - plan.num_tokens;
  uint32_t rows_left = max_rows;
  for (const StepPart& part : plan.parts) rows_left -= part.wants_logits() ? 1 : 0;
  drafting_.clear();
  for (StepPart& part : plan.parts) {
    Session& session = static_cast<Session&>(*part.sequence);
    session.drafts.clear();
    const Speculation kind = session.request.speculation;
    if (kind == Speculation::none || session.pending() != 1) continue;
    const uint64_t useful = session.final_tokens - session.tokens.size() - 1;  // the model draws one itself
    uint32_t count = static_cast<uint32_t>(
        std::min({uint64_t{session.request.max_drafts}, uint64_t{tokens_left}, uint64_t{rows_left}, useful}));
    if (count > 0) count = session.draft_length.next(count);
    if (kind == Speculation::prompt_lookup) {
      lookup_drafts(session.tokens, count, session.drafts);
      count = static_cast<uint32_t>(session.drafts.size());
    } else if (draft_model_ == nullptr || session.draft_computed != session.computed) {
      count = 0;
    }
    if (count > 0) count = scheduler_.reserve_drafts(part, count);
    session.drafts.resize(count);
    if (count > 0 && kind == Speculation::draft_model) drafting_.push_back(&session);
    tokens_left -= count;
    rows_left -= count;
  }
  return drafting_.empty() ? Result<void>() : draft_by_model();
}

Result<void> Speculator::draft_by_model() {
  requests_.clear();
  histories_.resize(std::max(histories_.size(), drafting_.size()));
  for (size_t i = 0; i < drafting_.size(); ++i) {
    Session& session = *drafting_[i];
    histories_[i] = session.tokens;
    requests_.push_back({&histories_[i], session.pages, static_cast<uint32_t>(session.drafts.size()),
                         &session.request.sampling, session.request.prompt.size()});
  }
  TT_TRY(draft_model_->propose(requests_));
  for (size_t i = 0; i < drafting_.size(); ++i) {
    Session& session = *drafting_[i];
    session.drafts.assign(histories_[i].begin() + static_cast<ptrdiff_t>(session.tokens.size()),
                          histories_[i].end());
    session.draft_computed += session.drafts.size();  // rows of the last token and all guesses but the last
  }
  return {};
}

}  // namespace tattletale

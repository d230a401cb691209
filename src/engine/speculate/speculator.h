// Guesses tokens behind the planned decodes of a step, in what the step has left of tokens and pages. The
// guesses are checked by the model's own draws (engine.cpp): token by token the model draws as it would have
// without them, and goes on as long as the guess was what it drew. So the answer is the same token for token,
// greedy or sampled, and its distribution with it; a rejected guess costs time alone.
#pragma once

#include <memory>
#include <vector>

#include "engine/schedule/scheduler.h"
#include "engine/session.h"
#include "engine/speculate/draft_model.h"

namespace tattletale {

class Speculator {
 public:
  /// `draft_model` may be null.
  Speculator(Scheduler& scheduler, std::unique_ptr<DraftModel> draft_model)
      : scheduler_(scheduler), draft_model_(std::move(draft_model)) {}

  bool has_draft_model() const { return draft_model_ != nullptr; }

  /// The copies of a plan or a fork, for the draft model's pages.
  Result<void> copy(std::span<const PageCopy> copies);

  /// Sets the drafts of the plan's sessions; up to max_tokens and max_rows in all with what is planned.
  Result<void> propose(StepPlan& plan, uint32_t max_tokens, uint32_t max_rows);

 private:
  Result<void> catch_up(const StepPlan& plan, uint32_t max_tokens);
  Result<void> draft_by_model();

  Scheduler& scheduler_;
  std::unique_ptr<DraftModel> draft_model_;
  std::vector<BatchPart> batch_;
  std::vector<DraftModel::Request> requests_;
  std::vector<Session*> drafting_;
  std::vector<std::vector<uint32_t>> histories_;
};

}  // namespace tattletale

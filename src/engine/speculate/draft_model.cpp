#include "engine/speculate/draft_model.h"

#include <algorithm>
#include <string>

namespace tattletale {

Result<std::unique_ptr<DraftModel>> DraftModel::create(Device& device, const Decoder& decoder,
                                                       const RunnerOptions& options, uint32_t vocab_size) {
  if (decoder.config().vocab_size < vocab_size) {
    return make_error(ErrorKind::unsupported, "draft model",
                      "has " + std::to_string(decoder.config().vocab_size) + " token ids and the model " +
                          std::to_string(vocab_size) + "; a draft model must share the model's vocabulary");
  }
  TT_ASSIGN(std::unique_ptr<Runner> runner, Runner::create(device, decoder, options));
  return std::unique_ptr<DraftModel>(new DraftModel(std::move(runner), vocab_size));
}

Result<void> DraftModel::follow(std::span<const BatchPart> parts) {
  if (parts.empty()) return {};
  return runner_->run(parts);
}

Result<void> DraftModel::propose(std::span<Request> requests) {
  for (uint32_t round = 0;; ++round) {
    drafting_.clear();
    batch_.clear();
    for (Request& request : requests) {
      if (round >= request.num_drafts) continue;
      drafting_.push_back(&request);
      const std::span<const uint32_t> history(*request.history);
      batch_.push_back({.tokens = history.last(1),
                        .drafts = {},
                        .first_position = history.size() - 1,
                        .pages = request.pages,
                        .num_logit_rows = 1});
    }
    if (drafting_.empty()) return {};
    TT_TRY(runner_->run(batch_));
    for (size_t i = 0; i < drafting_.size(); ++i) {
      std::vector<uint32_t>& history = *drafting_[i]->history;
      history.push_back(sampler_.sample(runner_->logits(i).first(vocab_size_), *drafting_[i]->sampling,
                                        history, history.size(), drafting_[i]->num_prompt));
    }
  }
}

}  // namespace tattletale

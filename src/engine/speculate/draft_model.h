// A small model that guesses the next tokens of a larger one. Its keys and values lie in pages of its own
// with the same numbers as the larger model's, so that page tables, shared prefixes, copies and evictions are
// those of the one cache. It computes whatever the larger model computes; rows that it missed make worse
// guesses and nothing else, since every guess is checked.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/runner.h"
#include "engine/sampling/sampler.h"

namespace tattletale {

/// Threading: the thread that owns the device.
class DraftModel {
 public:
  /// One sequence that wants guesses. `history` is its tokens, all but the last computed here; the guesses
  /// are appended to it.
  struct Request {
    std::vector<uint32_t>* history;
    std::span<const PageId> pages;  // with room for the guesses
    uint32_t num_drafts;
    const SamplingOptions* sampling;
    size_t num_prompt;
  };

  /// Errors: unsupported if its vocabulary is smaller than `vocab_size`; those of Runner::create.
  static Result<std::unique_ptr<DraftModel>> create(Device& device, const Decoder& decoder,
                                                    const RunnerOptions& options, uint32_t vocab_size);

  Result<void> copy(std::span<const PageCopy> copies) { return runner_->copy(copies); }

  /// Computes tokens whose logits nobody wants.
  Result<void> follow(std::span<const BatchPart> parts);

  /// Guesses token after token for all requests together. A guess is drawn with the random numbers that the
  /// larger model's own draw will use, so the two agree as often as their distributions do.
  Result<void> propose(std::span<Request> requests);

 private:
  DraftModel(std::unique_ptr<Runner> runner, uint32_t vocab_size)
      : runner_(std::move(runner)), vocab_size_(vocab_size) {}

  std::unique_ptr<Runner> runner_;
  uint32_t vocab_size_;
  Sampler sampler_;
  std::vector<BatchPart> batch_;
  std::vector<Request*> drafting_;
};

}  // namespace tattletale

// Chooses the next token from logits. Pure: the same logits, options, history and position give the same
// token, whatever else is in the batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/filters.h"
#include "engine/sampling/penalties.h"
#include "engine/sampling/sampling_options.h"

namespace tattletale {

/// Applies, in this order: logit bias, repetition, presence and frequency penalties, DRY, temperature, top-k,
/// typical, top-p, min-p; then draws. Ties go to the lower id, so that equal logits give the same token on
/// every backend. Scratch memory is kept between calls.
class Sampler {
 public:
  /// logits [vocab_size] f32, changed by bias and penalties; NaN counts as minus infinity. `history` is
  /// prompt (its first num_prompt tokens) and answer so far; `position` is the index of the token to be
  /// chosen.
  uint32_t sample(std::span<float> logits, const SamplingOptions& options, std::span<const uint32_t> history,
                  uint64_t position, size_t num_prompt = 0);

 private:
  Penalties penalties_;
  std::vector<Candidate> candidates_;
};

/// The largest logit, the lowest id among equals.
uint32_t argmax(std::span<const float> logits);

}  // namespace tattletale

// Chooses the next token from logits. Pure: the same logits, options, history and position give the same
// token, whatever else is in the batch; randomness is a hash of (seed, position), not a running generator.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace tattletale {

struct SamplingOptions {
  float temperature = 0.0f;         // 0: greedy
  uint32_t top_k = 0;               // 0: off
  float top_p = 1.0f;               // 1: off
  float min_p = 0.0f;               // 0: off
  float repetition_penalty = 1.0f;  // 1: off; Keskar et al. 2019, arXiv:1909.05858, sec. 4.1
  uint32_t repetition_window = 0;   // tokens looked back at; 0: all
  uint64_t seed = 0;

  /// Errors: invalid_argument naming the option, its value and its range.
  Result<void> validate() const;
};

/// Applies, in this order: repetition penalty, temperature, top-k, top-p, min-p; then draws. Ties go to the
/// lower id, so that equal logits give the same token on every backend. Scratch memory is kept between calls.
class Sampler {
 public:
  /// logits [vocab_size] f32, changed by the penalty; NaN counts as minus infinity. `history` is prompt and
  /// answer so far; `position` is the index of the token to be chosen.
  uint32_t sample(std::span<float> logits, const SamplingOptions& options, std::span<const uint32_t> history,
                  uint64_t position);

 private:
  struct Candidate {
    float logit;
    uint32_t id;
  };
  uint32_t draw(const SamplingOptions& options, uint64_t position) const;

  std::vector<Candidate> candidates_;
  std::vector<uint32_t> seen_;
};

/// The largest logit, the lowest id among equals.
uint32_t argmax(std::span<const float> logits);

/// log softmax(logits)[id], in f64.
double log_probability(std::span<const float> logits, uint32_t id);

/// A number in [0, 1) from (seed, position), uniform and independent for each pair.
double uniform(uint64_t seed, uint64_t position);

}  // namespace tattletale

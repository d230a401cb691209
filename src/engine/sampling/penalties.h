// What makes tokens less likely because of what stands there already.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/sampling_options.h"

namespace tattletale {

/// Changes logits [vocab_size] by the options' bias, repetition, presence, frequency and DRY penalties, in
/// this order. `history` is prompt and answer so far; its first num_prompt tokens are the prompt. Ids past
/// the vocabulary are passed over. Scratch memory is kept between calls.
class Penalties {
 public:
  void apply(std::span<float> logits, const SamplingOptions& options, std::span<const uint32_t> history,
             size_t num_prompt);

 private:
  void apply_repetition(std::span<float> logits, const SamplingOptions& options,
                        std::span<const uint32_t> history);
  void apply_counts(std::span<float> logits, const SamplingOptions& options,
                    std::span<const uint32_t> answer);
  void apply_dry(std::span<float> logits, const DryOptions& options, std::span<const uint32_t> history);

  std::vector<uint32_t> seen_;
  std::vector<uint32_t> reversed_, match_;
  std::vector<std::pair<uint32_t, uint32_t>> repeats_;  // token, length
};

}  // namespace tattletale

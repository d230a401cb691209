// How the next token is chosen, as numbers, with the range of each.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tattletale {

/// "Don't repeat yourself": a token that would go on with a repetition of the last `length` tokens loses
/// multiplier * base ^ (length - allowed_length) from its logit. Source: p-e-w 2024, text-generation-webui
/// pull request 5677.
struct DryOptions {
  float multiplier = 0.0f;         // 0: off
  float base = 1.75f;              // at least 1
  uint32_t allowed_length = 2;     // repetitions shorter than this are free; at least 1
  uint32_t window = 0;             // tokens looked back at; 0: all
  std::vector<uint32_t> breakers;  // ascending; tokens that no repetition reaches across
};

struct SamplingOptions {
  float temperature = 0.0f;         // 0: greedy
  uint32_t top_k = 0;               // 0: off
  float top_p = 1.0f;               // 1: off; Holtzman et al. 2019, arXiv:1904.09751
  float min_p = 0.0f;               // 0: off; Nguyen et al. 2024, arXiv:2407.01082
  float repetition_penalty = 1.0f;  // 1: off; Keskar et al. 2019, arXiv:1909.05858, sec. 4.1
  uint32_t repetition_window = 0;   // tokens looked back at; 0: all
  uint64_t seed = 0;
  float typical_p = 1.0f;          // 1: off; Meister et al. 2022, arXiv:2202.00666
  float presence_penalty = 0.0f;   // taken from the logit of what the answer has already
  float frequency_penalty = 0.0f;  // likewise, once for each time
  DryOptions dry;
  std::vector<std::pair<uint32_t, float>> logit_bias;  // added to the logits of these tokens; -inf forbids

  /// Nothing but the largest logit decides.
  bool takes_likeliest() const {
    return temperature == 0.0f && repetition_penalty == 1.0f && presence_penalty == 0.0f &&
           frequency_penalty == 0.0f && dry.multiplier == 0.0f && logit_bias.empty();
  }

  /// Errors: invalid_argument naming the option, its value and its range.
  Result<void> validate() const;
};

}  // namespace tattletale

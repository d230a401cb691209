// Rotary frequencies and their scaling kinds, computed once on the host.
// Sources: Su et al. 2021 (arXiv:2104.09864); linear: Chen et al. 2023 (arXiv:2306.15595); dynamic NTK and
// yarn: Peng et al. 2023 (arXiv:2309.00071); llama3: the Llama 3.1 model card.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"

namespace tattletale {

enum class RopeScalingKind : uint8_t { none, linear, dynamic, yarn, llama3 };

/// Everything a checkpoint says about the rotation of one kind of layer.
struct RopeConfig {
  double theta = 10000.0;
  uint32_t rotary_dim = 0;  // rotated dimensions of a head, even
  RopeScalingKind kind = RopeScalingKind::none;
  double scale = 1.0;                    // context extension factor, > 0
  uint64_t original_context_tokens = 0;  // the context before extension; yarn, dynamic and llama3 need it
  double attention_factor = 0.0;         // yarn; 0 means derived from scale
  double mscale = 0.0, mscale_all_dim = 0.0;                       // yarn, DeepSeek style; 0 means absent
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn
  bool truncate = true;                                            // yarn: whole-numbered ramp bounds
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // llama3
  std::vector<float> frequency_divisors;  // [rotary_dim / 2] or empty; GGUF's rope_freqs tensor

  bool operator==(const RopeConfig&) const = default;
};

struct RopeTable {
  std::vector<float> inv_freq;    // [rotary_dim / 2], radians per position
  float attention_factor = 1.0f;  // multiplies cos and sin
};

/// `context_tokens` is the longest context that will be used; only the dynamic kind depends on it, and is
/// held fixed for it so that keys cached early stay valid.
RopeTable make_rope_table(const RopeConfig& config, uint64_t context_tokens);

}  // namespace tattletale

#include "engine/sampling/sampler.h"

#include <limits>

#include "engine/sampling/draw.h"

namespace tattletale {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

}  // namespace

uint32_t argmax(std::span<const float> logits) {
  // Two passes: the first is a plain maximum, which compilers turn into vector code.
  float best = kLowest;
  for (const float logit : logits) best = logit > best ? logit : best;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == best) return static_cast<uint32_t>(i);
  }
  return 0;
}

uint32_t Sampler::sample(std::span<float> logits, const SamplingOptions& options,
                         std::span<const uint32_t> history, uint64_t position, size_t num_prompt) {
  penalties_.apply(logits, options, history, num_prompt);
  if (options.temperature == 0.0f) return argmax(logits);

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kLowest)
      candidates_.push_back({logits[i] / options.temperature, static_cast<uint32_t>(i)});
  }
  if (candidates_.empty()) return argmax(logits);
  keep_top_k(candidates_, options.top_k);
  keep_typical(candidates_, options.typical_p);
  keep_top_p(candidates_, options.top_p);
  keep_min_p(candidates_, options.min_p);
  return draw_gumbel(candidates_, options.seed, position);
}

}  // namespace tattletale

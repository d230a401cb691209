#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace tattletale {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

uint64_t mix(uint64_t x) {  // the finaliser of splitmix64, Steele et al. 2014
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Error out_of_range(std::string_view option, double value, std::string_view range) {
  return make_error(ErrorKind::invalid_argument, std::string(option),
                    "is " + std::to_string(value) + "; it must be " + std::string(range));
}

}  // namespace

Result<void> SamplingOptions::validate() const {
  if (!(temperature >= 0.0f && temperature <= 100.0f))
    return out_of_range("temperature", temperature, "from 0 to 100");
  if (!(top_p > 0.0f && top_p <= 1.0f)) return out_of_range("top_p", top_p, "above 0 and at most 1");
  if (!(min_p >= 0.0f && min_p <= 1.0f)) return out_of_range("min_p", min_p, "from 0 to 1");
  if (!(repetition_penalty > 0.0f && repetition_penalty <= 100.0f)) {
    return out_of_range("repetition_penalty", repetition_penalty, "above 0 and at most 100");
  }
  return {};
}

double uniform(uint64_t seed, uint64_t position) {
  const uint64_t bits = mix(mix(seed + 0x9e3779b97f4a7c15u) + position * 0x9e3779b97f4a7c15u);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

uint32_t argmax(std::span<const float> logits) {
  // Two passes: the first is a plain maximum, which compilers turn into vector code.
  float best = kLowest;
  for (const float logit : logits) best = logit > best ? logit : best;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == best) return static_cast<uint32_t>(i);
  }
  return 0;
}

double log_probability(std::span<const float> logits, uint32_t id) {
  float best = kLowest;
  for (const float logit : logits) best = logit > best ? logit : best;
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return static_cast<double>(logits[id]) - best - std::log(sum);
}

uint32_t Sampler::sample(std::span<float> logits, const SamplingOptions& options,
                         std::span<const uint32_t> history, uint64_t position) {
  if (options.repetition_penalty != 1.0f) {
    const size_t window = options.repetition_window == 0
                              ? history.size()
                              : std::min<size_t>(history.size(), options.repetition_window);
    seen_.assign(history.end() - static_cast<ptrdiff_t>(window), history.end());
    std::sort(seen_.begin(), seen_.end());
    seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
    for (const uint32_t id : seen_) {
      if (id >= logits.size()) continue;
      float& logit = logits[id];
      logit = logit > 0.0f ? logit / options.repetition_penalty : logit * options.repetition_penalty;
    }
  }
  if (options.temperature == 0.0f) return argmax(logits);

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kLowest)
      candidates_.push_back({logits[i] / options.temperature, static_cast<uint32_t>(i)});
  }
  if (candidates_.empty()) return argmax(logits);
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  if (options.top_k != 0 && options.top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options.top_k, candidates_.end(), before);
    candidates_.resize(options.top_k);
  }
  const float best =
      std::max_element(candidates_.begin(), candidates_.end(), [&](const Candidate& a, const Candidate& b) {
        return before(b, a);
      })->logit;
  if (options.top_p < 1.0f) {
    double total = 0.0;
    for (const Candidate& candidate : candidates_)
      total += std::exp(static_cast<double>(candidate.logit) - best);
    // A heap yields candidates in order and stops early: the nucleus is usually tiny.
    const auto after = [&](const Candidate& a, const Candidate& b) { return before(b, a); };
    std::make_heap(candidates_.begin(), candidates_.end(), after);
    auto heap_end = candidates_.end();
    double kept = 0.0;
    while (heap_end != candidates_.begin() && kept < options.top_p * total) {
      std::pop_heap(candidates_.begin(), heap_end, after);
      --heap_end;
      kept += std::exp(static_cast<double>(heap_end->logit) - best);
    }
    candidates_.erase(candidates_.begin(), heap_end);
  }
  if (options.min_p > 0.0f) {
    const double floor = static_cast<double>(best) + std::log(static_cast<double>(options.min_p));
    std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.logit < floor; });
  }
  // Drawing walks in the order of ids, which no filter's internals can change.
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  return draw(options, position);
}

uint32_t Sampler::draw(const SamplingOptions& options, uint64_t position) const {
  float best = kLowest;
  for (const Candidate& candidate : candidates_) best = std::max(best, candidate.logit);
  double total = 0.0;
  for (const Candidate& candidate : candidates_)
    total += std::exp(static_cast<double>(candidate.logit) - best);
  const double target = uniform(options.seed, position) * total;
  double sum = 0.0;
  for (const Candidate& candidate : candidates_) {
    sum += std::exp(static_cast<double>(candidate.logit) - best);
    if (sum > target) return candidate.id;
  }
  return candidates_.back().id;
}

}  // namespace tattletale

#include "engine/sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/sampling/filters.h"

namespace tattletale {
namespace {

double log_sum_exp(std::span<const float> logits) {
  float best = -std::numeric_limits<float>::infinity();
  for (const float logit : logits) best = logit > best ? logit : best;
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return best + std::log(sum);
}

}  // namespace

double log_probability(std::span<const float> logits, uint32_t id) {
  return static_cast<double>(logits[id]) - log_sum_exp(logits);
}

TokenLogprobs LogprobReport::of(uint32_t id) const {
  return {{id, static_cast<float>(logits_[id] - log_sum_)}, top_};
}

LogprobReport::LogprobReport(std::span<const float> logits, uint32_t num_top)
    : logits_(logits), log_sum_(log_sum_exp(logits)) {
  if (num_top == 0) return;
  // The worst of the best stands at the heap's front.
  std::vector<Candidate> heap;
  for (uint32_t id = 0; id < logits.size(); ++id) {
    const Candidate candidate{logits[id], id};
    if (heap.size() < num_top) {
      heap.push_back(candidate);
      std::push_heap(heap.begin(), heap.end(), likelier);
    } else if (likelier(candidate, heap.front())) {
      std::pop_heap(heap.begin(), heap.end(), likelier);
      heap.back() = candidate;
      std::push_heap(heap.begin(), heap.end(), likelier);
    }
  }
  std::sort_heap(heap.begin(), heap.end(), likelier);
  for (const Candidate& candidate : heap)
    top_.push_back({candidate.id, static_cast<float>(candidate.logit - log_sum_)});
}

}  // namespace tattletale

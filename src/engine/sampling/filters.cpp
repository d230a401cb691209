#include "engine/sampling/filters.h"

#include <algorithm>
#include <cmath>

namespace tattletale {
namespace {

double largest_logit(const std::vector<Candidate>& candidates) {
  float best = candidates.front().logit;
  for (const Candidate& candidate : candidates) best = std::max(best, candidate.logit);
  return best;
}

double sum_of_weights(const std::vector<Candidate>& candidates, double best) {
  double sum = 0.0;
  for (const Candidate& candidate : candidates) sum += std::exp(candidate.logit - best);
  return sum;
}

}  // namespace

void keep_top_k(std::vector<Candidate>& candidates, uint32_t k) {
  if (k == 0 || k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), likelier);
  candidates.resize(k);
}

void keep_typical(std::vector<Candidate>& candidates, float p) {
  if (p >= 1.0f || candidates.size() < 2) return;
  const double best = largest_logit(candidates);
  const double log_sum = best + std::log(sum_of_weights(candidates, best));
  double entropy = 0.0;
  for (const Candidate& candidate : candidates) {
    const double log_p = candidate.logit - log_sum;
    entropy -= std::exp(log_p) * log_p;
  }
  const auto oddness = [&](const Candidate& c) { return std::abs(log_sum - c.logit - entropy); };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    const double x = oddness(a), y = oddness(b);
    return x < y || (x == y && likelier(a, b));
  });
  double kept = 0.0;
  size_t count = 0;
  while (count < candidates.size() && kept < p) kept += std::exp(candidates[count++].logit - log_sum);
  candidates.resize(count);
}

void keep_top_p(std::vector<Candidate>& candidates, float p) {
  if (p >= 1.0f) return;
  const double best = largest_logit(candidates);
  const double total = sum_of_weights(candidates, best);
  // A heap yields candidates in order and stops early: the nucleus is usually tiny.
  const auto after = [](const Candidate& a, const Candidate& b) { return likelier(b, a); };
  std::make_heap(candidates.begin(), candidates.end(), after);
  auto heap_end = candidates.end();
  double kept = 0.0;
  while (heap_end != candidates.begin() && kept < p * total) {
    std::pop_heap(candidates.begin(), heap_end, after);
    --heap_end;
    kept += std::exp(heap_end->logit - best);
  }
  candidates.erase(candidates.begin(), heap_end);
}

void keep_min_p(std::vector<Candidate>& candidates, float p) {
  if (p <= 0.0f) return;
  const double floor = largest_logit(candidates) + std::log(static_cast<double>(p));
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.logit < floor; });
}

}  // namespace tattletale

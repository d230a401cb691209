#include "engine/sampling/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tattletale {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;

uint64_t mix(uint64_t x) {  // the finaliser of splitmix64, Steele et al. 2014
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t base_of(uint64_t seed, uint64_t position) {
  return mix(mix(seed + kGolden) + position * kGolden);
}

double uniform_of(uint64_t base, uint32_t id) {
  const uint64_t bits = mix(base + (uint64_t{id} + 1) * 0xd1342543de82ef95u);
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;  // neither 0 nor 1
}

double gumbel(double u) {
  return -std::log(-std::log(u));
}

/// floor[k]: a number u whose Gumbel number reaches k is at least this.
const std::array<double, 40>& gumbel_floors() {
  static const std::array<double, 40> floors = [] {
    std::array<double, 40> made{};
    for (size_t k = 0; k < made.size(); ++k)
      made[k] = std::exp(-std::exp(-static_cast<double>(k))) * (1.0 - 0x1p-50);
    return made;
  }();
  return floors;
}

}  // namespace

double uniform(uint64_t seed, uint64_t position, uint32_t id) {
  return uniform_of(base_of(seed, position), id);
}

uint32_t draw_gumbel(std::span<const Candidate> candidates, uint64_t seed, uint64_t position) {
  const uint64_t base = base_of(seed, position);
  const std::array<double, 40>& floors = gumbel_floors();
  // The likeliest goes first: it sets a mark that spares most others two logarithms.
  const Candidate* best = &*std::min_element(candidates.begin(), candidates.end(), likelier);
  double best_key = best->logit + gumbel(uniform_of(base, best->id));
  for (const Candidate& candidate : candidates) {
    const double u = uniform_of(base, candidate.id);
    const double needed = best_key - candidate.logit;
    if (needed >= 0.0 && u < floors[std::min<size_t>(static_cast<size_t>(std::min(needed, 39.0)), 39)])
      continue;
    const double key = candidate.logit + gumbel(u);
    if (key > best_key || (key == best_key && candidate.id < best->id)) {
      best = &candidate;
      best_key = key;
    }
  }
  return best->id;
}

}  // namespace tattletale

// Random choice that depends on (seed, position) alone: no generator runs along, so neither the rest of the
// batch nor speculation changes what is drawn.
#pragma once

#include <cstdint>
#include <span>

#include "engine/sampling/filters.h"

namespace tattletale {

/// Draws a candidate with probability proportional to exp(logit): the largest logit + g(seed, position, id),
/// where g are independent Gumbel numbers; the lower id among equals. `candidates` is not empty. Its order
/// does not matter, and two similar distributions give the same token more often than not, which is what
/// drafts live on. Source: Gumbel 1954; Maddison et al. 2014, arXiv:1411.0030.
uint32_t draw_gumbel(std::span<const Candidate> candidates, uint64_t seed, uint64_t position);

/// A number in (0, 1) from (seed, position, id), uniform and independent for each triple.
double uniform(uint64_t seed, uint64_t position, uint32_t id);

}  // namespace tattletale

// Filters that cut the distribution down before a token is drawn. Each keeps at least one candidate.
#pragma once

#include <cstdint>
#include <vector>

namespace tattletale {

/// A token that may still be drawn; its probability is proportional to exp(logit).
struct Candidate {
  float logit;
  uint32_t id;
};

/// Likelier first, the lower id among equals.
inline bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/// Keeps the k likeliest; 0 keeps all.
void keep_top_k(std::vector<Candidate>& candidates, uint32_t k);

/// Keeps the tokens whose surprise is nearest to the distribution's entropy, as few as reach probability p.
/// Source: Meister et al. 2022, arXiv:2202.00666.
void keep_typical(std::vector<Candidate>& candidates, float p);

/// Keeps the likeliest tokens, as few as reach probability p. Source: Holtzman et al. 2019, arXiv:1904.09751.
void keep_top_p(std::vector<Candidate>& candidates, float p);

/// Keeps what is at least p times as likely as the likeliest. Source: Nguyen et al. 2024, arXiv:2407.01082.
void keep_min_p(std::vector<Candidate>& candidates, float p);

}  // namespace tattletale

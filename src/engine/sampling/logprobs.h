// Log probabilities of tokens, as the model gave them: before penalties, temperature and filters.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tattletale {

struct TokenLogprob {
  uint32_t id = 0;
  float logprob = 0.0f;  // natural
};

/// What is reported with one generated token.
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;  // likeliest first, the lower id among equals
};

/// log softmax(logits)[id], in f64.
double log_probability(std::span<const float> logits, uint32_t id);

/// The log probabilities of one row of logits, which must live as long. Costs a pass of exponentials and,
/// with num_top > 0, one of comparisons.
class LogprobReport {
 public:
  LogprobReport(std::span<const float> logits, uint32_t num_top);
  TokenLogprobs of(uint32_t id) const;

 private:
  std::span<const float> logits_;
  double log_sum_ = 0.0;
  std::vector<TokenLogprob> top_;
};

}  // namespace tattletale

// Learns what a step costs on this device, to keep steps within a time. Pure logic; times are the caller's.
#pragma once

#include <array>
#include <cstdint>

namespace tattletale {

/// Cost of a step as fixed + per_token * tokens + per_key * keys, fitted to the recent steps by weighted
/// least squares. `keys` is the sum over the step's tokens of how many earlier tokens each attends to.
class StepCost {
 public:
  void learn(uint64_t tokens, uint64_t keys, double us);

  /// Expected microseconds; 0 before anything is learned.
  double expected_us(uint64_t tokens, uint64_t keys) const;

  /// How many tokens a step may have to end within budget_us more often than not, if each attends to
  /// keys_per_token others and `fixed_keys` are attended to besides. At least 1, at most `most`; at first
  /// few, and never more than twice what was tried before.
  uint32_t tokens_within(double budget_us, uint64_t fixed_keys, uint64_t keys_per_token, uint32_t most) const;

 private:
  void fit();

  double sums_[3][3] = {};  // of the features' products, recent steps weighing more
  double right_[3] = {};
  std::array<double, 3> cost_{};  // us: fixed, per token, per key
  uint64_t num_learned_ = 0;
  uint64_t most_tokens_ = 0;
};

}  // namespace tattletale

#include "engine/schedule/step_cost.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tattletale {
namespace {

constexpr double kForget = 0.97;   // weight of a step after one more
constexpr double kKeyUnit = 1e-3;  // features of like size keep the fit well conditioned
constexpr double kTokenUnit = 1e-1;
constexpr double kRidge = 1e-6;       // of the features' own size: holds what the steps do not tell
constexpr uint32_t kFirstTokens = 8;  // before anything is known
constexpr double kSafety = 0.9;

}  // namespace

void StepCost::learn(uint64_t tokens, uint64_t keys, double us) {
  const double feature[3] = {1.0, kTokenUnit * static_cast<double>(tokens),
                             kKeyUnit * static_cast<double>(keys)};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) sums_[i][j] = kForget * sums_[i][j] + feature[i] * feature[j];
    right_[i] = kForget * right_[i] + feature[i] * us;
  }
  most_tokens_ = std::max(most_tokens_, tokens);
  ++num_learned_;
  fit();
}

/// Solves the normal equations, features one after the other left out where their cost would be negative.
void StepCost::fit() {
  bool used[3] = {true, true, true};
  for (;;) {
    double m[3][4] = {};
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) m[i][j] = used[i] && used[j] ? sums_[i][j] : 0.0;
      m[i][3] = used[i] ? right_[i] : 0.0;
      m[i][i] += used[i] ? kRidge * (sums_[i][i] + 1.0) : 1.0;
    }
    for (int i = 0; i < 3; ++i) {  // Gauss-Jordan; the matrix is positive definite
      for (int row = 0; row < 3; ++row) {
        if (row == i) continue;
        const double factor = m[row][i] / m[i][i];
        for (int column = i; column < 4; ++column) m[row][column] -= factor * m[i][column];
      }
    }
    int worst = -1;
    for (int i = 0; i < 3; ++i) {
      cost_[static_cast<size_t>(i)] = used[i] ? m[i][3] / m[i][i] : 0.0;
      if (cost_[static_cast<size_t>(i)] < 0.0 &&
          (worst < 0 || cost_[static_cast<size_t>(i)] < cost_[static_cast<size_t>(worst)])) {
        worst = i;
      }
    }
    if (worst < 0) break;
    used[worst] = false;
  }
  cost_[1] *= kTokenUnit;
  cost_[2] *= kKeyUnit;
}

double StepCost::expected_us(uint64_t tokens, uint64_t keys) const {
  return cost_[0] + cost_[1] * static_cast<double>(tokens) + cost_[2] * static_cast<double>(keys);
}

uint32_t StepCost::tokens_within(double budget_us, uint64_t fixed_keys, uint64_t keys_per_token,
                                 uint32_t most) const {
  if (num_learned_ == 0) return std::min(kFirstTokens, most);
  const uint64_t tried = std::max<uint64_t>(2 * most_tokens_, kFirstTokens);
  const uint32_t limit = static_cast<uint32_t>(std::min<uint64_t>(most, tried));
  const double left = kSafety * budget_us - cost_[0] - cost_[2] * static_cast<double>(fixed_keys);
  const double each = cost_[1] + cost_[2] * static_cast<double>(keys_per_token);
  if (left <= each) return 1;
  if (each <= 0.0) return limit;
  return static_cast<uint32_t>(std::clamp(std::floor(left / each), 1.0, static_cast<double>(limit)));
}

}  // namespace tattletale

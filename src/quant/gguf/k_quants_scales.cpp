#include "quant/gguf/k_quants_scales.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tattletale {
namespace {

constexpr int kCandidates = 21;

/// Candidate c in 0..kCandidates-1 stretches a scale by 0.8 .. 1.1.
float stretch(int c) {
  return 0.8f + 0.3f * static_cast<float>(c) / (kCandidates - 1);
}

}  // namespace

int nearest_level(float x, float scale, int low, int high) {
  if (scale == 0) return std::clamp(0, low, high);
  const float level = std::nearbyint(x / scale);
  return static_cast<int>(std::clamp(level, static_cast<float>(low), static_cast<float>(high)));
}

float fit_scale(const float* x, int n, int low, int high) {
  const float* extreme =
      std::max_element(x, x + n, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (*extreme == 0) return 0;
  // The number of largest magnitude lands on the wider end of low..high, so the scale may be negative.
  const float first = -low > high ? *extreme / static_cast<float>(low) : *extreme / static_cast<float>(high);
  float best = first;
  double best_gain = -1;
  for (int c = 0; c < kCandidates; ++c) {
    const float scale = first * stretch(c);
    double sum_xq = 0, sum_qq = 0;
    for (int i = 0; i < n; ++i) {
      const double q = nearest_level(x[i], scale, low, high);
      sum_xq += q * x[i];
      sum_qq += q * q;
    }
    // At the best scale for these levels, the squared error is sum x^2 - gain.
    const double gain = sum_qq > 0 ? sum_xq * sum_xq / sum_qq : 0;
    if (gain > best_gain) {
      best_gain = gain;
      best = static_cast<float>(sum_xq / sum_qq);
    }
  }
  return best;
}

ScaleOffsetFit fit_scale_offset(const float* x, int n, int high) {
  const float low_x = std::min(*std::min_element(x, x + n), 0.0f);
  const float high_x = std::max(*std::max_element(x, x + n), 0.0f);
  if (high_x == low_x) return {0, 0};
  ScaleOffsetFit best{(high_x - low_x) / static_cast<float>(high), -low_x};
  double best_error = std::numeric_limits<double>::infinity();
  for (int c = 0; c < kCandidates; ++c) {
    const float scale = (high_x - low_x) / static_cast<float>(high) * stretch(c);
    double sum_x = 0, sum_q = 0, sum_xq = 0, sum_qq = 0, sum_xx = 0;
    for (int i = 0; i < n; ++i) {
      const double q = nearest_level(x[i] - low_x, scale, 0, high);
      sum_x += x[i];
      sum_q += q;
      sum_xq += q * x[i];
      sum_qq += q * q;
      sum_xx += static_cast<double>(x[i]) * x[i];
    }
    // Least squares of x = a q - b for these levels, with b not below 0.
    const double spread = n * sum_qq - sum_q * sum_q;
    if (spread <= 0) continue;
    double a = (n * sum_xq - sum_q * sum_x) / spread;
    double b = (a * sum_q - sum_x) / n;
    if (b < 0) {
      b = 0;
      a = sum_xq / sum_qq;
    }
    if (a < 0) continue;
    const double error =
        sum_xx + a * a * sum_qq + n * b * b - 2 * a * sum_xq + 2 * b * sum_x - 2 * a * b * sum_q;
    if (error < best_error) {
      best_error = error;
      best = {static_cast<float>(a), static_cast<float>(b)};
    }
  }
  return best;
}

}  // namespace tattletale

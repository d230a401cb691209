#include "model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace tattletale {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

double yarn_mscale(double scale, double mscale) {
  return scale <= 1.0 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

/// The (fractional) dimension whose wavelength makes `rotations` turns over the original context.
double yarn_dimension(double rotations, const RopeConfig& config) {
  return config.rotary_dim *
         std::log(static_cast<double>(config.original_context_tokens) / (rotations * kTwoPi)) /
         (2.0 * std::log(config.theta));
}

void apply_yarn(const RopeConfig& config, std::vector<double>& freq, RopeTable& table) {
  double low = yarn_dimension(config.beta_fast, config);
  double high = yarn_dimension(config.beta_slow, config);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, config.rotary_dim - 1.0);
  if (low == high) high += 0.001;  // keeps the ramp finite
  for (size_t i = 0; i < freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    freq[i] = freq[i] / config.scale * ramp + freq[i] * (1.0 - ramp);
  }
  double factor = config.attention_factor;
  if (factor == 0.0) {
    factor = config.mscale != 0.0 && config.mscale_all_dim != 0.0
                 ? yarn_mscale(config.scale, config.mscale) / yarn_mscale(config.scale, config.mscale_all_dim)
                 : yarn_mscale(config.scale, 1.0);
  }
  table.attention_factor = static_cast<float>(factor);
}

void apply_llama3(const RopeConfig& config, std::vector<double>& freq) {
  const double context = static_cast<double>(config.original_context_tokens);
  const double low_wavelength = context / config.low_frequency_factor;
  const double high_wavelength = context / config.high_frequency_factor;
  for (double& f : freq) {
    const double wavelength = kTwoPi / f;
    if (wavelength < high_wavelength) continue;
    if (wavelength > low_wavelength) {
      f /= config.scale;
      continue;
    }
    const double smooth = (context / wavelength - config.low_frequency_factor) /
                          (config.high_frequency_factor - config.low_frequency_factor);
    f = (1.0 - smooth) * f / config.scale + smooth * f;
  }
}

}  // namespace

RopeTable make_rope_table(const RopeConfig& config, uint64_t context_tokens) {
  CHECK(config.rotary_dim > 0 && config.rotary_dim % 2 == 0 && config.theta > 0 && config.scale > 0);
  const double dim = config.rotary_dim;
  double theta = config.theta;
  if (config.kind == RopeScalingKind::dynamic && context_tokens > config.original_context_tokens) {
    const double ratio =
        static_cast<double>(context_tokens) / static_cast<double>(config.original_context_tokens);
    theta *= std::pow(config.scale * ratio - (config.scale - 1.0), dim / (dim - 2.0));
  }
  std::vector<double> freq(config.rotary_dim / 2);
  for (size_t i = 0; i < freq.size(); ++i) freq[i] = std::pow(theta, -2.0 * static_cast<double>(i) / dim);
  RopeTable table;
  switch (config.kind) {
    case RopeScalingKind::none:
    case RopeScalingKind::dynamic: break;
    case RopeScalingKind::linear:
      for (double& f : freq) f /= config.scale;
      break;
    case RopeScalingKind::yarn: apply_yarn(config, freq, table); break;
    case RopeScalingKind::llama3: apply_llama3(config, freq); break;
  }
  CHECK(config.frequency_divisors.empty() || config.frequency_divisors.size() == freq.size());
  for (size_t i = 0; i < config.frequency_divisors.size(); ++i) freq[i] /= config.frequency_divisors[i];
  table.inv_freq.assign(freq.begin(), freq.end());
  return table;
}

}  // namespace tattletale

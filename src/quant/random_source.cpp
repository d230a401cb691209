#include "quant/random_source.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tattletale {
namespace {

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

std::array<float, 256> make_quantiles() {
  std::array<float, 256> table{};
  for (int i = 0; i < 128; ++i) {
    const double target = (i + 0.5) / 256;
    double low = -8, high = 0;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2;
      (normal_cdf(middle) < target ? low : high) = middle;
    }
    table[i] = static_cast<float>(low);
    table[255 - i] = static_cast<float>(-low);
  }
  return table;
}

}  // namespace

const std::array<float, 256>& normal_quantiles() {
  static const std::array<float, 256> table = make_quantiles();
  return table;
}

LevelTable LevelTable::make(float center, float spread, int low, int high) {
  LevelTable table;
  double sum = 0, sum_squares = 0;
  for (size_t i = 0; i < 256; ++i) {
    const int rounded = static_cast<int>(std::floor(center + spread * normal_quantiles()[i] + 0.5f));
    const int level = std::clamp(rounded, low, high);
    table.level[i] = static_cast<uint8_t>(level);
    sum += level;
    sum_squares += static_cast<double>(level) * level;
  }
  table.center = static_cast<float>(sum / 256);
  table.sigma = static_cast<float>(std::sqrt(sum_squares / 256 - sum * sum / 65536));
  return table;
}

}  // namespace tattletale

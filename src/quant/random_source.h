// Seeded random words and normally distributed levels for synthetic weights. Not for sampling or secrets.
// Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tattletale {

/// Word i of a stream depends only on the seed and i, so fills vectorise.
class RandomSource {
 public:
  explicit RandomSource(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

/// About N(0, 1): the sum of four 16-bit uniforms, so within +-3.46.
inline float next_normal(RandomSource& random) {
  const uint64_t word = random.next();
  const int sum = static_cast<int>(word & 0xffff) + static_cast<int>((word >> 16) & 0xffff) +
                  static_cast<int>((word >> 32) & 0xffff) + static_cast<int>(word >> 48);
  // Mean 2 * 65535, variance 4 * 65536^2 / 12.
  return static_cast<float>(sum - 131070) * 2.642915e-5f;
}

/// 256 equally likely levels whose distribution is a normal one, rounded and cut off symmetrically.
struct LevelTable {
  std::array<uint8_t, 256> level{};
  float center = 0;  // mean level
  float sigma = 0;   // standard deviation of the levels

  /// Levels clamp(round(center + spread * z), low, high); low and high lie symmetrically about center.
  static LevelTable make(float center, float spread, int low, int high);

  /// Fills `out`, a multiple of 8 long, with random levels.
  void draw(RandomSource& random, std::span<uint8_t> out) const {
    for (size_t i = 0; i < out.size(); i += 8) {
      uint64_t word = random.next();
      for (size_t j = 0; j < 8; ++j, word >>= 8) out[i + j] = level[word & 0xff];
    }
  }
};

/// The z of 256 equally likely slices of N(0, 1), at each slice's middle.
const std::array<float, 256>& normal_quantiles();

}  // namespace tattletale

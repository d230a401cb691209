// Lifts functions on one block to functions on rows of blocks, at any address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/block_format.h"
#include "quant/random_source.h"

namespace tattletale {

/// A format given by
///   kDecode(const Block&, float* dst)                           one block to its numbers
///   kEncode(const float* src, Block&)                           the twin
///   kRandom(RandomSource&, float sigma, Block&)                 one synthetic block
template <class Block, int kElements, auto kDecode, auto kEncode, auto kRandom>
constexpr BlockFormat make_block_format(DType dtype) {
  return {
      dtype,
      [](const std::byte* src, float* dst, int64_t n) {
        for (int64_t b = 0; b < n / kElements; ++b) {
          Block block;
          std::memcpy(&block, src + b * sizeof(Block), sizeof(Block));
          kDecode(block, dst + b * kElements);
        }
      },
      [](const float* src, std::byte* dst, int64_t n) {
        for (int64_t b = 0; b < n / kElements; ++b) {
          Block block{};
          kEncode(src + b * kElements, block);
          std::memcpy(dst + b * sizeof(Block), &block, sizeof(Block));
        }
      },
      [](std::byte* dst, int64_t n, uint64_t seed, float sigma) {
        RandomSource random(seed);
        for (int64_t b = 0; b < n / kElements; ++b) {
          Block block{};
          kRandom(random, sigma, block);
          std::memcpy(dst + b * sizeof(Block), &block, sizeof(Block));
        }
      },
  };
}

/// A factor in [0.75, 1.25) with mean square one, so that scales differ from block to block.
inline float scale_jitter(RandomSource& random) {
  const float uniform = static_cast<float>(random.next() >> 40) * 0x1p-24f;
  return (0.75f + 0.5f * uniform) * 0.98974332f;  // 1 / sqrt(1 + 0.5^2 / 12)
}

/// A factor in [0.97, 1.03): keeps offsets from being a fixed multiple of scales, at little cost to the mean.
inline float offset_jitter(RandomSource& random) {
  return 0.97f + 0.06f * (static_cast<float>(random.next() >> 40) * 0x1p-24f);
}

}  // namespace tattletale

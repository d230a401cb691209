// q3_k and q6_k: super-blocks of 256 with 16 groups of 16, each with a signed integer scale times one
// binary16. Decoding is bit-exact with the gguf package: every product is exact in f32.
#include <algorithm>
#include <cmath>

#include "quant/gguf/block_rows.h"
#include "quant/gguf/blocks.h"
#include "quant/gguf/formats.h"
#include "quant/gguf/k_quants_scales.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

constexpr int kNumGroups = 16;

/// A super-block with its bits spread out: x = d * scale[g] * level.
struct SignedParts {
  uint16_t d = 0;
  int8_t scale[kNumGroups] = {};
  int8_t level[kSuperBlock] = {};
};

void decode_parts(const SignedParts& parts, float* dst) {
  const float d = f16_to_f32(parts.d);
  for (int i = 0; i < kSuperBlock; ++i) {
    const float scale = d * static_cast<float>(parts.scale[i / 16]);
    dst[i] = scale * static_cast<float>(parts.level[i]);
  }
}

/// Levels and scales run over -half .. half - 1.
SignedParts encode_parts(const float* x, int level_half, int scale_half) {
  SignedParts parts;
  float fits[kNumGroups];
  for (int g = 0; g < kNumGroups; ++g) fits[g] = fit_scale(x + g * 16, 16, -level_half, level_half - 1);
  const float extreme = *std::max_element(fits, fits + kNumGroups,
                                          [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  parts.d = f32_to_f16(extreme / static_cast<float>(-scale_half));
  const float d = f16_to_f32(parts.d);
  for (int g = 0; g < kNumGroups; ++g) {
    parts.scale[g] = static_cast<int8_t>(nearest_level(fits[g], d, -scale_half, scale_half - 1));
    const float scale = d * parts.scale[g];
    for (int i = g * 16; i < (g + 1) * 16; ++i) {
      parts.level[i] = static_cast<int8_t>(nearest_level(x[i], scale, -level_half, level_half - 1));
    }
  }
  return parts;
}

/// Scales of either sign in the outer half of their range.
SignedParts random_parts(RandomSource& random, float sigma, const LevelTable& table, int scale_half) {
  SignedParts parts;
  const int least = scale_half / 2;
  double mean_square = 0;
  for (int s = least; s < scale_half; ++s) mean_square += static_cast<double>(s) * s / (scale_half - least);
  parts.d = f32_to_f16(sigma / (table.sigma * static_cast<float>(std::sqrt(mean_square))));
  for (int8_t& scale : parts.scale) {
    const uint64_t word = random.next();
    const int magnitude = least + static_cast<int>(word % static_cast<unsigned>(scale_half - least));
    scale = static_cast<int8_t>(word >> 63 ? -magnitude : magnitude);
  }
  uint8_t levels[kSuperBlock];
  table.draw(random, levels);
  const int center = static_cast<int>(std::lround(table.center));
  for (int i = 0; i < kSuperBlock; ++i) parts.level[i] = static_cast<int8_t>(levels[i] - center);
  return parts;
}

// q3_k: levels -4..3, scales -32..31.

void pack_q3_k(const SignedParts& parts, BlockQ3K& block) {
  block.d = parts.d;
  for (int g = 0; g < kNumGroups; ++g) {
    const int stored = parts.scale[g] + 32;
    block.scales[g % 8] = static_cast<uint8_t>(block.scales[g % 8] | ((stored & 15) << (4 * (g / 8))));
    block.scales[8 + g % 4] =
        static_cast<uint8_t>(block.scales[8 + g % 4] | ((stored >> 4) << (2 * (g / 4))));
  }
  for (int h = 0; h < 2; ++h) {
    for (int plane = 0; plane < 4; ++plane) {
      for (int i = 0; i < 32; ++i) {
        const int stored = parts.level[h * 128 + plane * 32 + i] + 4;
        block.qs[h * 32 + i] = static_cast<uint8_t>(block.qs[h * 32 + i] | ((stored & 3) << (2 * plane)));
        block.hmask[i] = static_cast<uint8_t>(block.hmask[i] | ((stored >> 2) << (h * 4 + plane)));
      }
    }
  }
}

void decode_q3_k(const BlockQ3K& block, float* dst) {
  SignedParts parts;
  parts.d = block.d;
  for (int g = 0; g < kNumGroups; ++g) {
    const int low = (block.scales[g % 8] >> (4 * (g / 8))) & 15;
    const int high = (block.scales[8 + g % 4] >> (2 * (g / 4))) & 3;
    parts.scale[g] = static_cast<int8_t>((low | (high << 4)) - 32);
  }
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128, plane = i / 32 % 4;
    const int low = (block.qs[half * 32 + i % 32] >> (2 * plane)) & 3;
    const int high = (block.hmask[i % 32] >> (i / 32)) & 1;
    parts.level[i] = static_cast<int8_t>((low | (high << 2)) - 4);
  }
  decode_parts(parts, dst);
}

void encode_q3_k(const float* src, BlockQ3K& block) {
  pack_q3_k(encode_parts(src, 4, 32), block);
}

void random_q3_k(RandomSource& random, float sigma, BlockQ3K& block) {
  static const LevelTable table = LevelTable::make(4, 1.5f, 1, 7);
  pack_q3_k(random_parts(random, sigma, table, 32), block);
}

// q6_k: levels -32..31, scales -128..127.

void pack_q6_k(const SignedParts& parts, BlockQ6K& block) {
  block.d = parts.d;
  for (int g = 0; g < kNumGroups; ++g) block.scales[g] = parts.scale[g];
  for (int h = 0; h < 2; ++h) {
    for (int i = 0; i < 32; ++i) {
      const int8_t* level = parts.level + h * 128 + i;
      const int q0 = level[0] + 32, q1 = level[32] + 32, q2 = level[64] + 32, q3 = level[96] + 32;
      block.ql[h * 64 + i] = static_cast<uint8_t>((q0 & 15) | ((q2 & 15) << 4));
      block.ql[h * 64 + 32 + i] = static_cast<uint8_t>((q1 & 15) | ((q3 & 15) << 4));
      block.qh[h * 32 + i] =
          static_cast<uint8_t>((q0 >> 4) | ((q1 >> 4) << 2) | ((q2 >> 4) << 4) | ((q3 >> 4) << 6));
    }
  }
}

void decode_q6_k(const BlockQ6K& block, float* dst) {
  SignedParts parts;
  parts.d = block.d;
  for (int g = 0; g < kNumGroups; ++g) parts.scale[g] = block.scales[g];
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128, plane = i / 32 % 4;
    const int low = (block.ql[half * 64 + plane % 2 * 32 + i % 32] >> (4 * (plane / 2))) & 15;
    const int high = (block.qh[half * 32 + i % 32] >> (2 * plane)) & 3;
    parts.level[i] = static_cast<int8_t>((low | (high << 4)) - 32);
  }
  decode_parts(parts, dst);
}

void encode_q6_k(const float* src, BlockQ6K& block) {
  pack_q6_k(encode_parts(src, 32, 128), block);
}

void random_q6_k(RandomSource& random, float sigma, BlockQ6K& block) {
  static const LevelTable table = LevelTable::make(32, 11, 1, 63);
  pack_q6_k(random_parts(random, sigma, table, 128), block);
}

}  // namespace

const BlockFormat kQ3KFormat =
    make_block_format<BlockQ3K, 256, decode_q3_k, encode_q3_k, random_q3_k>(DType::q3_k);
const BlockFormat kQ6KFormat =
    make_block_format<BlockQ6K, 256, decode_q6_k, encode_q6_k, random_q6_k>(DType::q6_k);

}  // namespace tattletale

// q2_k, q4_k, q5_k: super-blocks of 256 whose groups have a scale and an offset, both short integers times
// one binary16 each. Decoding is bit-exact with the gguf package: every product is exact in f32, one
// subtraction rounds.
#include <algorithm>
#include <cmath>

#include "quant/gguf/block_rows.h"
#include "quant/gguf/blocks.h"
#include "quant/gguf/formats.h"
#include "quant/gguf/k_quants_scales.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

constexpr int kMaxGroups = 16;

/// A super-block with its bits spread out: x = d * scale[g] * level - dmin * min[g].
struct OffsetParts {
  uint16_t d = 0;
  uint16_t dmin = 0;
  uint8_t scale[kMaxGroups] = {};
  uint8_t min[kMaxGroups] = {};
  uint8_t level[kSuperBlock] = {};
};

void decode_parts(const OffsetParts& parts, int group_size, float* dst) {
  const float d = f16_to_f32(parts.d);
  const float dmin = f16_to_f32(parts.dmin);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int g = i / group_size;
    const float scale = d * static_cast<float>(parts.scale[g]);
    const float offset = dmin * static_cast<float>(parts.min[g]);
    dst[i] = scale * static_cast<float>(parts.level[i]) - offset;
  }
}

OffsetParts encode_parts(const float* x, int group_size, int max_level, int max_scale) {
  OffsetParts parts;
  const int num_groups = kSuperBlock / group_size;
  ScaleOffsetFit fits[kMaxGroups];
  float largest_scale = 0, largest_offset = 0;
  for (int g = 0; g < num_groups; ++g) {
    fits[g] = fit_scale_offset(x + g * group_size, group_size, max_level);
    largest_scale = std::max(largest_scale, fits[g].scale);
    largest_offset = std::max(largest_offset, fits[g].offset);
  }
  parts.d = f32_to_f16(largest_scale / static_cast<float>(max_scale));
  parts.dmin = f32_to_f16(largest_offset / static_cast<float>(max_scale));
  const float d = f16_to_f32(parts.d);
  const float dmin = f16_to_f32(parts.dmin);
  for (int g = 0; g < num_groups; ++g) {
    parts.scale[g] = static_cast<uint8_t>(nearest_level(fits[g].scale, d, 0, max_scale));
    parts.min[g] = static_cast<uint8_t>(nearest_level(fits[g].offset, dmin, 0, max_scale));
    // Levels are chosen for the scale and offset as stored, so their rounding does not add up.
    const float scale = d * parts.scale[g];
    const float offset = dmin * parts.min[g];
    for (int i = g * group_size; i < (g + 1) * group_size; ++i) {
      parts.level[i] = static_cast<uint8_t>(nearest_level(x[i] + offset, scale, 0, max_level));
    }
  }
  return parts;
}

/// Scales in the upper half of their range, mins near them, so that dmin = d * mean level centres the
/// numbers.
OffsetParts random_parts(RandomSource& random, float sigma, const LevelTable& table, int num_groups,
                         int max_scale) {
  OffsetParts parts;
  const int half = (max_scale + 1) / 2;
  double mean_square = 0;
  for (int s = half; s <= max_scale; ++s) mean_square += static_cast<double>(s) * s / half;
  const float d = sigma / (table.sigma * static_cast<float>(std::sqrt(mean_square)));
  parts.d = f32_to_f16(d);
  parts.dmin = f32_to_f16(d * table.center);
  for (int g = 0; g < num_groups; ++g) {
    const uint64_t word = random.next();
    parts.scale[g] = static_cast<uint8_t>(half + static_cast<int>(word % static_cast<unsigned>(half)));
    const int nudge = static_cast<int>((word >> 32) % 3) - 1;  // a swap of scale and min must show in tests
    parts.min[g] = static_cast<uint8_t>(std::min(parts.scale[g] + nudge, max_scale));
  }
  table.draw(random, parts.level);
  return parts;
}

void pack_scales_k4(const OffsetParts& parts, uint8_t scales[12]) {
  for (int g = 0; g < 4; ++g) {
    scales[g] = static_cast<uint8_t>(parts.scale[g] | ((parts.scale[g + 4] >> 4) << 6));
    scales[g + 4] = static_cast<uint8_t>(parts.min[g] | ((parts.min[g + 4] >> 4) << 6));
    scales[g + 8] = static_cast<uint8_t>((parts.scale[g + 4] & 15) | ((parts.min[g + 4] & 15) << 4));
  }
}

void unpack_scales_k4(const uint8_t scales[12], OffsetParts& parts) {
  for (int g = 0; g < 8; ++g) {
    const ScaleMin pair = scale_min_k4(scales, g);
    parts.scale[g] = pair.scale;
    parts.min[g] = pair.min;
  }
}

// Nibbles of groups 2c and 2c+1 share 32 bytes.
void pack_nibbles_k4(const uint8_t* level, uint8_t* qs) {
  for (int c = 0; c < 4; ++c) {
    for (int i = 0; i < 32; ++i) {
      const int low = level[c * 64 + i] & 15;
      const int high = level[c * 64 + 32 + i] & 15;
      qs[c * 32 + i] = static_cast<uint8_t>(low | (high << 4));
    }
  }
}

void unpack_nibbles_k4(const uint8_t* qs, uint8_t* level) {
  for (int c = 0; c < 4; ++c) {
    for (int i = 0; i < 32; ++i) {
      level[c * 64 + i] = qs[c * 32 + i] & 15;
      level[c * 64 + 32 + i] = qs[c * 32 + i] >> 4;
    }
  }
}

// q2_k: 16 groups of 16, levels 0..3, scales and mins 0..15.

void pack_q2_k(const OffsetParts& parts, BlockQ2K& block) {
  block.d = parts.d;
  block.dmin = parts.dmin;
  for (int g = 0; g < 16; ++g) block.scales[g] = static_cast<uint8_t>(parts.scale[g] | (parts.min[g] << 4));
  for (int h = 0; h < 2; ++h) {
    for (int i = 0; i < 32; ++i) {
      const uint8_t* level = parts.level + h * 128 + i;
      block.qs[h * 32 + i] =
          static_cast<uint8_t>(level[0] | (level[32] << 2) | (level[64] << 4) | (level[96] << 6));
    }
  }
}

void decode_q2_k(const BlockQ2K& block, float* dst) {
  OffsetParts parts;
  parts.d = block.d;
  parts.dmin = block.dmin;
  for (int g = 0; g < 16; ++g) {
    parts.scale[g] = block.scales[g] & 15;
    parts.min[g] = block.scales[g] >> 4;
  }
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128, plane = i / 32 % 4;
    parts.level[i] = (block.qs[half * 32 + i % 32] >> (2 * plane)) & 3;
  }
  decode_parts(parts, 16, dst);
}

void encode_q2_k(const float* src, BlockQ2K& block) {
  pack_q2_k(encode_parts(src, 16, 3, 15), block);
}

void random_q2_k(RandomSource& random, float sigma, BlockQ2K& block) {
  static const LevelTable table = LevelTable::make(1.5f, 1, 0, 3);
  pack_q2_k(random_parts(random, sigma, table, 16, 15), block);
}

// q4_k: 8 groups of 32, levels 0..15, scales and mins 0..63.

void pack_q4_k(const OffsetParts& parts, BlockQ4K& block) {
  block.d = parts.d;
  block.dmin = parts.dmin;
  pack_scales_k4(parts, block.scales);
  pack_nibbles_k4(parts.level, block.qs);
}

void decode_q4_k(const BlockQ4K& block, float* dst) {
  OffsetParts parts;
  parts.d = block.d;
  parts.dmin = block.dmin;
  unpack_scales_k4(block.scales, parts);
  unpack_nibbles_k4(block.qs, parts.level);
  decode_parts(parts, 32, dst);
}

void encode_q4_k(const float* src, BlockQ4K& block) {
  pack_q4_k(encode_parts(src, 32, 15, 63), block);
}

void random_q4_k(RandomSource& random, float sigma, BlockQ4K& block) {
  static const LevelTable table = LevelTable::make(7.5f, 3, 0, 15);
  pack_q4_k(random_parts(random, sigma, table, 8, 63), block);
}

// q5_k: as q4_k with a fifth bit.

void pack_q5_k(const OffsetParts& parts, BlockQ5K& block) {
  block.d = parts.d;
  block.dmin = parts.dmin;
  pack_scales_k4(parts, block.scales);
  pack_nibbles_k4(parts.level, block.qs);
  for (int g = 0; g < 8; ++g) {
    for (int i = 0; i < 32; ++i) {
      block.qh[i] = static_cast<uint8_t>(block.qh[i] | ((parts.level[g * 32 + i] >> 4) << g));
    }
  }
}

void decode_q5_k(const BlockQ5K& block, float* dst) {
  OffsetParts parts;
  parts.d = block.d;
  parts.dmin = block.dmin;
  unpack_scales_k4(block.scales, parts);
  unpack_nibbles_k4(block.qs, parts.level);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int fifth = (block.qh[i % 32] >> (i / 32)) & 1;
    parts.level[i] = static_cast<uint8_t>(parts.level[i] | (fifth << 4));
  }
  decode_parts(parts, 32, dst);
}

void encode_q5_k(const float* src, BlockQ5K& block) {
  pack_q5_k(encode_parts(src, 32, 31, 63), block);
}

void random_q5_k(RandomSource& random, float sigma, BlockQ5K& block) {
  static const LevelTable table = LevelTable::make(15.5f, 6, 0, 31);
  pack_q5_k(random_parts(random, sigma, table, 8, 63), block);
}

}  // namespace

const BlockFormat kQ2KFormat =
    make_block_format<BlockQ2K, 256, decode_q2_k, encode_q2_k, random_q2_k>(DType::q2_k);
const BlockFormat kQ4KFormat =
    make_block_format<BlockQ4K, 256, decode_q4_k, encode_q4_k, random_q4_k>(DType::q4_k);
const BlockFormat kQ5KFormat =
    make_block_format<BlockQ5K, 256, decode_q5_k, encode_q5_k, random_q5_k>(DType::q5_k);

}  // namespace tattletale

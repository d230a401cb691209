// q4_0, q4_1, q5_0, q5_1, q8_0: blocks of 32 with one scale and, for _1, one offset.
// Encoding follows ggml's reference quantizers bit for bit.
#include <algorithm>
#include <cmath>

#include "quant/gguf/block_rows.h"
#include "quant/gguf/blocks.h"
#include "quant/gguf/formats.h"
#include "tensor/float16.h"

// The encoders' x * inverse + 0.5 must round twice, as the reference does. Decoding is the same either way:
// a binary16 scale times a short integer is exact in f32.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

namespace tattletale {
namespace {

// Half of a block sits in the low nibbles, half in the high ones.
int nibble(const uint8_t* qs, int i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
int fifth_bit(const uint8_t* qh, int i) {
  return (qh[i / 8] >> (i % 8)) & 1;
}

void pack_nibbles(const uint8_t* levels, uint8_t* qs) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((levels[i] & 15) | ((levels[i + 16] & 15) << 4));
}

void pack_fifth_bits(const uint8_t* levels, uint8_t* qh) {
  for (int i = 0; i < 32; ++i) qh[i / 8] = static_cast<uint8_t>(qh[i / 8] | ((levels[i] >> 4) << (i % 8)));
}

/// 1 / d, or 0 where d is zero or so small that the inverse overflows (its binary16 is zero anyway).
float inverse(float d) {
  const float inv = d == 0 ? 0.0f : 1.0f / d;
  return std::isfinite(inv) ? inv : 0.0f;
}

/// The number of largest magnitude, with its sign; the first of equals.
float signed_max(const float* x) {
  return *std::max_element(x, x + kSmallBlock, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

/// levels = trunc(x / d + half + 0.5), so that x / d = -half maps to level 0.
float encode_symmetric(const float* x, int half, uint8_t* levels) {
  const float d = signed_max(x) / static_cast<float>(-half);
  const float inv = inverse(d);
  for (int i = 0; i < kSmallBlock; ++i) {
    const float scaled = x[i] * inv;
    const int level = static_cast<int>(scaled + (static_cast<float>(half) + 0.5f));
    levels[i] = static_cast<uint8_t>(std::clamp(level, 0, 2 * half - 1));
  }
  return d;
}

struct ScaleOffset {
  float d;
  float m;
};

ScaleOffset encode_offset(const float* x, int max_level, uint8_t* levels) {
  const auto [low, high] = std::minmax_element(x, x + kSmallBlock);
  const float d = (*high - *low) / static_cast<float>(max_level);
  const float inv = inverse(d);
  for (int i = 0; i < kSmallBlock; ++i) {
    const float scaled = (x[i] - *low) * inv;
    levels[i] = static_cast<uint8_t>(std::clamp(static_cast<int>(scaled + 0.5f), 0, max_level));
  }
  return {d, *low};
}

void decode_q4_0(const BlockQ4_0& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) dst[i] = d * static_cast<float>(nibble(block.qs, i) - 8);
}

void encode_q4_0(const float* src, BlockQ4_0& block) {
  uint8_t levels[32];
  block.d = f32_to_f16(encode_symmetric(src, 8, levels));
  pack_nibbles(levels, block.qs);
}

void random_q4_0(RandomSource& random, float sigma, BlockQ4_0& block) {
  static const LevelTable table = LevelTable::make(8, 3, 1, 15);
  uint8_t levels[32];
  table.draw(random, levels);
  block.d = f32_to_f16(sigma / table.sigma * scale_jitter(random));
  pack_nibbles(levels, block.qs);
}

void decode_q4_1(const BlockQ4_1& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  for (int i = 0; i < 32; ++i) dst[i] = d * static_cast<float>(nibble(block.qs, i)) + m;
}

void encode_q4_1(const float* src, BlockQ4_1& block) {
  uint8_t levels[32];
  const ScaleOffset fit = encode_offset(src, 15, levels);
  block.d = f32_to_f16(fit.d);
  block.m = f32_to_f16(fit.m);
  pack_nibbles(levels, block.qs);
}

void random_q4_1(RandomSource& random, float sigma, BlockQ4_1& block) {
  static const LevelTable table = LevelTable::make(7.5f, 3, 0, 15);
  uint8_t levels[32];
  table.draw(random, levels);
  const float d = sigma / table.sigma * scale_jitter(random);
  block.d = f32_to_f16(d);
  block.m = f32_to_f16(-table.center * d * offset_jitter(random));
  pack_nibbles(levels, block.qs);
}

void decode_q5_0(const BlockQ5_0& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) {
    dst[i] = d * static_cast<float>((nibble(block.qs, i) | (fifth_bit(block.qh, i) << 4)) - 16);
  }
}

void encode_q5_0(const float* src, BlockQ5_0& block) {
  uint8_t levels[32];
  block.d = f32_to_f16(encode_symmetric(src, 16, levels));
  pack_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

void random_q5_0(RandomSource& random, float sigma, BlockQ5_0& block) {
  static const LevelTable table = LevelTable::make(16, 6, 1, 31);
  uint8_t levels[32];
  table.draw(random, levels);
  block.d = f32_to_f16(sigma / table.sigma * scale_jitter(random));
  pack_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

void decode_q5_1(const BlockQ5_1& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  for (int i = 0; i < 32; ++i) {
    dst[i] = d * static_cast<float>(nibble(block.qs, i) | (fifth_bit(block.qh, i) << 4)) + m;
  }
}

void encode_q5_1(const float* src, BlockQ5_1& block) {
  uint8_t levels[32];
  const ScaleOffset fit = encode_offset(src, 31, levels);
  block.d = f32_to_f16(fit.d);
  block.m = f32_to_f16(fit.m);
  pack_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

void random_q5_1(RandomSource& random, float sigma, BlockQ5_1& block) {
  static const LevelTable table = LevelTable::make(15.5f, 6, 0, 31);
  uint8_t levels[32];
  table.draw(random, levels);
  const float d = sigma / table.sigma * scale_jitter(random);
  block.d = f32_to_f16(d);
  block.m = f32_to_f16(-table.center * d * offset_jitter(random));
  pack_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

void decode_q8_0(const BlockQ8_0& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) dst[i] = static_cast<float>(block.qs[i]) * d;
}

void encode_q8_0(const float* src, BlockQ8_0& block) {
  const float d = std::fabs(signed_max(src)) / 127.0f;
  const float inv = inverse(d);
  block.d = f32_to_f16(d);
  for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(std::round(src[i] * inv));
}

void random_q8_0(RandomSource& random, float sigma, BlockQ8_0& block) {
  static const LevelTable table = LevelTable::make(128, 42, 1, 255);
  uint8_t levels[32];
  table.draw(random, levels);
  block.d = f32_to_f16(sigma / table.sigma * scale_jitter(random));
  for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(levels[i] - 128);
}

}  // namespace

const BlockFormat kQ4_0Format =
    make_block_format<BlockQ4_0, 32, decode_q4_0, encode_q4_0, random_q4_0>(DType::q4_0);
const BlockFormat kQ4_1Format =
    make_block_format<BlockQ4_1, 32, decode_q4_1, encode_q4_1, random_q4_1>(DType::q4_1);
const BlockFormat kQ5_0Format =
    make_block_format<BlockQ5_0, 32, decode_q5_0, encode_q5_0, random_q5_0>(DType::q5_0);
const BlockFormat kQ5_1Format =
    make_block_format<BlockQ5_1, 32, decode_q5_1, encode_q5_1, random_q5_1>(DType::q5_1);
const BlockFormat kQ8_0Format =
    make_block_format<BlockQ8_0, 32, decode_q8_0, encode_q8_0, random_q8_0>(DType::q8_0);

}  // namespace tattletale

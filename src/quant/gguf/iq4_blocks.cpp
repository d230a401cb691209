// iq4_nl and iq4_xs: four-bit indices into a fixed non-linear table, in blocks of 32 or super-blocks of 256.
// Decoding is bit-exact with the gguf package; encoding is our own simple search.
#include <algorithm>
#include <cmath>

#include "quant/gguf/block_rows.h"
#include "quant/gguf/blocks.h"
#include "quant/gguf/formats.h"
#include "quant/gguf/k_quants_scales.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

/// Index of the table value nearest to x.
uint8_t nearest_index(float x) {
  const auto* nearest =
      std::min_element(std::begin(kIq4Values), std::end(kIq4Values), [x](int8_t a, int8_t b) {
        return std::fabs(static_cast<float>(a) - x) < std::fabs(static_cast<float>(b) - x);
      });
  return static_cast<uint8_t>(nearest - kIq4Values);
}

/// The scale of least squared error for 32 numbers, among scales that put the largest near either table end.
float fit_iq4_scale(const float* x) {
  const float extreme =
      *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (extreme == 0) return 0;
  float best = 0;
  double best_gain = -1;
  for (const float end : {-127.0f, 113.0f}) {
    for (int c = -7; c <= 7; ++c) {
      const float inv = (end + 2.0f * static_cast<float>(c)) / extreme;
      double sum_xq = 0, sum_qq = 0;
      for (int i = 0; i < 32; ++i) {
        const double q = kIq4Values[nearest_index(x[i] * inv)];
        sum_xq += q * x[i];
        sum_qq += q * q;
      }
      const double gain = sum_xq * sum_xq / sum_qq;  // the table has no zero, so sum_qq > 0
      if (gain > best_gain) {
        best_gain = gain;
        best = static_cast<float>(sum_xq / sum_qq);
      }
    }
  }
  return best;
}

void encode_group(const float* x, float scale, uint8_t* qs) {
  const float inv = scale == 0 ? 0.0f : 1.0f / scale;
  for (int i = 0; i < 16; ++i) {
    qs[i] = static_cast<uint8_t>(nearest_index(x[i] * inv) | (nearest_index(x[i + 16] * inv) << 4));
  }
}

void decode_group(const uint8_t* qs, float scale, float* dst) {
  for (int i = 0; i < 16; ++i) {
    dst[i] = scale * static_cast<float>(kIq4Values[qs[i] & 15]);
    dst[i + 16] = scale * static_cast<float>(kIq4Values[qs[i] >> 4]);
  }
}

/// Indices of normally distributed table values, and those values' standard deviation.
struct IndexTable {
  LevelTable table;
  float sigma;
};

const IndexTable& index_table() {
  static const IndexTable result = [] {
    IndexTable made{};
    double sum_squares = 0;
    for (size_t i = 0; i < 256; ++i) {
      made.table.level[i] = nearest_index(normal_quantiles()[i] * 45.0f);
      sum_squares += std::pow(kIq4Values[made.table.level[i]], 2);
    }
    made.sigma = static_cast<float>(std::sqrt(sum_squares / 256));
    return made;
  }();
  return result;
}

void random_group(RandomSource& random, uint8_t* qs) {
  uint8_t indices[32];
  index_table().table.draw(random, indices);
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>(indices[i] | (indices[i + 16] << 4));
}

void decode_iq4_nl(const BlockIq4Nl& block, float* dst) {
  decode_group(block.qs, f16_to_f32(block.d), dst);
}

void encode_iq4_nl(const float* src, BlockIq4Nl& block) {
  block.d = f32_to_f16(fit_iq4_scale(src));
  encode_group(src, f16_to_f32(block.d), block.qs);
}

void random_iq4_nl(RandomSource& random, float sigma, BlockIq4Nl& block) {
  block.d = f32_to_f16(sigma / index_table().sigma * scale_jitter(random));
  random_group(random, block.qs);
}

void decode_iq4_xs(const BlockIq4Xs& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < 8; ++g) {
    const int low = (block.scales_l[g / 2] >> (4 * (g % 2))) & 15;
    const int high = (block.scales_h >> (2 * g)) & 3;
    decode_group(block.qs + g * 16, d * static_cast<float>((low | (high << 4)) - 32), dst + g * 32);
  }
}

void pack_iq4_xs_scale(int group, int scale, BlockIq4Xs& block) {
  const int stored = scale + 32;
  block.scales_l[group / 2] =
      static_cast<uint8_t>(block.scales_l[group / 2] | ((stored & 15) << (4 * (group % 2))));
  block.scales_h = static_cast<uint16_t>(block.scales_h | ((stored >> 4) << (2 * group)));
}

void encode_iq4_xs(const float* src, BlockIq4Xs& block) {
  float fits[8];
  for (int g = 0; g < 8; ++g) fits[g] = fit_iq4_scale(src + g * 32);
  const float extreme =
      *std::max_element(fits, fits + 8, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  block.d = f32_to_f16(extreme / -32.0f);
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < 8; ++g) {
    const int scale = nearest_level(fits[g], d, -32, 31);
    pack_iq4_xs_scale(g, scale, block);
    encode_group(src + g * 32, d * static_cast<float>(scale), block.qs + g * 16);
  }
}

void random_iq4_xs(RandomSource& random, float sigma, BlockIq4Xs& block) {
  // Scales of either sign, 16..31 in magnitude, whose mean square is 573.5.
  block.d = f32_to_f16(sigma / (index_table().sigma * 23.947860f));
  for (int g = 0; g < 8; ++g) {
    const uint64_t word = random.next();
    const int magnitude = 16 + static_cast<int>(word & 15);
    pack_iq4_xs_scale(g, word >> 63 ? -magnitude : magnitude, block);
    random_group(random, block.qs + g * 16);
  }
}

}  // namespace

const BlockFormat kIq4NlFormat =
    make_block_format<BlockIq4Nl, 32, decode_iq4_nl, encode_iq4_nl, random_iq4_nl>(DType::iq4_nl);
const BlockFormat kIq4XsFormat =
    make_block_format<BlockIq4Xs, 256, decode_iq4_xs, encode_iq4_xs, random_iq4_xs>(DType::iq4_xs);

}  // namespace tattletale

#include "quant/planar.h"

#include <cstring>

#include "base/check.h"
#include "quant/gguf/blocks.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

constexpr PlanarFormat kFormats[] = {
    {DType::q4_0, 4, 0, 32, 32, PlanarScale::none, PlanarLevel::offset, 8, false},
    {DType::q4_1, 4, 0, 32, 32, PlanarScale::none, PlanarLevel::offset, 0, true},
    {DType::q5_0, 4, 1, 32, 32, PlanarScale::none, PlanarLevel::offset, 16, false},
    {DType::q5_1, 4, 1, 32, 32, PlanarScale::none, PlanarLevel::offset, 0, true},
    {DType::q8_0, 8, 0, 32, 32, PlanarScale::none, PlanarLevel::i8, 0, false},
    {DType::q2_k, 2, 0, 16, 256, PlanarScale::nibbles, PlanarLevel::offset, 0, false},
    {DType::q3_k, 2, 1, 16, 256, PlanarScale::i8, PlanarLevel::offset, 4, false},
    {DType::q4_k, 4, 0, 32, 256, PlanarScale::pair, PlanarLevel::offset, 0, false},
    {DType::q5_k, 4, 1, 32, 256, PlanarScale::pair, PlanarLevel::offset, 0, false},
    {DType::q6_k, 4, 2, 16, 256, PlanarScale::i8, PlanarLevel::offset, 32, false},
    {DType::iq4_nl, 4, 0, 32, 32, PlanarScale::none, PlanarLevel::iq4, 0, false},
    {DType::iq4_xs, 4, 0, 32, 256, PlanarScale::i8, PlanarLevel::iq4, 0, false},
};

/// One block with its bits spread out, in the terms of PlanarFormat.
struct Spread {
  uint8_t level[kSuperBlock] = {};  // low bits | high bits << low_bits
  uint8_t scale[16] = {};           // i8 as two's complement
  uint8_t min[16] = {};
  uint16_t d = 0;
  uint16_t second = 0;  // dmin or m
};

template <class Block>
Block read(const std::byte* from) {
  Block block;
  std::memcpy(&block, from, sizeof(Block));
  return block;
}

/// Nibbles of small blocks: number i in the low half of byte i, number i + 16 in the high half.
void spread_small_nibbles(const uint8_t* qs, Spread& out) {
  for (int i = 0; i < 16; ++i) {
    out.level[i] = qs[i] & 15;
    out.level[i + 16] = qs[i] >> 4;
  }
}
void spread_fifth_bits(const uint8_t* qh, Spread& out) {
  for (int i = 0; i < 32; ++i) {
    out.level[i] = static_cast<uint8_t>(out.level[i] | ((qh[i / 8] >> (i % 8) & 1) << 4));
  }
}
/// q4_k and q5_k: groups 2c and 2c + 1 share 32 bytes.
void spread_k_nibbles(const uint8_t* qs, Spread& out) {
  for (int i = 0; i < kSuperBlock; ++i) {
    const int chunk = i / 64;
    const uint8_t byte = qs[chunk * 32 + i % 32];
    out.level[i] = (i % 64) < 32 ? byte & 15 : byte >> 4;
  }
}
void spread_k_scales(const uint8_t* scales, Spread& out) {
  for (int g = 0; g < 8; ++g) {
    const ScaleMin both = scale_min_k4(scales, g);
    out.scale[g] = both.scale;
    out.min[g] = both.min;
  }
}
/// Two-bit planes of q2_k and q3_k, and of q6_k's high bits: number h*128 + p*32 + i is bits 2p of byte h*32
/// + i.
uint8_t two_bits(const uint8_t* qs, int i) {
  const int half = i / 128, plane = i % 128 / 32;
  return qs[half * 32 + i % 32] >> (2 * plane) & 3;
}

void spread(const PlanarFormat& format, const std::byte* from, Spread& out) {
  out = Spread{};
  switch (format.dtype) {
    case DType::q4_0: {
      const auto b = read<BlockQ4_0>(from);
      out.d = b.d;
      return spread_small_nibbles(b.qs, out);
    }
    case DType::iq4_nl: {
      const auto b = read<BlockIq4Nl>(from);
      out.d = b.d;
      return spread_small_nibbles(b.qs, out);
    }
    case DType::q4_1: {
      const auto b = read<BlockQ4_1>(from);
      out.d = b.d, out.second = b.m;
      return spread_small_nibbles(b.qs, out);
    }
    case DType::q5_0: {
      const auto b = read<BlockQ5_0>(from);
      out.d = b.d;
      spread_small_nibbles(b.qs, out);
      return spread_fifth_bits(b.qh, out);
    }
    case DType::q5_1: {
      const auto b = read<BlockQ5_1>(from);
      out.d = b.d, out.second = b.m;
      spread_small_nibbles(b.qs, out);
      return spread_fifth_bits(b.qh, out);
    }
    case DType::q8_0: {
      const auto b = read<BlockQ8_0>(from);
      out.d = b.d;
      std::memcpy(out.level, b.qs, sizeof(b.qs));
      return;
    }
    case DType::q2_k: {
      const auto b = read<BlockQ2K>(from);
      out.d = b.d, out.second = b.dmin;
      for (int i = 0; i < kSuperBlock; ++i) out.level[i] = two_bits(b.qs, i);
      for (int g = 0; g < 16; ++g) out.scale[g] = b.scales[g];
      return;
    }
    case DType::q3_k: {
      const auto b = read<BlockQ3K>(from);
      out.d = b.d;
      for (int i = 0; i < kSuperBlock; ++i) {
        out.level[i] = static_cast<uint8_t>(two_bits(b.qs, i) | (b.hmask[i % 32] >> (i / 32) & 1) << 2);
      }
      for (int g = 0; g < 16; ++g) {
        const int low = b.scales[g % 8] >> (4 * (g / 8)) & 15;
        const int high = b.scales[8 + g % 4] >> (2 * (g / 4)) & 3;
        out.scale[g] = static_cast<uint8_t>((low | high << 4) - 32);
      }
      return;
    }
    case DType::q4_k: {
      const auto b = read<BlockQ4K>(from);
      out.d = b.d, out.second = b.dmin;
      spread_k_nibbles(b.qs, out);
      return spread_k_scales(b.scales, out);
    }
    case DType::q5_k: {
      const auto b = read<BlockQ5K>(from);
      out.d = b.d, out.second = b.dmin;
      spread_k_nibbles(b.qs, out);
      for (int i = 0; i < kSuperBlock; ++i) {
        out.level[i] = static_cast<uint8_t>(out.level[i] | (b.qh[i % 32] >> (i / 32) & 1) << 4);
      }
      return spread_k_scales(b.scales, out);
    }
    case DType::q6_k: {
      const auto b = read<BlockQ6K>(from);
      out.d = b.d;
      for (int i = 0; i < kSuperBlock; ++i) {
        const int half = i / 128, plane = i % 128 / 32;
        const uint8_t byte = b.ql[half * 64 + (plane & 1) * 32 + i % 32];
        const int low = plane >= 2 ? byte >> 4 : byte & 15;
        out.level[i] = static_cast<uint8_t>(low | two_bits(b.qh, i) << 4);
      }
      std::memcpy(out.scale, b.scales, sizeof(b.scales));
      return;
    }
    case DType::iq4_xs: {
      const auto b = read<BlockIq4Xs>(from);
      out.d = b.d;
      for (int g = 0; g < 8; ++g) {
        for (int i = 0; i < 16; ++i) {
          out.level[g * 32 + i] = b.qs[g * 16 + i] & 15;
          out.level[g * 32 + 16 + i] = b.qs[g * 16 + i] >> 4;
        }
        const int low = b.scales_l[g / 2] >> (4 * (g % 2)) & 15;
        out.scale[g] = static_cast<uint8_t>((low | (b.scales_h >> (2 * g) & 3) << 4) - 32);
      }
      return;
    }
    default: CHECK(!"a packed dtype with a planar format");
  }
}

/// Puts `count` fields of `bits` bits at field `first` of a plane, lowest bits first. first * bits is a
/// multiple of 8.
void put_bits(std::byte* plane, uint64_t first, int count, int bits, const uint8_t* values, int shift) {
  uint8_t* out = reinterpret_cast<uint8_t*>(plane) + first * static_cast<uint64_t>(bits) / 8;
  const int per_byte = 8 / bits;
  const int mask = (1 << bits) - 1;
  for (int i = 0; i < count; i += per_byte) {
    int byte = 0;
    for (int j = 0; j < per_byte; ++j) byte |= (values[i + j] >> shift & mask) << (j * bits);
    out[i / per_byte] = static_cast<uint8_t>(byte);
  }
}
uint32_t get_bits(const std::byte* plane, uint64_t index, int bits) {
  const uint64_t bit = index * static_cast<uint64_t>(bits);
  return static_cast<uint32_t>(plane[bit / 8]) >> (bit % 8) & ((1u << bits) - 1);
}

}  // namespace

const PlanarFormat* planar_format(DType dtype) {
  for (const PlanarFormat& format : kFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
}

PlanarLayout planar_layout(const PlanarFormat& format, uint64_t rows, uint64_t columns) {
  CHECK(columns % format.super == 0);
  const auto aligned = [](uint64_t bytes) { return (bytes + 15) / 16 * 16; };
  const uint64_t numbers = rows * columns;
  PlanarLayout layout;
  layout.high = aligned(numbers * format.low_bits / 8);
  layout.scale = layout.high + aligned(numbers * format.high_bits / 8);
  layout.super = layout.scale + aligned(numbers / format.group * format.group_bytes());
  layout.total_bytes = layout.super + aligned(numbers / format.super * format.super_bytes());
  return layout;
}

void planar_from_blocks(const PlanarFormat& format, const PlanarLayout& layout, uint64_t columns,
                        uint64_t first_row, uint64_t num_rows, std::span<const std::byte> blocks,
                        std::span<std::byte> planes) {
  CHECK(planes.size() >= layout.total_bytes);
  const uint64_t block_bytes = dtype_info(format.dtype).block_bytes;
  const uint64_t num_blocks = num_rows * columns / format.super;
  CHECK(blocks.size() == num_blocks * block_bytes);
  const int numbers = static_cast<int>(format.super);
  const int groups = static_cast<int>(format.super / format.group);
  Spread block;
  for (uint64_t i = 0; i < num_blocks; ++i) {
    spread(format, blocks.data() + i * block_bytes, block);
    const uint64_t index = first_row * columns / format.super + i;
    const uint64_t first = index * format.super;
    put_bits(planes.data() + layout.low, first, numbers, format.low_bits, block.level, 0);
    if (format.high_bits > 0) {
      put_bits(planes.data() + layout.high, first, numbers, format.high_bits, block.level, format.low_bits);
    }
    uint8_t* scales = reinterpret_cast<uint8_t*>(planes.data() + layout.scale) +
                      index * static_cast<uint64_t>(groups) * format.group_bytes();
    for (int g = 0; g < groups; ++g) {
      if (format.scale == PlanarScale::pair) {
        scales[2 * g] = block.scale[g];
        scales[2 * g + 1] = block.min[g];
      } else if (format.scale != PlanarScale::none) {
        scales[g] = block.scale[g];
      }
    }
    std::byte* super = planes.data() + layout.super + index * format.super_bytes();
    std::memcpy(super, &block.d, 2);
    if (format.super_bytes() == 4) std::memcpy(super + 2, &block.second, 2);
  }
}

void dequantize_planar_row(const PlanarFormat& format, const PlanarLayout& layout, uint64_t columns,
                           uint64_t row, std::span<const std::byte> planes, float* dst) {
  for (uint64_t k = 0; k < columns; ++k) {
    const uint64_t index = row * columns + k;
    uint32_t bits = get_bits(planes.data() + layout.low, index, format.low_bits);
    if (format.high_bits > 0) {
      bits |= get_bits(planes.data() + layout.high, index, format.high_bits) << format.low_bits;
    }
    float level = static_cast<float>(static_cast<int>(bits) - format.level_offset);
    if (format.level == PlanarLevel::i8) level = static_cast<int8_t>(bits);
    if (format.level == PlanarLevel::iq4) level = kIq4Values[bits];
    uint16_t halves[2] = {0, 0};
    std::memcpy(halves, planes.data() + layout.super + index / format.super * format.super_bytes(),
                format.super_bytes());
    const float d = f16_to_f32(halves[0]);
    const float second = f16_to_f32(halves[1]);
    const auto* scales = reinterpret_cast<const uint8_t*>(planes.data() + layout.scale) +
                         index / format.group * format.group_bytes();
    switch (format.scale) {
      case PlanarScale::none: dst[k] = d * level + (format.has_offset ? second : 0.0f); break;
      case PlanarScale::i8: dst[k] = d * static_cast<int8_t>(scales[0]) * level; break;
      case PlanarScale::nibbles:
        dst[k] = d * static_cast<float>(scales[0] & 15) * level - second * static_cast<float>(scales[0] >> 4);
        break;
      case PlanarScale::pair:
        dst[k] = d * static_cast<float>(scales[0]) * level - second * static_cast<float>(scales[1]);
        break;
    }
  }
}

}  // namespace tattletale

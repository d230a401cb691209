// GGUF's packed blocks as the file stores them, little-endian, for decoding in place.
// Fields named d, m, dmin are binary16 bits (tensor/float16.h). No field is wider than two bytes, so a block
// may lie at any even address.
// Source: the block layouts documented by the `gguf` Python package (gguf/quants.py) and ggml.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tattletale {

inline constexpr int kSmallBlock = 32;   // numbers per block of q4_0 .. q8_0 and iq4_nl
inline constexpr int kSuperBlock = 256;  // numbers per block of the k-quants and iq4_xs

/// x[i] = d * (q - 8); number i is the low nibble of qs[i], number i+16 the high one.
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};

/// x[i] = d * q + m; nibbles as in q4_0.
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};

/// x[i] = d * (q - 16); low four bits as in q4_0, bit i of qh (little-endian 32 bits) is the fifth.
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};

/// x[i] = d * q + m; bits as in q5_0.
struct BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[16];
};

/// x[i] = d * qs[i]
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};

/// 16 groups of 16: x = d * (scales & 15) * q - dmin * (scales >> 4).
/// Half h (128 numbers), plane p (0..3): number h*128 + p*32 + i is bits 2p of qs[h*32 + i].
struct BlockQ2K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};

/// 16 groups of 16: x = d * (scale - 32) * q, q in -4..3. Low two bits as in q2_k; number j's high bit is
/// bit j/32 of hmask[j%32], and q = low - (bit ? 0 : 4). Scales are 6 bits: group g has its low four bits in
/// nibble g/8 of scales[g%8], its high two in bits 2*(g/4) of scales[8 + g%4].
struct BlockQ3K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};

/// 8 groups of 32: x = d * scale * q - dmin * min. Groups 2c and 2c+1 share qs[c*32 .. +32]: low nibbles,
/// high nibbles. Scales and mins are 6 bits. Group g < 4: scale scales[g] & 63, min scales[4+g] & 63. Group g
/// >= 4: low four bits in scales[4+g] (scale low nibble, min high nibble), high two in the top bits of
/// scales[g-4] and scales[g].
struct BlockQ4K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

/// As q4_k; bit g of qh[i] is the fifth bit of number g*32 + i.
struct BlockQ5K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

/// 16 groups of 16: x = d * scales[g] * (q - 32). Half h, plane p: number h*128 + p*32 + i has its low nibble
/// in ql[h*64 + (p&1)*32 + i] (high nibble for p >= 2) and its high two bits in bits 2p of qh[h*32 + i].
struct BlockQ6K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};

/// x[i] = d * kIq4Values[q]; nibbles as in q4_0.
struct BlockIq4Nl {
  uint16_t d;
  uint8_t qs[16];
};

/// 8 groups of 32: x = d * (scale - 32) * kIq4Values[q]. Each group is 16 bytes of qs, nibbles as in q4_0.
/// Scales are 6 bits: low four in nibble g%2 of scales_l[g/2], high two in bits 2g of scales_h.
struct BlockIq4Xs {
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockQ2K) == 84);
static_assert(sizeof(BlockQ3K) == 110 && sizeof(BlockQ4K) == 144 && sizeof(BlockQ5K) == 176);
static_assert(sizeof(BlockQ6K) == 210 && sizeof(BlockIq4Nl) == 18 && sizeof(BlockIq4Xs) == 136);

struct ScaleMin {
  uint8_t scale;
  uint8_t min;
};

/// The 6-bit scale and min of group 0..7 of a q4_k or q5_k block.
inline ScaleMin scale_min_k4(const uint8_t scales[12], int group) {
  if (group < 4) {
    return {static_cast<uint8_t>(scales[group] & 63), static_cast<uint8_t>(scales[group + 4] & 63)};
  }
  const int low = scales[group + 4];
  return {static_cast<uint8_t>((low & 15) | ((scales[group - 4] >> 6) << 4)),
          static_cast<uint8_t>((low >> 4) | ((scales[group] >> 6) << 4))};
}

}  // namespace tattletale

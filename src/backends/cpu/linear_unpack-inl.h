// The packed formats as (u, scale, min): one trait per format, in plain C++ compiled per instruction set.
// Per-target header: included once for every Highway target.
// Source: quant/gguf/blocks.h.
#if defined(TT_LINEAR_UNPACK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TT_LINEAR_UNPACK_INL_H
#undef TT_LINEAR_UNPACK_INL_H
#else
#define TT_LINEAR_UNPACK_INL_H
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "quant/gguf/blocks.h"
#include "tensor/dtype.h"
#include "tensor/float16.h"

#include "backends/cpu/linear_target-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {

/// kGroup numbers share a scale (and a minimum). Without a minimum, value = scale * (u - 2^kShift).
/// kMaxU bounds u. unpack() writes kElements u's and kElements / kGroup scales and minima.
template <DType>
struct Format;

template <class B, int Elements, int Group, bool HasMin, int Shift, int MaxU>
struct FormatBase {
  using Block = B;
  static constexpr int kElements = Elements;
  static constexpr int kGroup = Group;
  static constexpr bool kHasMin = HasMin;
  static constexpr int kShift = Shift;
  static constexpr int kMaxU = MaxU;
};

HWY_INLINE void nibbles(const uint8_t* qs, uint8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = qs[i] & 15;
    q[16 + i] = qs[i] >> 4;
  }
}
HWY_INLINE void fifth_bits(const uint8_t* qh, uint8_t* q) {
  uint32_t bits;
  std::memcpy(&bits, qh, 4);
  for (int i = 0; i < 32; ++i) q[i] |= static_cast<uint8_t>(((bits >> i) & 1u) << 4);
}

template <>
struct Format<DType::q4_0> : FormatBase<BlockQ4_0, 32, 32, false, 3, 15> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    d[0] = f16_to_f32(b.d);
    nibbles(b.qs, q);
  }
};
template <>
struct Format<DType::q4_1> : FormatBase<BlockQ4_1, 32, 32, true, 0, 15> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float* m) {
    d[0] = f16_to_f32(b.d);
    m[0] = f16_to_f32(b.m);
    nibbles(b.qs, q);
  }
};
template <>
struct Format<DType::q5_0> : FormatBase<BlockQ5_0, 32, 32, false, 4, 31> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    d[0] = f16_to_f32(b.d);
    nibbles(b.qs, q);
    fifth_bits(b.qh, q);
  }
};
template <>
struct Format<DType::q5_1> : FormatBase<BlockQ5_1, 32, 32, true, 0, 31> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float* m) {
    d[0] = f16_to_f32(b.d);
    m[0] = f16_to_f32(b.m);
    nibbles(b.qs, q);
    fifth_bits(b.qh, q);
  }
};
template <>
struct Format<DType::q8_0> : FormatBase<BlockQ8_0, 32, 32, false, 7, 255> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    d[0] = f16_to_f32(b.d);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<uint8_t>(b.qs[i]) ^ 0x80u;
  }
};
template <>
struct Format<DType::iq4_nl> : FormatBase<BlockIq4Nl, 32, 32, false, 7, 255> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    d[0] = f16_to_f32(b.d);
    nibbles(b.qs, q);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<uint8_t>(kIq4Values[q[i]]) ^ 0x80u;
  }
};
template <>
struct Format<DType::iq4_xs> : FormatBase<BlockIq4Xs, 256, 32, false, 7, 255> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    const float scale = f16_to_f32(b.d);
    for (int g = 0; g < 8; ++g) {
      const int low = b.scales_l[g / 2] >> (4 * (g % 2)) & 15;
      const int high = b.scales_h >> (2 * g) & 3;
      d[g] = scale * static_cast<float>((low | high << 4) - 32);
      nibbles(b.qs + 16 * g, q + 32 * g);
    }
    for (int i = 0; i < 256; ++i) q[i] = static_cast<uint8_t>(kIq4Values[q[i]]) ^ 0x80u;
  }
};
template <>
struct Format<DType::q4_k> : FormatBase<BlockQ4K, 256, 32, true, 0, 15> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float* m) {
    const float scale = f16_to_f32(b.d), min = f16_to_f32(b.dmin);
    for (int g = 0; g < 8; ++g) {
      const ScaleMin sm = scale_min_k4(b.scales, g);
      d[g] = scale * static_cast<float>(sm.scale);
      m[g] = -min * static_cast<float>(sm.min);
    }
    for (int c = 0; c < 4; ++c) {
      for (int i = 0; i < 32; ++i) {
        q[c * 64 + i] = b.qs[c * 32 + i] & 15;
        q[c * 64 + 32 + i] = b.qs[c * 32 + i] >> 4;
      }
    }
  }
};
template <>
struct Format<DType::q5_k> : FormatBase<BlockQ5K, 256, 32, true, 0, 31> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float* m) {
    const float scale = f16_to_f32(b.d), min = f16_to_f32(b.dmin);
    for (int g = 0; g < 8; ++g) {
      const ScaleMin sm = scale_min_k4(b.scales, g);
      d[g] = scale * static_cast<float>(sm.scale);
      m[g] = -min * static_cast<float>(sm.min);
      for (int i = 0; i < 32; ++i) {
        const int low = b.qs[g / 2 * 32 + i] >> (4 * (g % 2)) & 15;
        q[g * 32 + i] = static_cast<uint8_t>(low | (b.qh[i] >> g & 1) << 4);
      }
    }
  }
};
template <>
struct Format<DType::q6_k> : FormatBase<BlockQ6K, 256, 16, false, 5, 63> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    const float scale = f16_to_f32(b.d);
    for (int g = 0; g < 16; ++g) d[g] = scale * static_cast<float>(b.scales[g]);
    for (int h = 0; h < 2; ++h) {
      for (int p = 0; p < 4; ++p) {
        for (int i = 0; i < 32; ++i) {
          const int low = b.ql[h * 64 + (p & 1) * 32 + i] >> (p >= 2 ? 4 : 0) & 15;
          q[h * 128 + p * 32 + i] = static_cast<uint8_t>(low | (b.qh[h * 32 + i] >> (2 * p) & 3) << 4);
        }
      }
    }
  }
};
template <>
struct Format<DType::q2_k> : FormatBase<BlockQ2K, 256, 16, true, 0, 3> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float* m) {
    const float scale = f16_to_f32(b.d), min = f16_to_f32(b.dmin);
    for (int g = 0; g < 16; ++g) {
      d[g] = scale * static_cast<float>(b.scales[g] & 15);
      m[g] = -min * static_cast<float>(b.scales[g] >> 4);
    }
    for (int h = 0; h < 2; ++h) {
      for (int p = 0; p < 4; ++p) {
        for (int i = 0; i < 32; ++i) q[h * 128 + p * 32 + i] = b.qs[h * 32 + i] >> (2 * p) & 3;
      }
    }
  }
};
template <>
struct Format<DType::q3_k> : FormatBase<BlockQ3K, 256, 16, false, 2, 7> {
  static HWY_INLINE void unpack(const Block& b, uint8_t* q, float* d, float*) {
    const float scale = f16_to_f32(b.d);
    for (int g = 0; g < 16; ++g) {
      const int low = b.scales[g % 8] >> (4 * (g / 8)) & 15;
      const int high = b.scales[8 + g % 4] >> (2 * (g / 4)) & 3;
      d[g] = scale * static_cast<float>((low | high << 4) - 32);
    }
    for (int h = 0; h < 2; ++h) {
      for (int p = 0; p < 4; ++p) {
        for (int i = 0; i < 32; ++i) {
          const int low = b.qs[h * 32 + i] >> (2 * p) & 3;
          q[h * 128 + p * 32 + i] = static_cast<uint8_t>(low | (b.hmask[i] >> (4 * h + p) & 1) << 2);
        }
      }
    }
  }
};

/// Calls body.template operator()<Format<dtype>>() for a packed dtype.
template <class Body>
HWY_INLINE void with_format(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::q4_0: return body.template operator()<Format<DType::q4_0>>();
    case DType::q4_1: return body.template operator()<Format<DType::q4_1>>();
    case DType::q5_0: return body.template operator()<Format<DType::q5_0>>();
    case DType::q5_1: return body.template operator()<Format<DType::q5_1>>();
    case DType::q8_0: return body.template operator()<Format<DType::q8_0>>();
    case DType::q2_k: return body.template operator()<Format<DType::q2_k>>();
    case DType::q3_k: return body.template operator()<Format<DType::q3_k>>();
    case DType::q4_k: return body.template operator()<Format<DType::q4_k>>();
    case DType::q5_k: return body.template operator()<Format<DType::q5_k>>();
    case DType::q6_k: return body.template operator()<Format<DType::q6_k>>();
    case DType::iq4_nl: return body.template operator()<Format<DType::iq4_nl>>();
    case DType::iq4_xs: return body.template operator()<Format<DType::iq4_xs>>();
    default: return;
  }
}

}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

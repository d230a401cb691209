// Unpacks blocks of 16 consecutive rows straight into panel order (linear_panel.h), for x86 from AVX2 on.
// Sixteen bytes of each row are loaded side by side and transposed as 4-byte quads while still packed; masks
// and shifts then work on all rows at once, and so do the scales. linear_unpack-inl.h is the plain version of
// the same. Per-target header: included once for every Highway target.
#if defined(TT_LINEAR_PACK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TT_LINEAR_PACK_INL_H
#undef TT_LINEAR_PACK_INL_H
#else
#define TT_LINEAR_PACK_INL_H
#endif

#include <cstdint>

#include "backends/cpu/linear_unpack-inl.h"
#include "hwy/highway.h"

#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#include <immintrin.h>
#include "backends/cpu/linear_target-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Bytes = hn::CappedTag<uint8_t, 64>;
using Words = hn::Repartition<uint16_t, Bytes>;
using Dwords = hn::Repartition<uint32_t, Bytes>;
using Signed = hn::Repartition<int32_t, Bytes>;
using Floats = hn::Repartition<float, Bytes>;
using VBytes = hn::Vec<Bytes>;
using VDwords = hn::Vec<Dwords>;
using VFloats = hn::Vec<Floats>;

/// Rows of one vector: a dword each.
inline constexpr int kVectorRows = HWY_LANES(uint8_t) >= 64 ? 16 : 8;

/// One column of blocks of kVectorRows rows, and where it goes in the panel.
struct BlockColumn {
  const uint8_t* base;      // the first row's block
  uint64_t stride;          // bytes from row to row
  hn::Vec<Signed> offsets;  // of the rows from base
  uint8_t* q;               // the quads of these rows are 64 bytes apart
  float* scale;             // 16 floats apart
  float* min;
};

template <int Shift>
HWY_INLINE VBytes shift_right(VBytes v) {
  return hn::BitCast(Bytes(), hn::ShiftRight<Shift>(hn::BitCast(Words(), v)));
}
template <int Shift>
HWY_INLINE VBytes shift_left(VBytes v) {
  return hn::BitCast(Bytes(), hn::ShiftLeft<Shift>(hn::BitCast(Words(), v)));
}
/// Moves bit `From` of every byte to bit `To` and clears the others; Mask is what stays.
template <int From, int To>
HWY_INLINE VBytes move_bits(VBytes v, uint8_t mask) {
  VBytes moved = v;
  if constexpr (From > To) moved = shift_right<From - To>(v);
  if constexpr (From < To) moved = shift_left<To - From>(v);
  return hn::And(moved, hn::Set(Bytes(), mask));
}

/// Sixteen bytes of every row, as four vectors of quads: t[j] holds bytes 4j .. 4j+3 of each row.
struct Quads {
  VBytes t[4];
};

HWY_INLINE VBytes load_rows(const uint8_t* p, uint64_t stride) {
  const auto* p0 = reinterpret_cast<const __m128i*>(p);
  const auto* p4 = reinterpret_cast<const __m128i*>(p + 4 * stride);
  const __m256i low =
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(p0)), _mm_loadu_si128(p4), 1);
#if HWY_TARGET == HWY_AVX2
  return VBytes{low};
#else
  const auto* p8 = reinterpret_cast<const __m128i*>(p + 8 * stride);
  const auto* p12 = reinterpret_cast<const __m128i*>(p + 12 * stride);
  const __m512i three = _mm512_inserti32x4(_mm512_castsi256_si512(low), _mm_loadu_si128(p8), 2);
  return VBytes{_mm512_inserti32x4(three, _mm_loadu_si128(p12), 3)};
#endif
}

HWY_INLINE Quads load_quads(const BlockColumn& column, uint64_t offset) {
  using D64 = hn::Repartition<uint64_t, Bytes>;
  const uint8_t* p = column.base + offset;
  const auto z0 = hn::BitCast(Dwords(), load_rows(p, column.stride));
  const auto z1 = hn::BitCast(Dwords(), load_rows(p + column.stride, column.stride));
  const auto z2 = hn::BitCast(Dwords(), load_rows(p + 2 * column.stride, column.stride));
  const auto z3 = hn::BitCast(Dwords(), load_rows(p + 3 * column.stride, column.stride));
  const auto a0 = hn::BitCast(D64(), hn::InterleaveLower(Dwords(), z0, z1));
  const auto a1 = hn::BitCast(D64(), hn::InterleaveUpper(Dwords(), z0, z1));
  const auto b0 = hn::BitCast(D64(), hn::InterleaveLower(Dwords(), z2, z3));
  const auto b1 = hn::BitCast(D64(), hn::InterleaveUpper(Dwords(), z2, z3));
  return {{hn::BitCast(Bytes(), hn::InterleaveLower(D64(), a0, b0)),
           hn::BitCast(Bytes(), hn::InterleaveUpper(D64(), a0, b0)),
           hn::BitCast(Bytes(), hn::InterleaveLower(D64(), a1, b1)),
           hn::BitCast(Bytes(), hn::InterleaveUpper(D64(), a1, b1))}};
}

/// A dword of every row. `offset` + 4 must not pass the end of the block.
HWY_INLINE VDwords load_dwords(const BlockColumn& column, uint64_t offset) {
  const auto* p = reinterpret_cast<const int*>(column.base + offset);
#if HWY_TARGET == HWY_AVX2
  return VDwords{_mm256_i32gather_epi32(p, column.offsets.raw, 1)};
#else
  return VDwords{_mm512_i32gather_epi32(column.offsets.raw, p, 1)};
#endif
}

/// The binary16 in the low half of every dword.
HWY_INLINE VFloats f16_low(VDwords v) {
#if HWY_TARGET == HWY_AVX2
  const __m256i words = _mm256_and_si256(v.raw, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
  return VFloats{_mm256_cvtph_ps(_mm256_castsi256_si128(packed))};
#else
  return VFloats{_mm512_cvtph_ps(_mm512_cvtepi32_epi16(v.raw))};
#endif
}
HWY_INLINE VFloats f16_high(VDwords v) {
  return f16_low(hn::ShiftRight<16>(v));
}

/// Byte `I` of every dword as a float, unsigned or signed.
template <int I>
HWY_INLINE VFloats byte_float(VDwords v) {
  const auto byte = hn::And(hn::ShiftRight<8 * I>(v), hn::Set(Dwords(), 0xff));
  return hn::ConvertTo(Floats(), hn::BitCast(Signed(), byte));
}
template <int I>
HWY_INLINE VFloats signed_byte_float(VDwords v) {
  return hn::ConvertTo(Floats(), hn::ShiftRight<24>(hn::BitCast(Signed(), hn::ShiftLeft<24 - 8 * I>(v))));
}

HWY_INLINE void store_quad(const BlockColumn& c, int quad, VBytes v) {
  hn::StoreU(v, Bytes(), c.q + 64 * quad);
}
HWY_INLINE void store_scale(const BlockColumn& c, int group, VFloats v) {
  hn::StoreU(v, Floats(), c.scale + 16 * group);
}
HWY_INLINE void store_min(const BlockColumn& c, int group, VFloats v) {
  hn::StoreU(v, Floats(), c.min + 16 * group);
}

/// Calls body.template operator()<I>() for I in [0, N).
template <int N, class Body, int... I>
HWY_INLINE void unrolled(Body&& body) {
  if constexpr (sizeof...(I) == N) {
    (body.template operator()<I>(), ...);
  } else {
    unrolled<N, Body, I..., sizeof...(I)>(static_cast<Body&&>(body));
  }
}

HWY_INLINE VBytes low_nibbles(VBytes v) {
  return hn::And(v, hn::Set(Bytes(), uint8_t{15}));
}
HWY_INLINE VBytes high_nibbles(VBytes v) {
  return low_nibbles(shift_right<4>(v));
}

HWY_INLINE VBytes iq4_lookup(VBytes index) {
  alignas(16) static constexpr uint8_t kTable[16] = {1,   24,  45,  63,  79,  93,  106, 118, 129,
                                                     141, 153, 166, 181, 197, 217, 241};  // kIq4Values + 128
  return hn::TableLookupBytes(hn::LoadDup128(Bytes(), kTable), index);
}

/// Nibbles of 16 bytes at `offset`: low to quads 0..3, high to quads 4..7 of group `group`.
template <bool kIq4 = false>
HWY_INLINE void pack_nibbles(const BlockColumn& c, uint64_t offset, int group) {
  const Quads quads = load_quads(c, offset);
  HWY_UNROLL(4)
  for (int j = 0; j < 4; ++j) {
    const VBytes low = low_nibbles(quads.t[j]), high = high_nibbles(quads.t[j]);
    store_quad(c, 8 * group + j, kIq4 ? iq4_lookup(low) : low);
    store_quad(c, 8 * group + 4 + j, kIq4 ? iq4_lookup(high) : high);
  }
}

/// As pack_nibbles, with bit i of each row's dword `fifth` above nibble i.
HWY_INLINE void pack_five_bits(const BlockColumn& c, uint64_t offset, VDwords fifth) {
  const Quads quads = load_quads(c, offset);
  const VBytes bits = hn::BitCast(Bytes(), fifth);
  const VBytes bit_of_byte[2] = {hn::BitCast(Bytes(), hn::Set(Dwords(), 0x08040201u)),
                                 hn::BitCast(Bytes(), hn::Set(Dwords(), 0x80402010u))};
  alignas(16) static constexpr uint8_t kFirstByte[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  const VBytes spread = hn::LoadDup128(Bytes(), kFirstByte);
  HWY_UNROLL(8)
  for (int j = 0; j < 8; ++j) {
    const VBytes low = j < 4 ? low_nibbles(quads.t[j]) : high_nibbles(quads.t[j - 4]);
    const VBytes which = hn::Add(spread, hn::Set(Bytes(), static_cast<uint8_t>(j / 2)));
    const auto set = hn::TestBit(hn::TableLookupBytes(bits, which), bit_of_byte[j % 2]);
    store_quad(c, j, hn::Or(low, hn::IfThenElseZero(set, hn::Set(Bytes(), uint8_t{16}))));
  }
}

/// The scales and minima of q4_k and q5_k: d and dmin at 0, twelve bytes of 6-bit numbers at 4.
HWY_INLINE void pack_k4_scales(const BlockColumn& c) {
  const VDwords dd = load_dwords(c, 0);
  const VFloats d = f16_low(dd), dmin = hn::Neg(f16_high(dd));
  const VDwords s0 = load_dwords(c, 4), s1 = load_dwords(c, 8), s2 = load_dwords(c, 12);
  const auto six = hn::Set(Dwords(), 0x3f3f3f3fu), low = hn::Set(Dwords(), 0x0f0f0f0fu),
             top = hn::Set(Dwords(), 0x30303030u);
  const VDwords scales[2] = {hn::And(s0, six), hn::Or(hn::And(s2, low), hn::And(hn::ShiftRight<2>(s0), top))};
  const VDwords mins[2] = {hn::And(s1, six),
                           hn::Or(hn::And(hn::ShiftRight<4>(s2), low), hn::And(hn::ShiftRight<2>(s1), top))};
  unrolled<8>([&]<int G>() {
    store_scale(c, G, hn::Mul(d, byte_float<G % 4>(scales[G / 4])));
    store_min(c, G, hn::Mul(dmin, byte_float<G % 4>(mins[G / 4])));
  });
}

template <class F>
struct PackColumn;

template <>
struct PackColumn<Format<DType::q4_0>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    store_scale(c, 0, f16_low(load_dwords(c, 0)));
    pack_nibbles(c, 2, 0);
  }
};
template <>
struct PackColumn<Format<DType::q4_1>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VDwords dm = load_dwords(c, 0);
    store_scale(c, 0, f16_low(dm));
    store_min(c, 0, f16_high(dm));
    pack_nibbles(c, 4, 0);
  }
};
template <>
struct PackColumn<Format<DType::iq4_nl>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    store_scale(c, 0, f16_low(load_dwords(c, 0)));
    pack_nibbles<true>(c, 2, 0);
  }
};
template <>
struct PackColumn<Format<DType::q5_0>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    store_scale(c, 0, f16_low(load_dwords(c, 0)));
    pack_five_bits(c, 6, load_dwords(c, 2));
  }
};
template <>
struct PackColumn<Format<DType::q5_1>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VDwords dm = load_dwords(c, 0);
    store_scale(c, 0, f16_low(dm));
    store_min(c, 0, f16_high(dm));
    pack_five_bits(c, 8, load_dwords(c, 4));
  }
};
template <>
struct PackColumn<Format<DType::q8_0>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    store_scale(c, 0, f16_low(load_dwords(c, 0)));
    for (int s = 0; s < 2; ++s) {
      const Quads quads = load_quads(c, 2 + 16 * s);
      for (int j = 0; j < 4; ++j)
        store_quad(c, 4 * s + j, hn::Xor(quads.t[j], hn::Set(Bytes(), uint8_t{0x80})));
    }
  }
};
template <>
struct PackColumn<Format<DType::iq4_xs>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VDwords dh = load_dwords(c, 0);
    const VFloats d = f16_low(dh);
    const VDwords low = load_dwords(c, 4), high = hn::ShiftRight<16>(dh);
    unrolled<8>([&]<int G>() {
      const auto four = hn::And(hn::ShiftRight<4 * G>(low), hn::Set(Dwords(), 15u));
      const auto two = hn::And(hn::ShiftRight<2 * G>(high), hn::Set(Dwords(), 3u));
      const auto six = hn::BitCast(Signed(), hn::Or(four, hn::ShiftLeft<4>(two)));
      store_scale(c, G, hn::Mul(d, hn::ConvertTo(Floats(), hn::Sub(six, hn::Set(Signed(), 32)))));
      pack_nibbles<true>(c, 8 + 16 * G, G);
    });
  }
};
template <>
struct PackColumn<Format<DType::q4_k>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    pack_k4_scales(c);
    for (int pair = 0; pair < 4; ++pair) {
      for (int s = 0; s < 2; ++s) {
        const Quads quads = load_quads(c, 16 + 32 * pair + 16 * s);
        for (int j = 0; j < 4; ++j) {
          store_quad(c, 16 * pair + 4 * s + j, low_nibbles(quads.t[j]));
          store_quad(c, 16 * pair + 8 + 4 * s + j, high_nibbles(quads.t[j]));
        }
      }
    }
  }
};
template <>
struct PackColumn<Format<DType::q5_k>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    pack_k4_scales(c);
    for (int s = 0; s < 2; ++s) {
      const Quads fifth = load_quads(c, 16 + 16 * s);
      unrolled<4>([&]<int Pair>() {
        const Quads quads = load_quads(c, 48 + 32 * Pair + 16 * s);
        for (int j = 0; j < 4; ++j) {
          const VBytes bit0 = move_bits<2 * Pair, 4>(fifth.t[j], 16),
                       bit1 = move_bits<2 * Pair + 1, 4>(fifth.t[j], 16);
          store_quad(c, 16 * Pair + 4 * s + j, hn::Or(low_nibbles(quads.t[j]), bit0));
          store_quad(c, 16 * Pair + 8 + 4 * s + j, hn::Or(high_nibbles(quads.t[j]), bit1));
        }
      });
    }
  }
};
template <>
struct PackColumn<Format<DType::q6_k>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VFloats d = f16_high(load_dwords(c, 206));
    for (int v = 0; v < 4; ++v) {
      const VDwords scales = load_dwords(c, 192 + 4 * v);
      unrolled<4>([&]<int I>() { store_scale(c, 4 * v + I, hn::Mul(d, signed_byte_float<I>(scales))); });
    }
    for (int h = 0; h < 2; ++h) {
      for (int s = 0; s < 2; ++s) {
        const Quads high = load_quads(c, 128 + 32 * h + 16 * s);
        for (int odd = 0; odd < 2; ++odd) {  // planes odd and odd + 2 share the bytes of ql
          const Quads low = load_quads(c, 64 * h + 32 * odd + 16 * s);
          for (int j = 0; j < 4; ++j) {
            const VBytes high0 =
                odd == 0 ? move_bits<0, 4>(high.t[j], 0x30) : move_bits<2, 4>(high.t[j], 0x30);
            const VBytes high2 =
                odd == 0 ? move_bits<4, 4>(high.t[j], 0x30) : move_bits<6, 4>(high.t[j], 0x30);
            store_quad(c, 32 * h + 8 * odd + 4 * s + j, hn::Or(low_nibbles(low.t[j]), high0));
            store_quad(c, 32 * h + 8 * (odd + 2) + 4 * s + j, hn::Or(high_nibbles(low.t[j]), high2));
          }
        }
      }
    }
  }
};
template <>
struct PackColumn<Format<DType::q2_k>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VDwords dd = load_dwords(c, 80);
    const VFloats d = f16_low(dd), dmin = hn::Neg(f16_high(dd));
    const auto nibble = hn::Set(Dwords(), 0x0f0f0f0fu);
    for (int v = 0; v < 4; ++v) {
      const VDwords both = load_dwords(c, 4 * v);
      const VDwords scales = hn::And(both, nibble), mins = hn::And(hn::ShiftRight<4>(both), nibble);
      unrolled<4>([&]<int I>() {
        store_scale(c, 4 * v + I, hn::Mul(d, byte_float<I>(scales)));
        store_min(c, 4 * v + I, hn::Mul(dmin, byte_float<I>(mins)));
      });
    }
    for (int h = 0; h < 2; ++h) {
      for (int s = 0; s < 2; ++s) {
        const Quads quads = load_quads(c, 16 + 32 * h + 16 * s);
        unrolled<4>([&]<int P>() {
          for (int j = 0; j < 4; ++j)
            store_quad(c, 32 * h + 8 * P + 4 * s + j, move_bits<2 * P, 0>(quads.t[j], 3));
        });
      }
    }
  }
};
template <>
struct PackColumn<Format<DType::q3_k>> {
  static HWY_INLINE void run(const BlockColumn& c) {
    const VFloats d = f16_high(load_dwords(c, 106));
    const VDwords s0 = load_dwords(c, 96), s1 = load_dwords(c, 100), s2 = load_dwords(c, 104);
    unrolled<4>([&]<int V>() {
      const VDwords source = V % 2 == 0 ? s0 : s1;
      const VDwords four =
          hn::And(V < 2 ? source : hn::ShiftRight<4>(source), hn::Set(Dwords(), 0x0f0f0f0fu));
      const VDwords two = hn::And(hn::ShiftRight<2 * V>(s2), hn::Set(Dwords(), 0x03030303u));
      const VDwords six = hn::Or(four, hn::ShiftLeft<4>(two));
      unrolled<4>([&]<int I>() {
        store_scale(c, 4 * V + I, hn::Mul(d, hn::Sub(byte_float<I>(six), hn::Set(Floats(), 32.0f))));
      });
    });
    for (int s = 0; s < 2; ++s) {
      const Quads mask = load_quads(c, 16 * s);
      unrolled<2>([&]<int H>() {
        const Quads quads = load_quads(c, 32 + 32 * H + 16 * s);
        unrolled<4>([&]<int P>() {
          for (int j = 0; j < 4; ++j) {
            const VBytes low = move_bits<2 * P, 0>(quads.t[j], 3),
                         high = move_bits<4 * H + P, 2>(mask.t[j], 4);
            store_quad(c, 32 * H + 8 * P + 4 * s + j, hn::Or(low, high));
          }
        });
      });
    }
  }
};

/// Block column `b` of 16 rows that lie `stride` bytes apart.
template <class F>
HWY_INLINE void pack_column(const uint8_t* row0, uint64_t stride, uint64_t b, uint8_t* q, float* scale,
                            float* min) {
  const auto offsets = hn::Mul(hn::Iota(Signed(), 0), hn::Set(Signed(), static_cast<int32_t>(stride)));
  for (int r = 0; r < 16; r += kVectorRows) {
    PackColumn<F>::run(
        {row0 + r * stride + b * sizeof(typename F::Block), stride, offsets, q + 4 * r, scale + r, min + r});
  }
}

}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // x86
#endif  // per-target include guard

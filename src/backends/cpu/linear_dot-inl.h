// Packed panels times int8 activations: integer dot products of 16 rows with the tokens of a tile.
// Three bodies with the same results: AVX-512 VNNI, AVX2 and portable loops (NEON, scalar, old x86).
// Per-target header: included once for every Highway target.
#if defined(TT_LINEAR_DOT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TT_LINEAR_DOT_INL_H
#undef TT_LINEAR_DOT_INL_H
#else
#define TT_LINEAR_DOT_INL_H
#endif

#include <cstdint>
#include <cstring>

#include "backends/cpu/linear_panel.h"
#include "backends/cpu/linear_unpack-inl.h"
#include "hwy/highway.h"

#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#include <immintrin.h>
#endif

#include "backends/cpu/linear_target-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {

/// The activations of one token, with sums at the format's granularity.
template <class F>
struct TokenView {
  const int8_t* q;
  const float* scale;
  const float* sum;     // per kGroup
  const int32_t* isum;  // per kGroup

  static HWY_INLINE TokenView at(const QuantizedRows& x, uint64_t k, uint64_t t) {
    if constexpr (F::kGroup == 32) {
      return {x.q + t * k, x.scale + t * (k / 32), x.sum32 + t * (k / 32), x.isum32 + t * (k / 32)};
    } else {
      return {x.q + t * k, x.scale + t * (k / 32), x.sum16 + t * (k / 16), x.isum16 + t * (k / 16)};
    }
  }
};

HWY_INLINE int32_t load_dword(const void* p) {
  int32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

#if HWY_TARGET == HWY_AVX3_DL

// dot_tile continues the sums in acc_io [Tokens, 16] over the groups [g0, g1); the panel begins at g0.

/// One group of one token: acc += (w . x) * scale (+ min * sum). w is the group's kGroup / 4 vectors.
template <class F>
HWY_INLINE __m512 dot_group(const __m512i* w, __m512 scale, __m512 min, const TokenView<F>& x, uint64_t group,
                            __m512 acc) {
  __m512i idot = _mm512_setzero_si512();
  if constexpr (!F::kHasMin) {
    const __m512i isum = _mm512_set1_epi32(x.isum[group]);
    idot = _mm512_sub_epi32(idot, _mm512_slli_epi32(isum, F::kShift));
  }
  const int8_t* q = x.q + group * F::kGroup;
  HWY_UNROLL(8)
  for (int j = 0; j < F::kGroup / 4; ++j) {
    idot = _mm512_dpbusd_epi32(idot, w[j], _mm512_set1_epi32(load_dword(q + 4 * j)));
  }
  const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x.scale[group * F::kGroup / 32]));
  acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(idot), both, acc);
  if constexpr (F::kHasMin) acc = _mm512_fmadd_ps(min, _mm512_set1_ps(x.sum[group]), acc);
  return acc;
}

template <class F, int Tokens>
HWY_INLINE void dot_tile(const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t,
                         uint64_t g0, uint64_t g1, float* acc_io) {
  TokenView<F> token[Tokens];
  __m512 acc[Tokens];
  for (int i = 0; i < Tokens; ++i) {
    token[i] = TokenView<F>::at(x, k, t + i);
    acc[i] = _mm512_loadu_ps(acc_io + 16 * i);
  }
  for (uint64_t g = g0; g < g1; ++g) {
    __m512i w[F::kGroup / 4];
    const uint8_t* q = panel.q + (g - g0) * F::kGroup * 16;
    HWY_UNROLL(8)
    for (int j = 0; j < F::kGroup / 4; ++j) w[j] = _mm512_loadu_si512(q + 64 * j);
    const __m512 scale = _mm512_loadu_ps(panel.scale + (g - g0) * 16);
    const __m512 min = F::kHasMin ? _mm512_loadu_ps(panel.min + (g - g0) * 16) : _mm512_setzero_ps();
    HWY_UNROLL(8)
    for (int i = 0; i < Tokens; ++i) acc[i] = dot_group<F>(w, scale, min, token[i], g, acc[i]);
  }
  for (int i = 0; i < Tokens; ++i) _mm512_storeu_ps(acc_io + 16 * i, acc[i]);
}
inline constexpr int kTokenTile = 8;

#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2

/// u * x for 8 rows x 4 numbers, as 16 sums of two.
template <class F>
HWY_INLINE __m256i pair_products(__m256i u, __m256i x) {
  if constexpr (F::kShift ==
                7) {  // u up to 255 would saturate; |w| * sign(x, w) cannot: 128 * 127 * 2 < 2^15
    const __m256i w = _mm256_xor_si256(u, _mm256_set1_epi8(static_cast<char>(0x80)));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  } else {
    return _mm256_maddubs_epi16(u, x);
  }
}

/// How many pair sums fit in 16 bits: they are added there before widening.
template <class F>
inline constexpr int kPairSums = F::kShift == 7 ? 1
                                                : (32767 / (F::kMaxU * 254) >= 8   ? 8
                                                   : 32767 / (F::kMaxU * 254) >= 4 ? 4
                                                                                   : 2);

/// The integer dot products of 8 rows over one group; w steps 64 bytes per 4 numbers.
template <class F>
HWY_INLINE __m256i dot_group(const uint8_t* w, const int8_t* q, __m256i idot) {
  constexpr int kQuads = F::kGroup / 4;
  constexpr int kRun = kPairSums<F> < kQuads ? kPairSums<F> : kQuads;
  HWY_UNROLL(8)
  for (int j = 0; j < kQuads; j += kRun) {
    __m256i pairs = _mm256_setzero_si256();
    HWY_UNROLL(8)
    for (int i = 0; i < kRun; ++i) {
      const __m256i x = _mm256_set1_epi32(load_dword(q + 4 * (j + i)));
      const __m256i u = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 64 * (j + i)));
      pairs = i == 0 ? pair_products<F>(u, x) : _mm256_add_epi16(pairs, pair_products<F>(u, x));
    }
    idot = _mm256_add_epi32(idot, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  return idot;
}

template <class F, int Tokens>
HWY_INLINE void dot_tile(const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t,
                         uint64_t g0, uint64_t g1, float* acc_io) {
  TokenView<F> token[Tokens];
  __m256 acc[Tokens][2];
  for (int i = 0; i < Tokens; ++i) {
    token[i] = TokenView<F>::at(x, k, t + i);
    acc[i][0] = _mm256_loadu_ps(acc_io + 16 * i);
    acc[i][1] = _mm256_loadu_ps(acc_io + 16 * i + 8);
  }
  for (uint64_t g = g0; g < g1; ++g) {
    const uint8_t* w = panel.q + (g - g0) * F::kGroup * 16;
    HWY_UNROLL(4)
    for (int i = 0; i < Tokens; ++i) {
      const int8_t* q = token[i].q + g * F::kGroup;
      __m256i start = _mm256_setzero_si256();
      // Signed products need no correction for the offset.
      if constexpr (!F::kHasMin && F::kShift != 7)
        start = _mm256_set1_epi32(-(token[i].isum[g] * (1 << F::kShift)));
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const __m256i idot = dot_group<F>(w + 32 * half, q, start);
        const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(panel.scale + (g - g0) * 16 + 8 * half),
                                           _mm256_set1_ps(token[i].scale[g * F::kGroup / 32]));
        acc[i][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(idot), scale, acc[i][half]);
        if constexpr (F::kHasMin) {
          acc[i][half] = _mm256_fmadd_ps(_mm256_loadu_ps(panel.min + (g - g0) * 16 + 8 * half),
                                         _mm256_set1_ps(token[i].sum[g]), acc[i][half]);
        }
      }
    }
  }
  for (int i = 0; i < Tokens; ++i) {
    _mm256_storeu_ps(acc_io + 16 * i, acc[i][0]);
    _mm256_storeu_ps(acc_io + 16 * i + 8, acc[i][1]);
  }
}
inline constexpr int kTokenTile = 4;

#else

template <class F, int Tokens>
HWY_INLINE void dot_tile(const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t,
                         uint64_t g0, uint64_t g1, float* acc_io) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  for (uint64_t g = g0; g < g1; ++g) {
    const uint8_t* w = panel.q + (g - g0) * F::kGroup * 16;
    for (int i = 0; i < Tokens; ++i) {
      const TokenView<F> token = TokenView<F>::at(x, k, t + i);
      const int8_t* q = token.q + g * F::kGroup;
      HWY_ALIGN int32_t idot[16];
      for (int r = 0; r < 16; ++r) idot[r] = F::kHasMin ? 0 : -(token.isum[g] * (1 << F::kShift));
      for (int j = 0; j < F::kGroup / 4; ++j) {
        for (int r = 0; r < 16; ++r) {
          for (int c = 0; c < 4; ++c) idot[r] += int32_t{w[j * 64 + r * 4 + c]} * int32_t{q[4 * j + c]};
        }
      }
      const auto x_scale = hn::Set(d, token.scale[g * F::kGroup / 32]);
      for (size_t r = 0; r < 16; r += lanes) {
        auto acc = hn::LoadU(d, acc_io + 16 * i + r);
        const auto value = hn::ConvertTo(d, hn::Load(hn::RebindToSigned<decltype(d)>(), idot + r));
        acc = hn::MulAdd(value, hn::Mul(hn::LoadU(d, panel.scale + (g - g0) * 16 + r), x_scale), acc);
        if (F::kHasMin)
          acc = hn::MulAdd(hn::LoadU(d, panel.min + (g - g0) * 16 + r), hn::Set(d, token.sum[g]), acc);
        hn::StoreU(acc, d, acc_io + 16 * i + r);
      }
    }
  }
}
inline constexpr int kTokenTile = 4;

#endif

template <class F>
void dot_format(const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t0, uint64_t t1,
                float* acc) {
  const uint64_t g1 = k / F::kGroup;
  std::memset(acc, 0, (t1 - t0) * 16 * sizeof(float));
  uint64_t t = t0;
  for (; t + kTokenTile <= t1; t += kTokenTile)
    dot_tile<F, kTokenTile>(panel, x, k, t, 0, g1, acc + (t - t0) * 16);
  if constexpr (kTokenTile > 4) {
    for (; t + 4 <= t1; t += 4) dot_tile<F, 4>(panel, x, k, t, 0, g1, acc + (t - t0) * 16);
  }
  for (; t < t1; ++t) dot_tile<F, 1>(panel, x, k, t, 0, g1, acc + (t - t0) * 16);
}

}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

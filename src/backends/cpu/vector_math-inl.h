// Vector building blocks shared by the CPU kernels: loads that widen to f32, exp, and sine with cosine.
// Included once per Highway target (see any kernel here). Polynomials are plain Taylor series on the reduced
// range, which at these lengths is already within one or two units of the last f32 place.
#if defined(TATTLETALE_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TATTLETALE_VECTOR_MATH_INL_H_
#undef TATTLETALE_VECTOR_MATH_INL_H_
#else
#define TATTLETALE_VECTOR_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "tensor/float16.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Storage types of 16-bit numbers, distinct so that loads overload on them.
struct F16Bits {
  uint16_t bits;
};
struct Bf16Bits {
  uint16_t bits;
};

/// Lanes(df) numbers from any address, widened to f32 exactly.
template <class DF>
HWY_INLINE hn::Vec<DF> load_f32(DF df, const float* p) {
  return hn::LoadU(df, p);
}
template <class DF>
HWY_INLINE hn::Vec<DF> load_f32(DF df, const F16Bits* p) {
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(df, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
}
template <class DF>
HWY_INLINE hn::Vec<DF> load_f32(DF df, const Bf16Bits* p) {
  const hn::Rebind<uint16_t, DF> d16;
  const hn::RebindToUnsigned<DF> d32;
  return hn::BitCast(
      df, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p)))));
}

/// Rounds f32 to the storage type, to nearest even, bit for bit as tensor/float16.h does for numbers.
template <class DF>
HWY_INLINE void store_f32(DF df, hn::Vec<DF> v, float* p) {
  hn::StoreU(v, df, p);
}
template <class DF>
HWY_INLINE void store_f32(DF df, hn::Vec<DF> v, F16Bits* p) {
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  // Highway's portable conversion cuts the last bits off instead of rounding.
  float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::StoreU(v, df, lanes);
  for (size_t i = 0; i < hn::Lanes(df); ++i) p[i].bits = f32_to_f16(lanes[i]);
#else
  const hn::Rebind<hwy::float16_t, DF> d16;
  static_cast<void>(df);
  hn::StoreU(hn::DemoteTo(d16, v), d16, reinterpret_cast<hwy::float16_t*>(p));
#endif
}
template <class DF>
HWY_INLINE void store_f32(DF df, hn::Vec<DF> v, Bf16Bits* p) {
  const hn::RebindToUnsigned<DF> d32;
  const hn::Rebind<uint16_t, DF> d16;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fffu))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40u));
  const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
  const auto result = hn::IfThenElse(is_nan, quiet, rounded);
  static_cast<void>(df);
  hn::StoreU(hn::TruncateTo(d16, result), d16, reinterpret_cast<uint16_t*>(p));
}

/// e^x for x <= 0, relative error below 2e-7; exactly 1 at 0 and exactly 0 below -87.
/// x = k ln 2 + r with |r| <= ln 2 / 2, then 2^k * exp(r).
template <class DF>
HWY_INLINE hn::Vec<DF> exp_nonpositive(DF df, hn::Vec<DF> x) {
  const hn::RebindToSigned<DF> di;
  const auto lowest = hn::Set(df, -87.0f);
  const auto clamped = hn::Max(x, lowest);
  const auto k = hn::Round(hn::Mul(clamped, hn::Set(df, 1.44269504088896341f)));
  auto r =
      hn::NegMulAdd(k, hn::Set(df, 0.693145751953125f), clamped);  // ln 2 in two parts: the first is exact
  r = hn::NegMulAdd(k, hn::Set(df, 1.42860682030941723e-6f), r);
  auto sum = hn::Set(df, 1.0f / 720);
  sum = hn::MulAdd(sum, r, hn::Set(df, 1.0f / 120));
  sum = hn::MulAdd(sum, r, hn::Set(df, 1.0f / 24));
  sum = hn::MulAdd(sum, r, hn::Set(df, 1.0f / 6));
  sum = hn::MulAdd(sum, r, hn::Set(df, 0.5f));
  sum = hn::MulAdd(sum, r, hn::Set(df, 1.0f));
  sum = hn::MulAdd(sum, r, hn::Set(df, 1.0f));
  const auto scale = hn::BitCast(df, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, k), hn::Set(di, 127))));
  return hn::IfThenElseZero(hn::Ge(x, lowest), hn::Mul(sum, scale));
}

/// sin and cos of position * inv_freq for Lanes(dd) pairs. The angle is reduced in f64, so positions up to
/// 2^24 keep an absolute error near 1e-7; the polynomials run in f32.
template <class DD, class DF>
HWY_INLINE void sin_cos_of_angles(DD dd, DF df, double position, hn::Vec<DF> inv_freq, hn::Vec<DF>& sine,
                                  hn::Vec<DF>& cosine) {
  const hn::RebindToSigned<DF> di;
  const auto angle = hn::Mul(hn::PromoteTo(dd, inv_freq), hn::Set(dd, position));
  const auto quarter_turns = hn::Round(hn::Mul(angle, hn::Set(dd, 0.63661977236758134308)));
  // The quadrant is wanted modulo 4 and fits i32: 2^32 positions at one radian each are 2.7e9 quarter turns,
  // so whole multiples of 2^20 turns are taken off first.
  const auto coarse = hn::Mul(hn::Floor(hn::Mul(quarter_turns, hn::Set(dd, 0x1p-22))), hn::Set(dd, 0x1p22));
  const auto quadrant = hn::DemoteTo(di, hn::Sub(quarter_turns, coarse));
  auto reduced = hn::NegMulAdd(quarter_turns, hn::Set(dd, 1.57079632679489655800), angle);
  reduced = hn::NegMulAdd(quarter_turns, hn::Set(dd, 6.12323399573676603587e-17), reduced);
  const auto r = hn::DemoteTo(df, reduced);
  const auto r2 = hn::Mul(r, r);
  auto s = hn::Set(df, 1.0f / 362880);
  s = hn::MulAdd(s, r2, hn::Set(df, -1.0f / 5040));
  s = hn::MulAdd(s, r2, hn::Set(df, 1.0f / 120));
  s = hn::MulAdd(s, r2, hn::Set(df, -1.0f / 6));
  s = hn::MulAdd(hn::Mul(s, r2), r, r);
  auto c = hn::Set(df, 1.0f / 40320);
  c = hn::MulAdd(c, r2, hn::Set(df, -1.0f / 720));
  c = hn::MulAdd(c, r2, hn::Set(df, 1.0f / 24));
  c = hn::MulAdd(c, r2, hn::Set(df, -0.5f));
  c = hn::MulAdd(c, r2, hn::Set(df, 1.0f));
  const auto one = hn::Set(di, 1);
  const auto two = hn::Set(di, 2);
  const auto swap = hn::RebindMask(df, hn::Eq(hn::And(quadrant, one), one));
  const auto sin_sign = hn::BitCast(df, hn::ShiftLeft<30>(hn::And(quadrant, two)));
  const auto cos_sign = hn::BitCast(df, hn::ShiftLeft<30>(hn::And(hn::Add(quadrant, one), two)));
  sine = hn::Xor(hn::IfThenElse(swap, c, s), sin_sign);
  cosine = hn::Xor(hn::IfThenElse(swap, s, c), cos_sign);
}

}  // namespace HWY_NAMESPACE
}  // namespace tattletale::cpu
HWY_AFTER_NAMESPACE();

#endif

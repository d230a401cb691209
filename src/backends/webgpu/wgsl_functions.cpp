#include "backends/webgpu/wgsl_functions.h"

namespace tattletale::webgpu {
namespace {

struct Text {
  uint32_t mask;  // written when any of these is wanted
  std::string_view text;
};

constexpr uint32_t bit(WgslFunction function) {
  return static_cast<uint32_t>(function);
}

constexpr Text kTexts[] = {
    {bit(WgslFunction::mul_hi), R"(
fn mul_hi(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let low = al * bl;
  let middle = ah * bl + (low >> 16u);
  let other = al * bh + (middle & 0xffffu);
  return ah * bh + (middle >> 16u) + (other >> 16u);
}
)"},
    {bit(WgslFunction::dot4_i8), R"(
fn dot4_i8(a: u32, b: u32) -> i32 {
  let x = vec4<i32>(bitcast<vec4<i32>>(vec4<u32>(a << 24u, a << 16u, a << 8u, a)) >> vec4<u32>(24u));
  let y = vec4<i32>(bitcast<vec4<i32>>(vec4<u32>(b << 24u, b << 16u, b << 8u, b)) >> vec4<u32>(24u));
  return dot(x, y);
}
)"},
    // The rounding of pack2x16float is the implementation's choice, so the bits are made by hand. A number
    // below 2^-14 becomes a multiple of 2^-24: its significand is shifted down and rounded the same way.
    {bit(WgslFunction::pack_half), R"(
fn pack_half(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  let normal = (size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u;
  let shift = clamp(126u - (size >> 23u), 14u, 25u);
  let significand = (size & 0x7fffffu) | 0x800000u;
  let small = (significand + ((1u << (shift - 1u)) - 1u) + ((significand >> shift) & 1u)) >> shift;
  var half = select(small, normal, size >= 0x38800000u);
  half = select(half, 0u, size < 0x33000000u);
  half = select(half, 0x7c00u, size >= 0x477ff000u);
  half = select(half, 0x7e00u, size > 0x7f800000u);
  return sign | half;
}
)"},
    // Some implementations flush subnormal halves to zero in unpack2x16float; quantization scales are such.
    {bit(WgslFunction::unpack_half), R"(
fn unpack_half(word: u32) -> f32 {
  let magnitude = word & 0x7fffu;
  let sign = (word & 0x8000u) << 16u;
  let exponent = magnitude >> 10u;
  let bias = select(0x38000000u, 0x70000000u, exponent == 31u);
  let small = bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8f);
  return bitcast<f32>(sign | select((magnitude << 13u) + bias, small, exponent == 0u));
}
)"},
    {bit(WgslFunction::pack_bfloat), R"(
fn pack_bfloat(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, (bits >> 16u) | 0x40u, (bits & 0x7fffffffu) > 0x7f800000u);
}
)"},
    // WGSL promises sin and cos only to 2^-11. Quarter turns are taken off in three steps, then a polynomial
    // on [-pi/4, pi/4] is good to about 2^-24.
    {bit(WgslFunction::exact_sin) | bit(WgslFunction::exact_cos), R"(
fn quarter_sin(r: f32) -> f32 {
  let z = r * r;
  return fma(r * z, fma(z, fma(z, -0.00019510867f, 0.0083321314f), -0.16666654f), r);
}
fn quarter_cos(r: f32) -> f32 {
  let z = r * r;
  return fma(z * z, fma(z, fma(z, 2.4431236e-5f, -0.0013887306f), 0.041666646f), fma(z, -0.5f, 1f));
}
fn without_quarters(x: f32, quarters: f32) -> f32 {
  return fma(quarters, -7.5497894e-8f, fma(quarters, -1.5707962512969971f, x));
}
)"},
    {bit(WgslFunction::exact_sin), R"(
fn exact_sin(x: f32) -> f32 {
  let quarters = round(x * 0.63661975f);
  let r = without_quarters(x, quarters);
  let turn = i32(quarters) & 3i;
  let size = select(quarter_sin(r), quarter_cos(r), (turn & 1i) == 1i);
  return select(size, -size, turn >= 2i);
}
)"},
    {bit(WgslFunction::exact_cos), R"(
fn exact_cos(x: f32) -> f32 {
  let quarters = round(x * 0.63661975f);
  let r = without_quarters(x, quarters);
  let turn = i32(quarters) & 3i;
  let size = select(quarter_cos(r), quarter_sin(r), (turn & 1i) == 1i);
  return select(size, -size, turn == 1i || turn == 2i);
}
)"},
    // Near zero a polynomial keeps the relative error; elsewhere 1 - 2 / (e^2x + 1), with the exponent held
    // below overflow (tanh is 1 in f32 from 9.02 on).
    {bit(WgslFunction::exact_tanh), R"(
fn exact_tanh(x: f32) -> f32 {
  let size = min(abs(x), 10f);
  let z = size * size;
  let p = fma(z, fma(z, fma(z, fma(z, -0.0056700907f, 0.020610116f), -0.053731635f), 0.13331357f), -0.33333281f);
  let small = fma(size * z, p, size);
  let large = 1f - 2f / (exp2(size * 2.8853901f) + 1f);
  let value = select(large, small, size < 0.6f);
  return select(value, -value, x < 0f);
}
)"},
    // WGSL allows exp2 an error that grows with |x|. The fraction's power is good everywhere; whole powers of
    // two are exact products. Two factors reach the ends of the range without overflow on the way.
    {bit(WgslFunction::scaled_exp2), R"(
fn scaled_exp2(x: f32) -> f32 {
  let held = clamp(x, -150f, 129f);
  let whole = round(held);
  let first = i32(whole) >> 1u;
  let second = i32(whole) - first;
  return exp2(held - whole) * bitcast<f32>((first + 127i) << 23u) * bitcast<f32>((second + 127i) << 23u);
}
)"},
};

}  // namespace

std::string wgsl_functions(uint32_t set) {
  std::string out;
  for (const Text& text : kTexts) {
    if ((text.mask & set) != 0) out += text.text;
  }
  return out;
}

}  // namespace tattletale::webgpu

// Mathematical functions. Vulkan leaves sin, cos and tanh far below the IR's precision (2^-11 absolute for
// sin), and log2 has no relative precision near 1, so those are built from arithmetic here; the polynomials
// interpolate the functions at Chebyshev nodes and are good to 2^-24 of their results.
#include <numbers>

#include "backends/vulkan/spirv_kernel_writer.h"

namespace tattletale::spirv {

using ir::Op;

namespace {

constexpr float kSin[] = {1.0f, -0.16666658f, 0.0083330497f, -0.00019809017f,
                          2.6051077e-6f};  // sin x / x, x^2
constexpr float kTanh[] = {-0.33333328f, 0.13332583f, -0.053823758f, 0.020873461f,
                           -0.0059237261f};  // (tanh x / x - 1) / x^2, in x^2, |x| <= 0.65
constexpr float kLog2[] = {2.8853900f, 0.96179885f, 0.57671517f,
                           0.43171769f};  // log2((1 + s) / (1 - s)) / s, in s^2

constexpr float kPi = std::numbers::pi_v<float>;

}  // namespace

Id KernelWriter::polynomial(Id x, std::span<const float> coefficients) {
  Id sum = cf(coefficients.back());
  for (size_t i = coefficients.size() - 1; i-- > 0;)
    sum = glsl(Glsl::fma, f32_, {sum, x, cf(coefficients[i])});
  return sum;
}

std::optional<Id> KernelWriter::write_math(const ir::Instruction& in) {
  switch (in.op) {
    case Op::sqrt: return glsl(Glsl::sqrt, f32_, {operand(in, 0)});
    case Op::rsqrt: return glsl(Glsl::inverse_sqrt, f32_, {operand(in, 0)});
    case Op::floor: return glsl(Glsl::floor, f32_, {operand(in, 0)});
    case Op::exp2: return glsl(Glsl::exp2, f32_, {operand(in, 0)});
    case Op::log2: return write_log2(operand(in, 0));
    case Op::sin: return write_sin(operand(in, 0), false);
    case Op::cos: return write_sin(operand(in, 0), true);
    case Op::tanh: return write_tanh(operand(in, 0));
    default: return std::nullopt;
  }
}

/// log2 x = e + log2 m, m in [sqrt(1/2), sqrt(2)), by s = (m - 1) / (m + 1). Zero, infinity, NaN, subnormal
/// and negative numbers are left to the driver.
Id KernelWriter::write_log2(Id x) {
  const Id bits = bits_of(x);
  const Id above = module_.value(SpvOp::bitcast, i32_, {u(SpvOp::i_sub, {bits, cu(0x3f3504f3)})});
  const Id exponent = module_.value(SpvOp::shift_right_arithmetic, i32_, {above, cu(23)});
  const Id shifted = module_.value(SpvOp::shift_left_logical, i32_, {exponent, cu(23)});
  const Id mantissa = float_of(u(SpvOp::i_sub, {bits, u(SpvOp::bitcast, {shifted})}));
  const Id below_one = f(SpvOp::f_sub, {mantissa, cf(1.0f)});
  const Id s = f(SpvOp::f_div, {below_one, f(SpvOp::f_add, {mantissa, cf(1.0f)})});
  const Id factor = polynomial(f(SpvOp::f_mul, {s, s}), kLog2);
  const Id result = glsl(Glsl::fma, f32_, {s, factor, f(SpvOp::convert_s_to_f, {exponent})});
  const Id from_normal = u(SpvOp::i_sub, {bits, cu(0x00800000)});
  const Id normal = b(SpvOp::u_less_than, {from_normal, cu(0x7f000000)});
  return f(SpvOp::select, {normal, result, glsl(Glsl::log2, f32_, {x})});
}

/// |x| <= pi: sin x = sign x * sin(min(|x|, pi - |x|)), cos x = sin(pi / 2 - |x|).
Id KernelWriter::write_sin(Id x, bool cosine) {
  const Id magnitude = glsl(Glsl::f_abs, f32_, {x});
  Id folded;
  if (cosine) {
    folded = f(SpvOp::f_sub, {cf(kPi / 2), magnitude});
  } else {
    folded = glsl(Glsl::f_min, f32_, {magnitude, f(SpvOp::f_sub, {cf(kPi), magnitude})});
  }
  const Id square = f(SpvOp::f_mul, {folded, folded});
  const Id result = f(SpvOp::f_mul, {folded, polynomial(square, kSin)});
  if (cosine) return result;
  const Id negative = b(SpvOp::f_ord_less_than, {x, cf(0.0f)});
  return f(SpvOp::select, {negative, f(SpvOp::f_negate, {result}), result});
}

/// A polynomial up to 0.65, where 1 - 2 / (e^2x + 1) would cancel.
Id KernelWriter::write_tanh(Id x) {
  const Id magnitude = glsl(Glsl::f_abs, f32_, {x});
  const Id far = b(SpvOp::f_ord_greater_than, {magnitude, cf(10.0f)});
  const Id t = f(SpvOp::select, {far, cf(10.0f), magnitude});
  const Id power = glsl(Glsl::exp2, f32_, {f(SpvOp::f_mul, {t, cf(2 * std::numbers::log2e_v<float>)})});
  const Id part = f(SpvOp::f_div, {cf(2.0f), f(SpvOp::f_add, {power, cf(1.0f)})});
  const Id wide = f(SpvOp::f_sub, {cf(1.0f), part});
  const Id negative = b(SpvOp::f_ord_less_than, {x, cf(0.0f)});
  const Id signed_wide = f(SpvOp::select, {negative, f(SpvOp::f_negate, {wide}), wide});
  const Id square = f(SpvOp::f_mul, {x, x});
  const Id factor = f(SpvOp::f_mul, {square, polynomial(square, kTanh)});
  const Id narrow = glsl(Glsl::fma, f32_, {x, factor, x});
  const Id near = b(SpvOp::f_ord_less_than, {magnitude, cf(0.65f)});
  return f(SpvOp::select, {near, narrow, signed_wide});
}

}  // namespace tattletale::spirv

#include "compiler/evaluate.h"

#include <bit>
#include <cmath>

namespace tattletale::compiler {
namespace {

using ir::Op;
using Bits = std::optional<uint32_t>;

Bits of_bool(bool value) {
  return value ? 1u : 0u;
}

template <class T>
Bits compare(Op op, T a, T b) {
  switch (op) {
    case Op::eq: return of_bool(a == b);
    case Op::ne: return of_bool(a != b);
    case Op::lt: return of_bool(a < b);
    case Op::le: return of_bool(a <= b);
    case Op::gt: return of_bool(a > b);
    case Op::ge: return of_bool(a >= b);
    default: return std::nullopt;
  }
}

Bits evaluate_bool(Op op, uint32_t a, uint32_t b) {
  switch (op) {
    case Op::bit_and: return a & b;
    case Op::bit_or: return a | b;
    case Op::bit_xor: return a ^ b;
    case Op::bit_not: return a ^ 1u;
    default: return compare(op, a, b);
  }
}

int32_t sign_extend_byte(uint32_t word, uint32_t byte) {
  return static_cast<int8_t>(word >> (8 * byte));
}

/// Operations whose bits do not depend on the sign, then those of u32.
Bits evaluate_u32(Op op, const std::array<uint32_t, 4>& x) {
  const uint32_t a = x[0], b = x[1];
  switch (op) {
    case Op::add: return a + b;
    case Op::sub: return a - b;
    case Op::mul: return a * b;
    case Op::bit_and: return a & b;
    case Op::bit_or: return a | b;
    case Op::bit_xor: return a ^ b;
    case Op::bit_not: return ~a;
    case Op::shl: return b < 32 ? Bits(a << b) : std::nullopt;
    case Op::shr: return b < 32 ? Bits(a >> b) : std::nullopt;
    case Op::div: return b != 0 ? Bits(a / b) : std::nullopt;
    case Op::rem: return b != 0 ? Bits(a % b) : std::nullopt;
    case Op::mul_hi: return static_cast<uint32_t>(uint64_t{a} * b >> 32);
    case Op::min: return a < b ? a : b;
    case Op::max: return a > b ? a : b;
    case Op::popcount: return static_cast<uint32_t>(std::popcount(a));
    case Op::funnel_shr:
      return x[2] < 32 ? Bits(static_cast<uint32_t>((uint64_t{a} << 32 | b) >> x[2])) : std::nullopt;
    case Op::dot4_i8: {
      uint32_t sum = x[2];
      for (uint32_t i = 0; i < 4; ++i) {
        sum += static_cast<uint32_t>(sign_extend_byte(a, i) * sign_extend_byte(b, i));
      }
      return sum;
    }
    case Op::to_u32:
    case Op::to_i32: return a;
    default: return compare(op, a, b);
  }
}

Bits evaluate_i32(Op op, const std::array<uint32_t, 4>& x) {
  const int32_t a = static_cast<int32_t>(x[0]), b = static_cast<int32_t>(x[1]);
  switch (op) {
    case Op::shr: return x[1] < 32 ? Bits(static_cast<uint32_t>(a >> x[1])) : std::nullopt;
    case Op::min: return a < b ? x[0] : x[1];
    case Op::max: return a > b ? x[0] : x[1];
    case Op::neg: return 0u - x[0];
    case Op::abs: return a < 0 ? 0u - x[0] : x[0];
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge: return compare(op, a, b);
    case Op::div:
    case Op::rem:
    case Op::mul_hi: return std::nullopt;
    default: return evaluate_u32(op, x);
  }
}

Bits plain(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return is_plain_float(bits) ? Bits(bits) : std::nullopt;
}

/// [-2^31, 2^31) and [0, 2^32) hold exactly the floats whose truncation is representable.
Bits truncate(Op op, float a) {
  if (op == Op::to_i32) {
    if (!(a >= -0x1p31f && a < 0x1p31f)) return std::nullopt;
    return static_cast<uint32_t>(static_cast<int32_t>(a));
  }
  if (!(a > -1.0f && a < 0x1p32f)) return std::nullopt;
  return static_cast<uint32_t>(a);
}

Bits evaluate_f32(Op op, const std::array<uint32_t, 4>& x) {
  const float a = std::bit_cast<float>(x[0]), b = std::bit_cast<float>(x[1]), c = std::bit_cast<float>(x[2]);
  switch (op) {
    case Op::add: return plain(a + b);
    case Op::sub: return plain(a - b);
    case Op::mul: return plain(a * b);
    case Op::div: return plain(a / b);
    case Op::fma: return plain(std::fma(a, b, c));
    case Op::min:
    case Op::max:  // of two zeros either may be returned
      if (a == b && x[0] != x[1]) return std::nullopt;
      return (op == Op::min) == (a < b) ? x[0] : x[1];
    case Op::neg: return plain(-a);
    case Op::abs: return plain(std::fabs(a));
    case Op::floor: return plain(std::floor(a));
    case Op::to_i32:
    case Op::to_u32: return truncate(op, a);
    default: return compare(op, a, b);
  }
}

}  // namespace

bool is_plain_float(uint32_t bits) {
  const uint32_t exponent = bits >> 23 & 0xff;
  return (bits & 0x7fffffff) == 0 || (exponent != 0 && exponent != 0xff);
}

Bits evaluate(const ir::Instruction& in, ir::Type operand_type, const std::array<uint32_t, 4>& x) {
  const bool is_float = operand_type == ir::kF32;
  if (in.op == Op::select) return x[0] != 0 ? x[1] : x[2];
  for (uint32_t i = 0; is_float && i < in.num_operands; ++i) {
    if (!is_plain_float(x[i])) return std::nullopt;
  }
  if (in.op == Op::bitcast) return in.type != ir::kF32 || is_plain_float(x[0]) ? Bits(x[0]) : std::nullopt;
  if (in.op == Op::to_f32) {
    return std::bit_cast<uint32_t>(operand_type == ir::kI32 ? static_cast<float>(static_cast<int32_t>(x[0]))
                                                            : static_cast<float>(x[0]));
  }
  switch (operand_type.scalar) {
    case ir::Scalar::boolean: return evaluate_bool(in.op, x[0], x[1]);
    case ir::Scalar::u32: return evaluate_u32(in.op, x);
    case ir::Scalar::i32: return evaluate_i32(in.op, x);
    case ir::Scalar::f32: return evaluate_f32(in.op, x);
    default: return std::nullopt;
  }
}

}  // namespace tattletale::compiler

// Identities of i32, u32 and boolean operations. All of them hold modulo 2^32, so wrapping does not matter.
// Constants move outwards through sums, products and shifts: addresses of unrolled copies then differ in one
// constant, which cse and vectorise_memory look for.
#include <bit>

#include "compiler/divide_by_constant.h"
#include "compiler/passes/folder.h"

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::Value;

namespace {

std::optional<Op> opposite(Op op) {
  switch (op) {
    case Op::eq: return Op::ne;
    case Op::ne: return Op::eq;
    case Op::lt: return Op::ge;
    case Op::ge: return Op::lt;
    case Op::gt: return Op::le;
    case Op::le: return Op::gt;
    default: return std::nullopt;
  }
}

}  // namespace

Folder::Simpler Folder::simplify_bool(const Instruction& in) {
  const Value a = in.operands[0];
  if (in.op == Op::bit_not) {
    const Instruction inner = kernel_.at(a);
    if (inner.op == Op::bit_not) return inner.operands[0];
    // Not for floats: a NaN makes both a comparison and its opposite false.
    const auto op = inner.num_operands > 0 && kernel_.at(inner.operands[0]).type != ir::kF32
                        ? opposite(inner.op)
                        : std::nullopt;
    return op ? Simpler(make(*op, ir::kBool, {inner.operands[0], inner.operands[1]})) : std::nullopt;
  }
  if (in.num_operands != 2) return std::nullopt;
  const Value b = in.operands[1];
  const auto known = bits_of(b);
  const auto inverted = [&] { return make(Op::bit_not, ir::kBool, {a}); };
  switch (in.op) {
    case Op::bit_and: return a == b || known == 1u ? Simpler(a) : known == 0u ? Simpler(b) : std::nullopt;
    case Op::bit_or: return a == b || known == 0u ? Simpler(a) : known == 1u ? Simpler(b) : std::nullopt;
    case Op::bit_xor:
    case Op::ne:
      if (a == b) return constant(ir::kBool, 0);
      return known == 0u ? Simpler(a) : known == 1u ? Simpler(inverted()) : std::nullopt;
    case Op::eq:
      if (a == b) return constant(ir::kBool, 1);
      return known == 1u ? Simpler(a) : known == 0u ? Simpler(inverted()) : std::nullopt;
    default: return std::nullopt;
  }
}

Folder::Simpler Folder::simplify_integer(const Instruction& in) {
  const Value a = in.operands[0];
  const bool is_unsigned = in.type == ir::kU32;
  switch (in.op) {
    case Op::add:
    case Op::sub: return simplify_sum(in);
    case Op::mul: return simplify_product(in);
    case Op::div:
    case Op::rem: return simplify_division(in);
    case Op::mul_hi: return is(in.operands[1], 0) || is(in.operands[1], 1) ? Simpler(u32(0)) : std::nullopt;
    case Op::min:
      if (a == in.operands[1] || (is_unsigned && is(in.operands[1], UINT32_MAX))) return a;
      return is_unsigned && is(in.operands[1], 0) ? Simpler(in.operands[1]) : std::nullopt;
    case Op::max:
      if (a == in.operands[1] || (is_unsigned && is(in.operands[1], 0))) return a;
      return is_unsigned && is(in.operands[1], UINT32_MAX) ? Simpler(in.operands[1]) : std::nullopt;
    case Op::neg: return kernel_.at(a).op == Op::neg ? Simpler(kernel_.at(a).operands[0]) : std::nullopt;
    case Op::abs: return kernel_.at(a).op == Op::abs ? Simpler(a) : std::nullopt;
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::bit_not: return simplify_bits(in);
    case Op::shl:
    case Op::shr: return simplify_shift(in);
    case Op::funnel_shr:
      if (is(in.operands[2], 0)) return in.operands[1];
      if (bits_of(in.operands[2]).value_or(0) >= 32) return u32(0);
      if (is(a, 0)) return make(Op::shr, ir::kU32, {in.operands[1], in.operands[2]});
      return std::nullopt;
    case Op::to_u32:
    case Op::to_i32: {
      if (kernel_.at(a).type == in.type) return a;
      const Instruction& inner = kernel_.at(a);
      const bool same_bits =
          (inner.op == Op::to_i32 || inner.op == Op::to_u32) && kernel_.at(inner.operands[0]).type == in.type;
      return same_bits ? Simpler(inner.operands[0]) : std::nullopt;
    }
    default: return simplify_comparison(in);
  }
}

Folder::Simpler Folder::simplify_sum(const Instruction& in) {
  const Value a = in.operands[0], b = in.operands[1];
  const auto known = bits_of(b);
  if (known == 0u) return a;
  if (in.op == Op::sub) {
    if (a == b) return constant(in.type, 0);
    if (known) return make(Op::add, in.type, {a, constant(in.type, 0u - *known)});
    const Instruction sum = kernel_.at(a);
    if (sum.op == Op::add && sum.operands[0] == b) return sum.operands[1];
    if (sum.op == Op::add && sum.operands[1] == b) return sum.operands[0];
    return std::nullopt;
  }
  if (const auto inner = right_constant(a, Op::add)) {
    const Value x = kernel_.at(a).operands[0];
    if (known) return make(Op::add, in.type, {x, constant(in.type, *inner + *known)});
    return make(Op::add, in.type, {make(Op::add, in.type, {x, b}), constant(in.type, *inner)});
  }
  if (const auto inner = right_constant(b, Op::add)) {
    const Value y = kernel_.at(b).operands[0];
    return make(Op::add, in.type, {make(Op::add, in.type, {a, y}), constant(in.type, *inner)});
  }
  return std::nullopt;
}

Folder::Simpler Folder::simplify_product(const Instruction& in) {
  const Value a = in.operands[0];
  const auto factor = bits_of(in.operands[1]);
  if (!factor) return std::nullopt;
  if (*factor == 0) return in.operands[1];
  if (*factor == 1) return a;
  const Value inner = kernel_.at(a).num_operands > 0 ? kernel_.at(a).operands[0] : Value{};
  if (const auto c = right_constant(a, Op::mul)) {
    return make(Op::mul, in.type, {inner, constant(in.type, *c * *factor)});
  }
  if (const auto c = right_constant(a, Op::shl); c && *c < 32) {
    return make(Op::mul, in.type, {inner, constant(in.type, *factor << *c)});
  }
  if (const auto c = right_constant(a, Op::add)) {
    const Value scaled = make(Op::mul, in.type, {inner, in.operands[1]});
    return make(Op::add, in.type, {scaled, constant(in.type, *c * *factor)});
  }
  if (std::has_single_bit(*factor)) {
    return make(Op::shl, in.type, {a, u32(static_cast<uint32_t>(std::countr_zero(*factor)))});
  }
  return std::nullopt;
}

Value Folder::divide(Value value, uint32_t divisor) {
  const Reciprocal by = reciprocal_of(divisor);
  const Value shifted = make(Op::shr, ir::kU32, {value, u32(by.pre_shift)});
  Value quotient = make(Op::mul_hi, ir::kU32, {shifted, u32(by.multiplier)});
  if (by.add) {
    const Value difference = make(Op::sub, ir::kU32, {value, quotient});
    quotient = make(Op::add, ir::kU32, {make(Op::shr, ir::kU32, {difference, u32(1)}), quotient});
  }
  return make(Op::shr, ir::kU32, {quotient, u32(by.post_shift)});
}

Folder::Simpler Folder::simplify_division(const Instruction& in) {
  const Value a = in.operands[0];
  const auto divisor = bits_of(in.operands[1]);
  if (in.type != ir::kU32 || !divisor) return std::nullopt;
  if (*divisor == 0) return in.operands[1];  // undefined; verify() refuses it in code that may be dead
  if (std::has_single_bit(*divisor)) {
    const uint32_t log = static_cast<uint32_t>(std::countr_zero(*divisor));
    if (in.op == Op::div) return make(Op::shr, ir::kU32, {a, u32(log)});
    return make(Op::bit_and, ir::kU32, {a, u32(*divisor - 1)});
  }
  if (!context_.target.mul_hi) return std::nullopt;
  const Value quotient = divide(a, *divisor);
  if (in.op == Op::div) return quotient;
  const Value multiple = make(Op::mul, ir::kU32, {quotient, u32(*divisor)});
  return make(Op::sub, ir::kU32, {a, multiple});
}

Folder::Simpler Folder::simplify_bits(const Instruction& in) {
  const Value a = in.operands[0];
  if (in.op == Op::bit_not) {
    return kernel_.at(a).op == Op::bit_not ? Simpler(kernel_.at(a).operands[0]) : std::nullopt;
  }
  const Value b = in.operands[1];
  if (a == b) return in.op == Op::bit_xor ? constant(in.type, 0) : a;
  const auto known = bits_of(b);
  if (!known) return std::nullopt;
  if (*known == 0) return in.op == Op::bit_and ? b : a;
  if (*known == UINT32_MAX) {
    if (in.op == Op::bit_xor) return make(Op::bit_not, in.type, {a});
    return in.op == Op::bit_and ? a : b;
  }
  const auto inner = right_constant(a, in.op);
  if (!inner) return std::nullopt;
  const uint32_t both = in.op == Op::bit_and  ? *inner & *known
                        : in.op == Op::bit_or ? *inner | *known
                                              : *inner ^ *known;
  return make(in.op, in.type, {kernel_.at(a).operands[0], constant(in.type, both)});
}

Folder::Simpler Folder::simplify_shift(const Instruction& in) {
  const Value a = in.operands[0];
  const auto count = bits_of(in.operands[1]);
  if (!count) return std::nullopt;
  if (*count >= 32) return constant(in.type, 0);  // as for division by 0
  if (*count == 0) return a;
  const Value inner = kernel_.at(a).num_operands > 0 ? kernel_.at(a).operands[0] : Value{};
  const bool is_unsigned = in.type == ir::kU32;
  if (const auto c = right_constant(a, in.op); c && *c < 32) {
    const uint32_t sum = *c + *count;
    if (sum < 32) return make(in.op, in.type, {inner, u32(sum)});
    if (in.op == Op::shl || is_unsigned) return constant(in.type, 0);
    return make(in.op, in.type, {inner, u32(31)});
  }
  if (is_unsigned && in.op == Op::shr && right_constant(a, Op::shl) == count) {
    return make(Op::bit_and, in.type, {inner, u32(UINT32_MAX >> *count)});
  }
  if (in.op == Op::shl && right_constant(a, Op::shr) == count) {
    return make(Op::bit_and, in.type, {inner, constant(in.type, UINT32_MAX << *count)});
  }
  if (in.op == Op::shl) {
    if (const auto c = right_constant(a, Op::add)) {
      const Value shifted = make(Op::shl, in.type, {inner, in.operands[1]});
      return make(Op::add, in.type, {shifted, constant(in.type, *c << *count)});
    }
    if (const auto c = right_constant(a, Op::mul)) {
      return make(Op::mul, in.type, {inner, constant(in.type, *c << *count)});
    }
  }
  return std::nullopt;
}

Folder::Simpler Folder::simplify_comparison(const Instruction& in) {
  const bool compares = opposite(in.op).has_value();
  if (!compares || in.operands[0] != in.operands[1]) return std::nullopt;
  return constant(ir::kBool, in.op == Op::eq || in.op == Op::le || in.op == Op::ge);
}

}  // namespace tattletale::compiler

// The float identities that keep every bit, signed zeros included: x + 0 is not one of them (-0 + 0 = +0),
// nor are x * 0, x - x and x == x (NaN, infinity).
#include <bit>

#include "compiler/evaluate.h"
#include "compiler/passes/folder.h"

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::Value;

namespace {

constexpr uint32_t kOne = 0x3f800000, kNegativeZero = 0x80000000;

/// 1 / x where that is exact: x a power of two whose reciprocal is normal, too.
std::optional<uint32_t> exact_reciprocal(uint32_t bits) {
  const uint32_t exponent = bits >> 23 & 0xff;
  if ((bits & 0x7fffff) != 0 || exponent == 0 || exponent >= 254) return std::nullopt;
  return (bits & 0x80000000) | (254 - exponent) << 23;
}

}  // namespace

Folder::Simpler Folder::simplify_float(const Instruction& in) {
  const Value a = in.operands[0];
  const Instruction& inner = kernel_.at(a);
  const auto known = in.num_operands >= 2 ? bits_of(in.operands[1]) : std::nullopt;
  switch (in.op) {
    case Op::add: return known == kNegativeZero ? Simpler(a) : std::nullopt;
    case Op::sub: return known == 0u ? Simpler(a) : std::nullopt;
    case Op::mul: return known == kOne ? Simpler(a) : std::nullopt;
    case Op::div: {
      if (known == kOne) return a;
      const auto reciprocal = known ? exact_reciprocal(*known) : std::nullopt;
      return reciprocal ? Simpler(make(Op::mul, ir::kF32, {a, constant(ir::kF32, *reciprocal)}))
                        : std::nullopt;
    }
    case Op::neg: return inner.op == Op::neg ? Simpler(inner.operands[0]) : std::nullopt;
    case Op::abs:
      if (inner.op == Op::abs) return a;
      return inner.op == Op::neg ? Simpler(make(Op::abs, ir::kF32, {inner.operands[0]})) : std::nullopt;
    case Op::floor: return inner.op == Op::floor ? Simpler(a) : std::nullopt;
    case Op::min:
    case Op::max: return a == in.operands[1] ? Simpler(a) : std::nullopt;
    default: return std::nullopt;
  }
}

}  // namespace tattletale::compiler

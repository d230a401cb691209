#include "ir/known_bits.h"

namespace tattletale::ir {
namespace {

constexpr int kMaxDepth = 12;  // expressions share subtrees, so a deep look could take exponential time

std::optional<uint32_t> residue(const Kernel& kernel, Value value, uint32_t modulus, int depth) {
  if (modulus == 1) return 0;
  if (depth == 0) return std::nullopt;
  const Instruction& in = kernel.at(value);
  const auto of = [&](uint32_t i, uint32_t m) { return residue(kernel, in.operands[i], m, depth - 1); };
  switch (in.op) {
    case Op::constant: return in.attr0 % modulus;
    case Op::add:
    case Op::sub: {
      if (in.type == kF32) return std::nullopt;
      const auto a = of(0, modulus);
      const auto b = a ? of(1, modulus) : std::nullopt;
      if (!b) return std::nullopt;
      return (in.op == Op::add ? *a + *b : *a - *b) % modulus;
    }
    case Op::mul: {
      if (in.type == kF32) return std::nullopt;
      const auto a = of(0, modulus);
      if (a == 0u) return 0;
      const auto b = of(1, modulus);
      if (b == 0u) return 0;
      if (!a || !b) return std::nullopt;
      return *a * *b % modulus;
    }
    case Op::shl: {
      const auto count = constant_of(kernel, in.operands[1]);
      if (!count || *count > 31) return std::nullopt;
      if ((uint64_t{1} << *count) >= modulus) return 0;
      const auto a = of(0, modulus >> *count);
      if (!a) return std::nullopt;
      return *a << *count;
    }
    case Op::bit_and: {
      for (uint32_t i = 0; i < 2; ++i) {
        const auto mask = constant_of(kernel, in.operands[i]);
        if (mask && *mask % modulus == 0) return 0;
      }
      return std::nullopt;
    }
    case Op::for_: {  // the counter: first + k * step
      if (of(2, modulus) != 0u) return std::nullopt;
      return of(0, modulus);
    }
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<uint32_t> constant_of(const Kernel& kernel, Value value) {
  const Instruction& in = kernel.at(value);
  return in.op == Op::constant ? std::optional<uint32_t>(in.attr0) : std::nullopt;
}

std::optional<uint32_t> residue_of(const Kernel& kernel, Value value, uint32_t modulus) {
  return residue(kernel, value, modulus, kMaxDepth);
}

}  // namespace tattletale::ir

#include "ir/random_values.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tattletale::test {

using ir::kBool;
using ir::kF32;
using ir::kI32;
using ir::kU32;
using ir::Op;
using ir::Storage;
using ir::Type;

namespace {

constexpr double kExact = 1 << 24;  // a float holds every multiple of its grain up to this many

bool fits(double max_abs, double grain) {
  return max_abs <= grain * kExact && max_abs < 1e6 && grain >= 0x1p-20;
}

}  // namespace

uint32_t Random::word() {  // splitmix64, Steele et al. 2014
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>((z ^ (z >> 31)) >> 16);
}

RandomValues::RandomValues(uint64_t seed, const ir::TargetInfo& target, uint32_t threads)
    : random_(seed),
      target_(target),
      b_("random_" + std::to_string(seed), threads, target.subgroup_size),
      threads_(threads) {}

std::vector<Known>& RandomValues::pool(Type type) {
  if (type == kU32) return pools_.u32;
  if (type == kI32) return pools_.i32;
  return type == kF32 ? pools_.f32 : pools_.boolean;
}

ir::Value RandomValues::f32(float x) {
  return b_.constant(kF32, std::bit_cast<uint32_t>(x));
}

Known RandomValues::draw(Type type, Level widest) {
  const std::vector<Known>& from = pool(type);
  for (int attempt = 0; attempt < 8 && !from.empty(); ++attempt) {
    // Late values more often: chains get long, and what was computed last is used.
    const auto n = static_cast<uint32_t>(from.size());
    const Known& known = from[std::max(random_.below(n), random_.below(n))];
    if (known.level <= widest) return known;
  }
  if (type == kF32) {
    const double k = static_cast<int>(random_.below(65)) - 32;
    return {f32(static_cast<float>(k / 4)), Level::constant, 8, 0.25};
  }
  if (type == kBool) return {b_.constant(kBool, random_.below(2)), Level::constant};
  const uint32_t bits =
      random_.pick({0u, 1u, 2u, 7u, 31u, 255u, 0x80000000u, 0xffffffffu, random_.word(), random_.word()});
  return {b_.constant(type, bits), Level::constant};
}

Known RandomValues::draw_other(const Known& than, Type type, Level widest) {
  Known known = draw(type, widest);
  for (int attempt = 0; attempt < 3 && known.value == than.value; ++attempt) known = draw(type, widest);
  return known;
}

Known RandomValues::draw_varied(Type type) {
  Known known = draw(type);
  for (int attempt = 0; attempt < 4 && known.level < Level::lane; ++attempt) known = draw(type);
  return known;
}

ir::Uniformity RandomValues::widest_of(std::initializer_list<Known> from) {
  Level level = Level::constant;
  for (const Known& known : from) level = std::max(level, known.level);
  return level;
}

void RandomValues::keep(Type type, Value value, std::initializer_list<Known> from) {
  keep(type, Known{value, widest_of(from)});
}

Known RandomValues::below(uint32_t n, Level widest) {
  const Known x = draw(kU32, widest);
  const bool power = std::has_single_bit(n);
  return {power ? emit(Op::bit_and, kU32, {x.value, u32(n - 1)}) : emit(Op::rem, kU32, {x.value, u32(n)}),
          x.level};
}

void RandomValues::integer_op(Level widest) {
  const Type type = random_.pick({kU32, kI32});
  const Known x = draw(type, widest), y = draw_other(x, type, widest);
  const auto count = [&](const Known& c) { return emit(Op::bit_and, kU32, {c.value, u32(31)}); };
  const Op op = random_.pick({Op::add,     Op::sub,     Op::mul,     Op::min,    Op::max,      Op::bit_and,
                              Op::bit_or,  Op::bit_xor, Op::bit_not, Op::shl,    Op::shr,      Op::sub,
                              Op::shr,     Op::div,     Op::rem,     Op::mul_hi, Op::popcount, Op::funnel_shr,
                              Op::dot4_i8, Op::neg,     Op::abs});
  switch (op) {
    case Op::bit_not: return keep(type, emit(op, type, {x.value}), {x});
    case Op::shl:
    case Op::shr: {
      const Known c = draw(kU32, widest);
      return keep(type, emit(op, type, {x.value, count(c)}), {x, c});
    }
    case Op::neg:
    case Op::abs: {
      const Known i = draw(kI32, widest);
      return keep(kI32, emit(op, kI32, {i.value}), {i});
    }
    case Op::div:
    case Op::rem:
    case Op::mul_hi: {
      const Known p = draw(kU32, widest), q = draw_other(p, kU32, widest);
      const Value divisor = op == Op::mul_hi ? q.value : emit(Op::bit_or, kU32, {q.value, u32(1)});
      return keep(kU32, emit(op, kU32, {p.value, divisor}), {p, q});
    }
    case Op::popcount: {
      const Known p = draw(kU32, widest);
      return keep(kU32, emit(op, kU32, {p.value}), {p});
    }
    case Op::funnel_shr: {
      const Known p = draw(kU32, widest), q = draw(kU32, widest), c = draw(kU32, widest);
      return keep(kU32, emit(op, kU32, {p.value, q.value, count(c)}), {p, q, c});
    }
    case Op::dot4_i8: {
      const Known p = draw(kU32, widest), q = draw(kU32, widest), c = draw(kI32, widest);
      return keep(kI32, emit(op, kI32, {p.value, q.value, c.value}), {p, q, c});
    }
    default: return keep(type, emit(op, type, {x.value, y.value}), {x, y});
  }
}

void RandomValues::float_op(Level widest) {
  const Known x = draw(kF32, widest), y = draw_other(x, kF32, widest), z = draw(kF32, widest);
  const double least = std::min(x.grain, y.grain);
  const auto put = [&](Value value, Level level, double max_abs, double grain) {
    keep(kF32, Known{value, level, max_abs, grain});
  };
  const Level both = widest_of({x, y});
  const Op op =
      random_.pick({Op::add, Op::sub, Op::mul, Op::fma, Op::min, Op::max, Op::neg, Op::abs, Op::floor});
  switch (op) {
    case Op::add:
    case Op::sub: {
      if (!fits(x.max_abs + y.max_abs, least)) break;
      const Value sum = emit(op, kF32, {x.value, y.value});
      b_.kernel().instructions[sum.index].strict = random_.one_in(3);
      return put(sum, both, x.max_abs + y.max_abs, least);
    }
    case Op::mul:
      if (!fits(x.max_abs * y.max_abs, x.grain * y.grain)) break;
      return put(emit(op, kF32, {x.value, y.value}), both, x.max_abs * y.max_abs, x.grain * y.grain);
    case Op::fma: {
      const double grain = std::min(x.grain * y.grain, z.grain), max_abs = x.max_abs * y.max_abs + z.max_abs;
      if (!fits(max_abs, grain)) break;
      return put(emit(op, kF32, {x.value, y.value, z.value}), widest_of({x, y, z}), max_abs, grain);
    }
    case Op::min:
    case Op::max: return put(emit(op, kF32, {x.value, y.value}), both, std::max(x.max_abs, y.max_abs), least);
    case Op::floor: return put(emit(op, kF32, {x.value}), x.level, std::ceil(x.max_abs) + 1, 1);
    default: return put(emit(op, kF32, {x.value}), x.level, x.max_abs, x.grain);
  }
  // Too wide to stay exact: bring it back to a small number.
  const Value low = emit(Op::max, kF32, {x.value, f32(-64)});
  put(emit(Op::min, kF32, {low, f32(64)}), x.level, 64, std::min(x.grain, 1.0));
}

void RandomValues::boolean_op(Level widest) {
  if (random_.one_in(3)) {
    const Known p = draw(kBool, widest), q = draw(kBool, widest);
    const Op op = random_.pick({Op::bit_and, Op::bit_or, Op::bit_xor, Op::bit_not, Op::eq, Op::ne});
    if (op == Op::bit_not) return keep(kBool, emit(op, kBool, {p.value}), {p});
    return keep(kBool, emit(op, kBool, {p.value, q.value}), {p, q});
  }
  const Type type = random_.pick({kU32, kI32, kF32});
  const Known x = draw(type, widest), y = draw_other(x, type, widest);
  const Op op = random_.pick({Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge});
  keep(kBool, emit(op, kBool, {x.value, y.value}), {x, y});
}

void RandomValues::conversion(Level widest) {
  switch (random_.below(6)) {
    case 0: {
      const Known x = draw(kU32, widest);
      return keep(kI32, emit(random_.pick({Op::to_i32, Op::bitcast}), kI32, {x.value}), {x});
    }
    case 1: {
      const Known x = draw(kI32, widest);
      return keep(kU32, emit(random_.pick({Op::to_u32, Op::bitcast}), kU32, {x.value}), {x});
    }
    case 2: {
      const Known x = below(1024, widest);
      return keep(kF32, Known{emit(Op::to_f32, kF32, {x.value}), x.level, 1024, 1});
    }
    case 3: {
      const Known x = draw(kI32, widest);
      const Value small = emit(Op::shr, kI32, {x.value, u32(22)});
      return keep(kF32, Known{emit(Op::to_f32, kF32, {small}), x.level, 512, 1});
    }
    case 4: {
      const Known x = draw(kF32, widest);
      if (random_.one_in(2)) return keep(kI32, emit(Op::to_i32, kI32, {x.value}), {x});
      return keep(kU32, emit(Op::to_u32, kU32, {emit(Op::abs, kF32, {x.value})}), {x});
    }
    default: {  // the bits of a float, which is not zero: the sign of zero is not held to
      const Known x = below(1 << 20, widest);
      const Value f = emit(Op::to_f32, kF32, {emit(Op::bit_or, kU32, {x.value, u32(1)})});
      return keep(kU32, emit(Op::bitcast, kU32, {f}), {x});
    }
  }
}

void RandomValues::select_op(Level widest) {
  const Type type = random_.pick({kU32, kI32, kF32, kBool});
  const Known c = draw(kBool, widest), x = draw(type, widest), y = draw(type, widest);
  keep(type, Known{emit(Op::select, type, {c.value, x.value, y.value}), widest_of({c, x, y}),
                   std::max(x.max_abs, y.max_abs), std::min(x.grain, y.grain)});
}

void RandomValues::halves_op() {
  const Known x = draw(kF32), y = draw(kF32);
  const auto nonzero = [&](const Known& k) {
    return emit(Op::select, kF32, {emit(Op::eq, kBool, {k.value, f32(0)}), f32(1), k.value});
  };
  if (random_.one_in(2)) {
    const Op op = random_.pick({Op::pack_f16x2, Op::pack_bf16x2});
    return keep(kU32, emit(op, kU32, {nonzero(x), nonzero(y)}), {x, y});
  }
  if (target_.f16x2 && random_.one_in(2)) {  // integers below 16: products and sums are exact
    const auto small = [&] {
      const Value lo = emit(Op::to_f32, kF32, {below(15).value}),
                  hi = emit(Op::to_f32, kF32, {below(16).value});
      return emit(Op::pack_f16x2, kU32, {lo, hi});
    };
    const Known everywhere{{}, Level::lane};
    const Value p = small(), q = small();
    switch (random_.below(3)) {
      case 0: return keep(kU32, emit(Op::add_f16x2, kU32, {p, q}), {everywhere});
      case 1: return keep(kU32, emit(Op::mul_f16x2, kU32, {p, q}), {everywhere});
      default: return keep(kU32, emit(Op::fma_f16x2, kU32, {p, q, small()}), {everywhere});
    }
  }
  // Any half that is normal and below 2.
  const Known w = draw(kU32);
  const Value normal =
      emit(Op::bit_or, kU32, {emit(Op::bit_and, kU32, {w.value, u32(0xbbffbbff)}), u32(0x04000400)});
  const Op op = random_.pick({Op::unpack_f16_lo, Op::unpack_f16_hi});
  keep(kF32, Known{emit(op, kF32, {normal}), w.level, 2, 0x1p-24});
}

void RandomValues::load_op(Level widest) {
  const auto load = [&](Type type, Storage storage, Part part, double max_abs, double grain) {
    const uint32_t per_word = 4 / ir::storage_bytes(storage);
    const Known at = below(kPartWords * per_word / type.lanes, widest);
    Value index = type.lanes > 1 ? emit(Op::mul, kU32, {at.value, u32(type.lanes)}) : at.value;
    Value base;
    const uint32_t first = static_cast<uint32_t>(part) * kPartWords;
    if (random_.one_in(2)) {
      base = emit(Op::offset, ir::kOffset, {u32(static_cast<uint32_t>(part)), u32(kPartWords * 4)});
    } else {
      index = emit(Op::add, kU32, {index, u32(first * per_word)});
    }
    const Value loaded = emit(Op::load, type, {index, base}, 0, random_.below(2));
    b_.kernel().instructions[loaded.index].storage = storage;
    const Level level = std::max(at.level, Level::grid);
    const Type scalar{type.scalar};
    for (uint32_t lane = 0; lane < type.lanes; ++lane) {
      const Value one = type.lanes > 1 ? emit(Op::extract, scalar, {loaded}, lane) : loaded;
      keep(scalar, Known{one, level, max_abs, grain});
    }
  };
  const auto lanes = static_cast<uint8_t>(random_.pick({1, 1, 2, 4}));
  switch (random_.below(9)) {
    case 0: return load({ir::Scalar::u32, lanes}, Storage::u32, Part::bits, 0, 1);
    case 1: return load({ir::Scalar::i32, lanes}, Storage::i32, Part::bits, 0, 1);
    case 2: return load({ir::Scalar::f32, lanes}, Storage::f32, Part::f32, 256, 0x1p-4);
    case 3: return load(kF32, Storage::f16, Part::f16, 256, 0x1p-3);
    case 4: return load(kF32, Storage::bf16, Part::bf16, 256, 1);
    case 5: return load(kU32, Storage::u8, Part::bits, 0, 1);
    case 6: return load(kI32, Storage::i8, Part::bits, 0, 1);
    case 7: return load(kU32, Storage::u16, Part::bits, 0, 1);
    default: return load(kI32, Storage::i16, Part::bits, 0, 1);
  }
}

Known RandomValues::rounded(ResultRule& rule) {
  rule = {true, 0x1p-20 + 0x1p-23, 0};
  const Known x = draw(kF32), y = draw(kF32);
  const auto result = [&](Op op, std::initializer_list<Value> operands) {
    return Known{emit(op, kF32, operands), widest_of({x, y})};
  };
  const Value size = emit(Op::abs, kF32, {x.value});
  const auto clamped = [&](float to) {
    return emit(Op::min, kF32, {emit(Op::max, kF32, {x.value, f32(-to)}), f32(to)});
  };
  switch (random_.below(11)) {
    case 0: return result(Op::sqrt, {size});
    case 1: return result(Op::rsqrt, {emit(Op::max, kF32, {size, f32(0.125f)})});
    case 2: return result(Op::exp2, {clamped(20)});
    case 3: return result(Op::log2, {emit(Op::max, kF32, {size, f32(2)})});
    case 4:
    case 5: rule = {true, 0, 0x1p-19}; return result(random_.pick({Op::sin, Op::cos}), {clamped(3.125f)});
    case 6: return result(Op::tanh, {clamped(8)});
    case 7:  // 2.5 ulp
      rule.relative = 0x1p-21;
      return result(Op::div, {y.value, emit(Op::max, kF32, {size, f32(0.5f)})});
    case 8: {
      rule.relative = 0x1p-23;
      const Type type = random_.pick({kU32, kI32});
      const Known wide = draw(type);
      return {emit(Op::to_f32, kF32, {wide.value}), wide.level};
    }
    case 9:
      rule.relative = 0x1p-23;
      return result(random_.pick({Op::mul, Op::add, Op::sub}), {x.value, y.value});
    default: rule.relative = 0x1p-23; return result(Op::fma, {x.value, y.value, f32(0.1f)});
  }
}

}  // namespace tattletale::test

// Interval analysis: the bits of every integer value, read as unsigned, lie in [least, most]. A condition
// narrows its operands inside the region that it guards. Signed operations use an interval only where both
// readings agree (below 2^31).
#include <algorithm>
#include <bit>

#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

struct Interval {
  uint32_t least = 0;
  uint32_t most = UINT32_MAX;

  bool is_point() const { return least == most; }
  bool is_signed_safe() const { return most <= INT32_MAX; }
};
constexpr Interval kAnything{};
constexpr Interval kEither{0, 1};  // a boolean

Interval interval(uint64_t least, uint64_t most) {
  return most <= UINT32_MAX ? Interval{static_cast<uint32_t>(least), static_cast<uint32_t>(most)} : kAnything;
}
uint32_t ones_covering(uint32_t bits) {
  return bits == 0 ? 0 : UINT32_MAX >> std::countl_zero(bits);
}

Interval compare(Op op, Interval a, Interval b) {
  const auto known = [](bool yes, bool no) { return yes ? Interval{1, 1} : no ? Interval{0, 0} : kEither; };
  switch (op) {
    case Op::lt: return known(a.most < b.least, a.least >= b.most);
    case Op::le: return known(a.most <= b.least, a.least > b.most);
    case Op::gt: return known(a.least > b.most, a.most <= b.least);
    case Op::ge: return known(a.least >= b.most, a.most < b.least);
    case Op::eq:
      return known(a.is_point() && b.is_point() && a.least == b.least, a.most < b.least || b.most < a.least);
    default:
      return known(a.most < b.least || b.most < a.least, a.is_point() && b.is_point() && a.least == b.least);
  }
}

class RangeAnalysis : public Rewriter {
 public:
  explicit RangeAnalysis(ir::Kernel& kernel) : Rewriter(kernel), ranges_(kernel.instructions.size()) {}

 private:
  struct Narrowed {
    Value value;
    Interval before;
  };

  void visit(Value value, const Instruction& in) override {
    if (in.op == Op::if_) return visit_if(value, in);
    if (in.op == Op::for_) return visit_for(value, in);
    if (ir::op_info(in.op).kind == ir::OpKind::structure) return keep(value);
    const Interval result = evaluate(in);
    if (is_pure(in.op) && result.is_point() && in.type.lanes == 1 && is_integer(in.type)) {
      return replace(value, constant(in.type, result.least));
    }
    if (const Value same = operand_it_equals(in); same.valid()) return replace(value, same);
    set(value, result);
    keep(value);
  }

  void visit_if(Value value, const Instruction& in) {
    // keep() walks the regions, and enter() looks for their guards.
    guards_.push_back({in.regions[0], in.operands[0], true});
    guards_.push_back({in.regions[1], in.operands[0], false});
    keep(value);
    guards_.resize(guards_.size() - 2);
  }
  void visit_for(Value value, const Instruction& in) {
    const Interval first = of(in.operands[0]), end = of(in.operands[1]);
    if (first.least >= end.most) return;  // it never runs
    set(value, {first.least, end.most - 1});
    keep(value);
  }

  void enter(ir::RegionId region, const std::vector<Value>&) override {
    marks_.push_back(narrowed_.size());
    for (const Guard& guard : guards_) {
      if (guard.region == region) narrow_by(guard.condition, guard.holds);
    }
  }
  void leave(ir::RegionId) override {
    for (; narrowed_.size() > marks_.back(); narrowed_.pop_back()) {
      ranges_[narrowed_.back().value.index] = narrowed_.back().before;
    }
    marks_.pop_back();
  }

  void narrow_by(Value condition, bool holds) {
    const Instruction in = kernel_.at(condition);
    if (in.op == Op::constant) return;
    narrow(condition, {holds, holds});
    if (in.type != ir::kBool || in.num_operands == 0) return;
    if (in.op == Op::bit_not) return narrow_by(in.operands[0], !holds);
    if (in.op == (holds ? Op::bit_and : Op::bit_or)) {
      narrow_by(in.operands[0], holds);
      return narrow_by(in.operands[1], holds);
    }
    if (in.op < Op::eq || in.op > Op::ge) return;
    const Value a = in.operands[0], b = in.operands[1];
    const Interval x = of(a), y = of(b);
    const ir::Type type = kernel_.at(a).type;
    if (type != ir::kU32 && !(type == ir::kI32 && x.is_signed_safe() && y.is_signed_safe())) return;
    switch (in.op) {
      case Op::lt: return holds ? less(a, b, 1) : less(b, a, 0);
      case Op::le: return holds ? less(a, b, 0) : less(b, a, 1);
      case Op::gt: return holds ? less(b, a, 1) : less(a, b, 0);
      case Op::ge: return holds ? less(b, a, 0) : less(a, b, 1);
      default: break;
    }
    if ((in.op == Op::eq) == holds) {
      narrow(a, y);
      narrow(b, x);
    }
  }
  /// a + gap <= b.
  void less(Value a, Value b, uint32_t gap) {
    const Interval x = of(a), y = of(b);
    narrow(a, {0, y.most >= gap ? y.most - gap : 0});
    narrow(b, {x.least <= UINT32_MAX - gap ? x.least + gap : UINT32_MAX, UINT32_MAX});
  }
  void narrow(Value value, Interval to) {
    const Interval before = of(value);
    const Interval both{std::max(before.least, to.least), std::min(before.most, to.most)};
    // An empty interval: the region never runs, and anything is right in it; leave it alone.
    if (both.least > both.most || kernel_.at(value).op == Op::constant) return;
    narrowed_.push_back({value, before});
    set(value, both);
  }

  static bool is_integer(ir::Type type) { return type == ir::kU32 || type == ir::kI32 || type == ir::kBool; }

  Interval of(Value value) const {
    uint32_t bits = 0;
    if (is_constant(kernel_, value, &bits)) return {bits, bits};
    if (value.index < ranges_.size()) return ranges_[value.index];
    return kernel_.at(value).type == ir::kBool ? kEither : kAnything;
  }
  void set(Value value, Interval range) {
    if (value.index >= ranges_.size()) ranges_.resize(kernel_.instructions.size());
    ranges_[value.index] = range;
  }

  Interval evaluate(const Instruction& in) const {
    if (in.type.lanes != 1 || !is_integer(in.type)) return kAnything;
    const Interval whole = in.type == ir::kBool ? kEither : kAnything;
    switch (in.op) {
      case Op::constant: return {in.attr0, in.attr0};
      case Op::workgroup_id: return {0, UINT32_MAX - 1};
      case Op::num_workgroups: return {1, UINT32_MAX};
      case Op::local_id: return {0, kernel_.workgroup_threads - 1};
      case Op::lane_id: return {0, kernel_.subgroup_size - 1};
      case Op::subgroup_id: return {0, kernel_.workgroup_threads / kernel_.subgroup_size - 1};
      case Op::fragment_row:
      case Op::fragment_column: return {0, ir::kFragmentDim - 1};
      case Op::load:
        return in.storage == ir::Storage::u8    ? Interval{0, 0xff}
               : in.storage == ir::Storage::u16 ? Interval{0, 0xffff}
                                                : kAnything;
      default: break;
    }
    if (in.num_operands == 0 || !is_pure(in.op)) return whole;
    const Value first = in.operands[in.op == Op::select ? 1 : 0];
    const ir::Type type = kernel_.at(first).type;
    if (!is_integer(type)) return whole;
    return type == ir::kBool && in.type == ir::kBool && in.op != Op::select ? logic(in)
                                                                            : arithmetic(in, type);
  }

  Interval logic(const Instruction& in) const {
    const Interval a = of(in.operands[0]), b = in.num_operands > 1 ? of(in.operands[1]) : Interval{};
    switch (in.op) {
      case Op::bit_and: return {std::min(a.least, b.least), std::min(a.most, b.most)};
      case Op::bit_or: return {std::max(a.least, b.least), std::max(a.most, b.most)};
      case Op::bit_not: return {1 - a.most, 1 - a.least};
      default: return kEither;
    }
  }

  /// In 64 bits, so that what might wrap shows as too large.
  Interval arithmetic(const Instruction& in, ir::Type type) const {
    const Interval a = of(in.operands[0]), b = in.num_operands > 1 ? of(in.operands[1]) : Interval{};
    const bool ordered = type == ir::kU32 || (a.is_signed_safe() && b.is_signed_safe());
    const uint64_t a0 = a.least, a1 = a.most, b0 = b.least, b1 = b.most;
    switch (in.op) {
      case Op::add: return interval(a0 + b0, a1 + b1);
      case Op::sub: return a0 >= b1 ? interval(a0 - b1, a1 - b0) : kAnything;
      case Op::mul: return a1 * b1 <= UINT32_MAX ? interval(a0 * b0, a1 * b1) : kAnything;
      case Op::mul_hi: return interval(a0 * b0 >> 32, a1 * b1 >> 32);
      case Op::div: return b0 > 0 ? interval(a0 / b1, a1 / b0) : interval(0, a1);
      case Op::rem: return b1 > 0 ? interval(0, std::min(a1, b1 - 1)) : kAnything;
      case Op::min: return ordered ? interval(std::min(a0, b0), std::min(a1, b1)) : kAnything;
      case Op::max: return ordered ? interval(std::max(a0, b0), std::max(a1, b1)) : kAnything;
      case Op::bit_and: return interval(0, std::min(a1, b1));
      case Op::bit_or: return interval(std::max(a0, b0), ones_covering(a.most | b.most));
      case Op::bit_xor: return interval(0, ones_covering(a.most | b.most));
      case Op::bit_not: return {~a.most, ~a.least};
      case Op::shl: return b1 < 32 ? interval(a0 << b0, a1 << b1) : kAnything;
      case Op::shr: return ordered && b1 < 32 ? interval(a0 >> b1, a1 >> b0) : kAnything;
      case Op::popcount: return {0, 32};
      case Op::abs: return a.is_signed_safe() ? a : kAnything;
      case Op::to_u32:
      case Op::to_i32: return a;
      case Op::bitcast: return is_integer(in.type) ? a : kAnything;
      case Op::select: {
        const Interval x = b, y = of(in.operands[2]);
        return interval(std::min(x.least, y.least), std::max(x.most, y.most));
      }
      default:
        if (in.op < Op::eq || in.op > Op::ge) return in.type == ir::kBool ? kEither : kAnything;
        return ordered || in.op == Op::eq || in.op == Op::ne ? compare(in.op, a, b) : kEither;
    }
  }

  /// The operand that the instruction returns unchanged, given the intervals.
  Value operand_it_equals(const Instruction& in) const {
    if (in.num_operands < 2 || in.type.lanes != 1 || (in.type != ir::kU32 && in.type != ir::kI32)) return {};
    const Interval a = of(in.operands[0]), b = of(in.operands[1]);
    const bool ordered = in.type == ir::kU32 || (a.is_signed_safe() && b.is_signed_safe());
    uint32_t mask = 0;
    switch (in.op) {
      case Op::bit_and:
        if (!is_constant(kernel_, in.operands[1], &mask)) return {};
        return (ones_covering(a.most) & ~mask) == 0 ? in.operands[0] : Value{};
      case Op::rem: return a.most < b.least ? in.operands[0] : Value{};
      case Op::min:
      case Op::max: {
        if (!ordered) return {};
        const bool first_is_less = a.most <= b.least, second_is_less = b.most <= a.least;
        if (!first_is_less && !second_is_less) return {};
        return in.operands[first_is_less == (in.op == Op::min) ? 0 : 1];
      }
      case Op::select: {
        const Interval condition = a;
        return condition.is_point() ? in.operands[condition.least != 0 ? 1 : 2] : Value{};
      }
      default: return {};
    }
  }

  struct Guard {
    ir::RegionId region = ir::kNoRegion;
    Value condition;
    bool holds = false;
  };

  std::vector<Interval> ranges_;  // by instruction
  std::vector<Narrowed> narrowed_;
  std::vector<size_t> marks_;
  std::vector<Guard> guards_;  // of the open branches
};

}  // namespace

void range(ir::Kernel& kernel, const PassContext&) {
  RangeAnalysis(kernel).run();
}

}  // namespace tattletale::compiler

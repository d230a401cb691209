#include "compiler/evaluate.h"
#include "compiler/passes/folder.h"
#include "compiler/passes/passes.h"

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::Value;

void fold(ir::Kernel& kernel, const PassContext& context) {
  Folder(kernel, context).run();
}

void Folder::visit(Value value, const Instruction& in) {
  if (ir::op_info(in.op).kind == ir::OpKind::structure) return visit_structure(value, in);
  if (!is_pure(in.op)) return keep(value);
  Instruction canonical = in;
  canonicalise(canonical);
  if (const Simpler simpler = simplify(canonical)) return replace(value, *simpler);
  kernel_.instructions[value.index] = canonical;
  keep(value);
}

void Folder::visit_structure(Value value, const Instruction& in) {
  if (in.op == Op::if_) {
    if (const auto condition = bits_of(in.operands[0])) {
      const ir::RegionId taken = in.regions[*condition != 0 ? 0 : 1];
      if (taken != ir::kNoRegion) inline_region(taken);
      return;
    }
  }
  if (in.op == Op::for_) {
    const auto first = bits_of(in.operands[0]), end = bits_of(in.operands[1]);
    if (end == 0u || (first && end && *first >= *end)) return;
  }
  if (in.op == Op::while_) {
    walk_regions(value);
    // What the condition does, it does once even where the body never runs.
    const std::vector<Value> condition = kernel_.regions[in.regions[0]];
    if (!is(kernel_.at(condition.back()).operands[0], 0)) return place(value);
    for (const Value inner : condition) {
      if (kernel_.at(inner).op != Op::yield) place(inner);
    }
    return;
  }
  keep(value);
}

void Folder::canonicalise(Instruction& in) const {
  if (in.num_operands < 2 || !bits_of(in.operands[0]) || bits_of(in.operands[1])) return;
  switch (in.op) {
    case Op::add:
    case Op::mul:
    case Op::mul_hi:
    case Op::fma:
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::eq:
    case Op::ne: break;
    case Op::min:
    case Op::max:
      if (in.type == ir::kF32) return;  // of a number and a NaN a target may favour one side
      break;
    case Op::lt: in.op = Op::gt; break;
    case Op::gt: in.op = Op::lt; break;
    case Op::le: in.op = Op::ge; break;
    case Op::ge: in.op = Op::le; break;
    default: return;
  }
  std::swap(in.operands[0], in.operands[1]);
}

Folder::Simpler Folder::simplify(const Instruction& in) {
  std::array<uint32_t, 4> bits{};
  bool all_constant = in.num_operands > 0 && in.type.lanes == 1;
  for (uint32_t i = 0; i < in.num_operands; ++i)
    all_constant &= is_constant(kernel_, in.operands[i], &bits[i]);
  if (all_constant) {
    const ir::Type operand_type = kernel_.at(in.operands[in.op == Op::select ? 1 : 0]).type;
    if (const auto result = evaluate(in, operand_type, bits)) return constant(in.type, *result);
  }
  if (in.op == Op::select) return simplify_select(in);
  if (in.num_operands == 0) return simplify_ids(in);
  const ir::Type type = kernel_.at(in.operands[0]).type;
  if (in.op == Op::bitcast) {
    if (type == in.type) return in.operands[0];
    const Instruction& inner = kernel_.at(in.operands[0]);
    if (inner.op == Op::bitcast) return make(Op::bitcast, in.type, {inner.operands[0]});
    return std::nullopt;
  }
  if (in.op == Op::extract) {
    const Instruction& vector = kernel_.at(in.operands[0]);
    return vector.op == Op::make_vector ? Simpler(vector.operands[in.attr0]) : std::nullopt;
  }
  switch (type.scalar) {
    case ir::Scalar::boolean: return simplify_bool(in);
    case ir::Scalar::u32:
    case ir::Scalar::i32: return type.lanes == 1 ? simplify_integer(in) : std::nullopt;
    case ir::Scalar::f32: return type.lanes == 1 ? simplify_float(in) : std::nullopt;
    default: return std::nullopt;
  }
}

Folder::Simpler Folder::simplify_ids(const Instruction& in) {
  const bool alone = kernel_.workgroup_threads == 1;
  const bool one_subgroup = kernel_.workgroup_threads == kernel_.subgroup_size;
  const bool one_lane = kernel_.subgroup_size == 1;
  switch (in.op) {
    case Op::local_id: return alone ? Simpler(u32(0)) : std::nullopt;
    case Op::lane_id:
      if (one_lane) return u32(0);
      return one_subgroup ? Simpler(make(Op::local_id, ir::kU32, {})) : std::nullopt;
    case Op::subgroup_id:
      if (one_subgroup) return u32(0);
      return one_lane ? Simpler(make(Op::local_id, ir::kU32, {})) : std::nullopt;
    default: return std::nullopt;
  }
}

Folder::Simpler Folder::simplify_select(const Instruction& in) {
  const Value condition = in.operands[0], x = in.operands[1], y = in.operands[2];
  if (const auto known = bits_of(condition)) return *known != 0 ? x : y;
  if (x == y) return x;
  if (in.type == ir::kBool && is(x, 1) && is(y, 0)) return condition;
  if (in.type == ir::kBool && is(x, 0) && is(y, 1)) return make(Op::bit_not, ir::kBool, {condition});
  const Instruction& test = kernel_.at(condition);
  if (test.op == Op::bit_not) return make(Op::select, in.type, {test.operands[0], y, x});
  return std::nullopt;
}

Value Folder::make(Op op, ir::Type type, std::initializer_list<Value> operands) {
  Instruction in;
  in.op = op;
  in.type = type;
  for (const Value operand : operands) in.operands[in.num_operands++] = operand;
  canonicalise(in);
  if (const Simpler simpler = simplify(in)) return *simpler;
  return emit(in);
}

std::optional<uint32_t> Folder::bits_of(Value value) const {
  uint32_t bits = 0;
  return is_constant(kernel_, value, &bits) ? std::optional<uint32_t>(bits) : std::nullopt;
}

std::optional<uint32_t> Folder::right_constant(Value value, Op op) const {
  const Instruction& in = kernel_.at(value);
  return in.op == op ? bits_of(in.operands[1]) : std::nullopt;
}

}  // namespace tattletale::compiler

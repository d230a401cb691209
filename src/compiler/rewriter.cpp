#include "compiler/rewriter.h"

#include <utility>

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::Value;

namespace {

uint64_t constant_key(ir::Type type, uint32_t bits) {
  return uint64_t{static_cast<uint8_t>(type.scalar)} << 32 | bits;
}

}  // namespace

void Rewriter::run() {
  replacement_.assign(kernel_.instructions.size(), Value{});
  walk(ir::kRootRegion);
  std::vector<Value>& root = kernel_.regions[ir::kRootRegion];
  root.insert(root.begin(), constants_in_order_.begin(), constants_in_order_.end());
}

void Rewriter::visit(Value value, const Instruction&) {
  keep(value);
}
void Rewriter::enter(ir::RegionId, const std::vector<Value>&) {}
void Rewriter::leave(ir::RegionId) {}

void Rewriter::walk(ir::RegionId region) {
  const std::vector<Value> values = std::exchange(kernel_.regions[region], {});
  std::vector<Value> built;
  built.reserve(values.size());
  std::vector<Value>* const outer = std::exchange(out_, &built);
  enter(region, values);
  for (const Value value : values) step(value);
  leave(region);
  out_ = outer;
  kernel_.regions[region] = std::move(built);
}

void Rewriter::step(Value value) {
  Instruction& in = kernel_.instructions[value.index];
  if (in.op == Op::constant) {
    const auto [entry, added] = constants_.try_emplace(constant_key(in.type, in.attr0), value);
    if (added) constants_in_order_.push_back(value);
    if (entry->second != value) replace(value, entry->second);
    return;
  }
  for (uint32_t i = 0; i < in.num_operands; ++i) in.operands[i] = resolve(in.operands[i]);
  location_ = in.location;
  const Instruction copy = in;  // emit() may move the instructions
  visit(value, copy);
}

void Rewriter::keep(Value value) {
  walk_regions(value);
  place(value);
}

void Rewriter::walk_regions(Value value) {
  const std::array<ir::RegionId, 2> regions = kernel_.at(value).regions;
  for (const ir::RegionId region : regions) {
    if (region != ir::kNoRegion) walk(region);
  }
}

void Rewriter::inline_region(ir::RegionId region) {
  const std::vector<Value> values = std::exchange(kernel_.regions[region], {});
  for (const Value value : values) {
    if (kernel_.at(value).op != Op::yield) step(value);
  }
}

void Rewriter::replace(Value value, Value by) {
  if (replacement_.size() <= value.index) replacement_.resize(kernel_.instructions.size());
  replacement_[value.index] = by;
}

Value Rewriter::resolve(Value value) const {
  const bool replaced = value.index < replacement_.size() && replacement_[value.index].valid();
  return replaced ? replacement_[value.index] : value;
}

Value Rewriter::emit(Instruction in) {
  in.location = location_;
  const Value value{static_cast<uint32_t>(kernel_.instructions.size())};
  kernel_.instructions.push_back(in);
  out_->push_back(value);
  return value;
}

Value Rewriter::emit(Op op, ir::Type type, std::initializer_list<Value> operands, uint32_t attr0) {
  Instruction in;
  in.op = op;
  in.type = type;
  in.attr0 = attr0;
  for (const Value operand : operands) in.operands[in.num_operands++] = operand;
  return emit(in);
}

Value Rewriter::constant(ir::Type type, uint32_t bits) {
  const auto [entry, added] = constants_.try_emplace(constant_key(type, bits));
  if (added) {
    Instruction in;
    in.op = Op::constant;
    in.type = type;
    in.attr0 = bits;
    entry->second = Value{static_cast<uint32_t>(kernel_.instructions.size())};
    kernel_.instructions.push_back(in);
    constants_in_order_.push_back(entry->second);
  }
  return entry->second;
}

bool is_constant(const ir::Kernel& kernel, Value value, uint32_t* bits) {
  const Instruction& in = kernel.at(value);
  if (in.op != Op::constant) return false;
  *bits = in.attr0;
  return true;
}

bool is_pure(Op op) {
  return ir::op_info(op).kind == ir::OpKind::pure;
}

bool is_speculatable(const ir::Kernel& kernel, const Instruction& in) {
  uint32_t bits = 0;
  switch (in.op) {
    case Op::div:
    case Op::rem: return in.type == ir::kF32 || (is_constant(kernel, in.operands[1], &bits) && bits != 0);
    case Op::shl:
    case Op::shr: return is_constant(kernel, in.operands[1], &bits) && bits < 32;
    case Op::funnel_shr: return is_constant(kernel, in.operands[2], &bits) && bits < 32;
    case Op::to_i32:
    case Op::to_u32: return kernel.at(in.operands[0]).type != ir::kF32;
    default: return is_pure(in.op);
  }
}

}  // namespace tattletale::compiler

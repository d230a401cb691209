// Structured control flow, barriers and subgroup operations. Regions become SPIR-V's selection and loop
// constructs one to one.
#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;

void KernelWriter::begin_block(Id label) {
  module_.body(SpvOp::label, {label});
  block_ = label;
}

Result<void> KernelWriter::write_if(const ir::Instruction& in) {
  const Id condition = operand(in, 0);
  const Id then_label = module_.new_id();
  const Id merge = module_.new_id();
  const ir::RegionId otherwise = in.regions[1];
  const bool has_else = otherwise != ir::kNoRegion && !kernel_.regions[otherwise].empty();
  const Id else_label = has_else ? module_.new_id() : merge;
  module_.body(SpvOp::selection_merge, {merge, 0});
  module_.body(SpvOp::branch_conditional, {condition, then_label, else_label});
  begin_block(then_label);
  TT_TRY(write_region(in.regions[0]));
  module_.body(SpvOp::branch, {merge});
  if (has_else) {
    begin_block(else_label);
    TT_TRY(write_region(otherwise));
    module_.body(SpvOp::branch, {merge});
  }
  begin_block(merge);
  return {};
}

Result<void> KernelWriter::write_for(ir::Value self, const ir::Instruction& in) {
  const Id first = operand(in, 0);
  const Id end = operand(in, 1);
  const Id step = operand(in, 2);
  const Id before = module_.new_id();
  const Id header = module_.new_id();
  const Id body = module_.new_id();
  const Id continued = module_.new_id();
  const Id merge = module_.new_id();
  const Id next = module_.new_id();
  // A block of its own gives the phi a predecessor whose label is known, the entry block included.
  module_.body(SpvOp::branch, {before});
  begin_block(before);
  module_.body(SpvOp::branch, {header});
  begin_block(header);
  const Id i = u(SpvOp::phi, {first, before, next, continued});
  values_[self.index] = i;
  const Id go_on = b(SpvOp::u_less_than, {i, end});
  if (in.attr0 > 1) {
    module_.body(SpvOp::loop_merge, {merge, continued, kLoopPartialCount, in.attr0});
  } else {
    module_.body(SpvOp::loop_merge, {merge, continued, 0});
  }
  module_.body(SpvOp::branch_conditional, {go_on, body, merge});
  begin_block(body);
  TT_TRY(write_region(in.regions[0]));
  module_.body(SpvOp::branch, {continued});
  begin_block(continued);
  module_.body(SpvOp::i_add, {u32_, next, i, step});
  module_.body(SpvOp::branch, {header});
  begin_block(merge);
  return {};
}

Result<void> KernelWriter::write_while(const ir::Instruction& in) {
  const Id header = module_.new_id();
  const Id condition = module_.new_id();
  const Id body = module_.new_id();
  const Id continued = module_.new_id();
  const Id merge = module_.new_id();
  module_.body(SpvOp::branch, {header});
  begin_block(header);
  module_.body(SpvOp::loop_merge, {merge, continued, 0});
  module_.body(SpvOp::branch, {condition});
  begin_block(condition);
  TT_TRY(write_region(in.regions[0]));
  const ir::Instruction& last = kernel_.at(kernel_.regions[in.regions[0]].back());
  CHECK(last.op == Op::yield);
  module_.body(SpvOp::branch_conditional, {operand(last, 0), body, merge});
  begin_block(body);
  TT_TRY(write_region(in.regions[1]));
  module_.body(SpvOp::branch, {continued});
  begin_block(continued);
  module_.body(SpvOp::branch, {header});
  begin_block(merge);
  return {};
}

/// Execution, and the workgroup's view of shared and global memory.
void KernelWriter::write_barrier(uint32_t scope) {
  constexpr uint32_t kSemantics = kSemanticsAcquireRelease | kSemanticsUniformMemory |
                                  kSemanticsWorkgroupMemory | kSemanticsMakeAvailable | kSemanticsMakeVisible;
  if (scope == kScopeSubgroup) module_.add_capability(Capability::group_non_uniform);
  module_.body(SpvOp::control_barrier, {cu(scope), cu(scope), cu(kSemantics)});
}

Id KernelWriter::write_subgroup(const ir::Instruction& in) {
  module_.add_capability(Capability::group_non_uniform);
  const Id scope = cu(kScopeSubgroup);
  switch (in.op) {
    case Op::subgroup_any:
    case Op::subgroup_all:
      module_.add_capability(Capability::group_non_uniform_vote);
      return b(in.op == Op::subgroup_any ? SpvOp::group_any : SpvOp::group_all, {scope, operand(in, 0)});
    case Op::shuffle:
    case Op::shuffle_xor:
      module_.add_capability(Capability::group_non_uniform_shuffle);
      return module_.value(in.op == Op::shuffle ? SpvOp::group_shuffle : SpvOp::group_shuffle_xor,
                           type_of(in.type), {scope, operand(in, 0), operand(in, 1)});
    default: return write_reduction(in);
  }
}

Id KernelWriter::write_reduction(const ir::Instruction& in) {
  module_.add_capability(Capability::group_non_uniform_arithmetic);
  // Rows: add max min; columns: f32, i32, u32.
  static constexpr SpvOp kTable[3][3] = {
      {SpvOp::group_f_add, SpvOp::group_i_add, SpvOp::group_i_add},
      {SpvOp::group_f_max, SpvOp::group_s_max, SpvOp::group_u_max},
      {SpvOp::group_f_min, SpvOp::group_s_min, SpvOp::group_u_min},
  };
  const size_t row = static_cast<size_t>(in.op) - static_cast<size_t>(Op::subgroup_add);
  const size_t column = in.type.scalar == Scalar::f32 ? 0 : in.type.scalar == Scalar::i32 ? 1 : 2;
  return module_.value(kTable[row][column], type_of(in.type),
                       {cu(kScopeSubgroup), kGroupReduce, operand(in, 0)});
}

}  // namespace tattletale::spirv

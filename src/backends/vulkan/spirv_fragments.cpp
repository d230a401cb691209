// Matrix fragments as cooperative matrices of subgroup scope: the opaque tier.
//
// Shared memory is read through its view of 16-byte vectors: a pointer's element type need not be the
// matrix's component type, and Stride counts the pointer's elements. A `b` stored by columns is column-major.
// Source: SPV_KHR_cooperative_matrix revision 10, SPV_KHR_bfloat16.
#include "backends/vulkan/spirv_kernel_writer.h"
#include "ir/known_bits.h"

namespace tattletale::spirv {

using ir::FragmentUse;
using ir::Op;
using ir::Storage;

Id KernelWriter::fragment_type(const ir::Type& type) {
  module_.add_capability(Capability::cooperative_matrix);
  module_.add_extension("SPV_KHR_cooperative_matrix");
  Id component = f32_;
  if (type.element == Storage::f16) {
    module_.add_capability(Capability::float16);
    component = module_.type_float(16);
  } else if (type.element == Storage::bf16) {
    module_.add_capability(Capability::bfloat16_type);
    module_.add_capability(Capability::bfloat16_cooperative_matrix);
    module_.add_extension("SPV_KHR_bfloat16");
    component = module_.type_bfloat16();
  }
  const uint32_t use = type.use == FragmentUse::a   ? kMatrixA
                       : type.use == FragmentUse::b ? kMatrixB
                                                    : kMatrixAccumulator;
  return module_.type_matrix(component, ir::kFragmentDim, ir::kFragmentDim, use);
}

Result<std::optional<Id>> KernelWriter::write_fragment(const ir::Instruction& in) {
  if (in.op < Op::fragment_fill || in.op > Op::fragment_from_pairs) return std::optional<Id>();
  const bool has_bfloat16 = in.type.element == Storage::bf16 && in.op != Op::fragment_store;
  if (!features_.explicit_workgroup_layout ||
      !(has_bfloat16 ? features_.bfloat16_matrix
                     : features_.cooperative_matrix || features_.bfloat16_matrix)) {
    return unsupported(
        "needs VK_KHR_cooperative_matrix and VK_KHR_workgroup_memory_explicit_layout (for bf16 also "
        "VK_KHR_shader_bfloat16)");
  }
  switch (in.op) {
    case Op::fragment_fill:
      return module_.value(SpvOp::composite_construct, fragment_type(in.type), {operand(in, 0)});
    case Op::fragment_load:
    case Op::fragment_load_rows: return write_fragment_load(in);
    case Op::fragment_mma:
      return module_.value(SpvOp::cooperative_matrix_mul_add, fragment_type(in.type),
                           {operand(in, 0), operand(in, 1), operand(in, 2)});
    case Op::fragment_store_shared:
    case Op::fragment_store: write_fragment_store(in); return Id{1};
    default: return unsupported("needs fragments whose layout is known, which cooperative matrices hide");
  }
}

/// index and stride count halves and are multiples of 8, so both are whole 16-byte vectors.
Id KernelWriter::write_fragment_load(const ir::Instruction& in) {
  const Id index = u(SpvOp::shift_right_logical, {operand(in, 0), cu(3)});
  const Id stride = u(SpvOp::shift_right_logical, {operand(in, 1), cu(3)});
  const bool by_columns = in.type.use == FragmentUse::b && in.op == Op::fragment_load;
  const Id pointer = shared_pointer(in.attr0, View::word4, index, 4);
  return module_.value(SpvOp::cooperative_matrix_load, fragment_type(in.type),
                       {pointer, cu(by_columns ? kColumnMajor : kRowMajor), stride, kNonPrivate});
}

/// Vulkan wants stores of matrices at 16-byte places with 16-byte strides; the IR does not. Stores that are
/// not seen to comply are decided at run time, and take a way through scratch memory when they do not.
void KernelWriter::write_fragment_store(const ir::Instruction& in) {
  if (fragment_store_is_aligned(kernel_, in)) {
    write_aligned_store(in);
    return;
  }
  const Id sum = u(SpvOp::bitwise_or, {operand(in, 0), operand(in, 1)});
  Id aligned = b(SpvOp::i_equal, {u(SpvOp::bitwise_and, {sum, cu(3)}), cu(0)});
  if (const auto base = in.op == Op::fragment_store ? base_of(in) : std::nullopt) {
    const Id low = features_.wide_offsets ? u(SpvOp::u_convert, {*base}) : *base;
    const Id whole = b(SpvOp::i_equal, {u(SpvOp::bitwise_and, {low, cu(15)}), cu(0)});
    aligned = b(SpvOp::logical_and, {aligned, whole});
  }
  const Id direct = module_.new_id();
  const Id around = module_.new_id();
  const Id merge = module_.new_id();
  module_.body(SpvOp::selection_merge, {merge, 0});
  module_.body(SpvOp::branch_conditional, {aligned, direct, around});
  begin_block(direct);
  write_aligned_store(in);
  module_.body(SpvOp::branch, {merge});
  begin_block(around);
  write_scratch_store(in);
  module_.body(SpvOp::branch, {merge});
  begin_block(merge);
}

void KernelWriter::write_aligned_store(const ir::Instruction& in) {
  const Id index = operand(in, 0);
  const Id stride = operand(in, 1);
  const Id fragment = operand(in, 2);
  if (in.op == Op::fragment_store_shared) {
    const Id pointer = shared_pointer(in.attr0, View::f32, index, 1);
    module_.body(SpvOp::cooperative_matrix_store, {pointer, fragment, cu(kRowMajor), stride, kNonPrivate});
    return;
  }
  const Id pointer = element_pointer(in, View::f32, locate(in, index, 2));
  module_.body(SpvOp::cooperative_matrix_store,
               {pointer, fragment, cu(kRowMajor), stride, kAligned | kNonPrivate, 16});
}

/// Stores into the subgroup's 256 words of scratch, then moves numbers one by one.
void KernelWriter::write_scratch_store(const ir::Instruction& in) {
  const uint32_t size = kernel_.subgroup_size;
  const Id lane = u(SpvOp::u_mod, {local_id_, cu(size)});
  const Id subgroup = u(SpvOp::u_div, {local_id_, cu(size)});
  const Id words = u(SpvOp::i_mul, {subgroup, cu(kFragmentWords)});
  const Id scratch = u(SpvOp::i_add, {words, cu(kernel_.shared_bytes() / 4)});
  const Id f32_type = module_.type_pointer(StorageClass::workgroup, f32_);
  const Id place = module_.value(SpvOp::access_chain, f32_type, {shared_view(View::f32), cu(0), scratch});
  module_.body(SpvOp::cooperative_matrix_store,
               {place, operand(in, 2), cu(kRowMajor), cu(ir::kFragmentDim), kNonPrivate});
  write_barrier(kScopeSubgroup);
  for (uint32_t first = 0; first < kFragmentWords; first += size) {
    const Id number = u(SpvOp::i_add, {lane, cu(first)});
    const Id from = u(SpvOp::i_add, {scratch, number});
    const Id pointer = module_.value(SpvOp::access_chain, f32_type, {shared_view(View::f32), cu(0), from});
    const Id value = f(SpvOp::load, {pointer, kNonPrivate});
    const Id row = u(SpvOp::i_mul, {u(SpvOp::shift_right_logical, {number, cu(4)}), operand(in, 1)});
    const Id column = u(SpvOp::bitwise_and, {number, cu(ir::kFragmentDim - 1)});
    const Id to = u(SpvOp::i_add, {u(SpvOp::i_add, {operand(in, 0), row}), column});
    if (in.op == Op::fragment_store_shared) {
      module_.body(SpvOp::store, {shared_pointer(in.attr0, View::f32, to, 1), value, kNonPrivate});
    } else {
      const Id element = element_pointer(in, View::f32, locate(in, to, 2));
      module_.body(SpvOp::store, {element, value, kAligned | kNonPrivate, 4});
    }
  }
  write_barrier(kScopeSubgroup);
}

/// Whether index, stride and base show that they are multiples of 16 bytes.
bool fragment_store_is_aligned(const ir::Kernel& kernel, const ir::Instruction& in) {
  const auto whole = [&](ir::Value value, uint32_t unit) { return ir::residue_of(kernel, value, unit) == 0; };
  if (!whole(in.operands[0], 4) || !whole(in.operands[1], 4)) return false;
  if (in.op != Op::fragment_store || in.num_operands < 4) return true;
  const ir::Instruction& base = kernel.at(in.operands[3]);
  if (base.op != Op::offset) return false;
  return whole(base.operands[0], 16) || whole(base.operands[1], 16) ||
         (whole(base.operands[0], 4) && whole(base.operands[1], 4));
}

uint32_t scratch_words(const ir::Kernel& kernel) {
  for (const ir::Instruction& in : kernel.instructions) {
    if (in.op != Op::fragment_store && in.op != Op::fragment_store_shared) continue;
    if (!fragment_store_is_aligned(kernel, in)) {
      return kernel.workgroup_threads / kernel.subgroup_size * kFragmentWords;
    }
  }
  return 0;
}

}  // namespace tattletale::spirv

namespace tattletale {

uint32_t spirv_shared_bytes(const ir::Kernel& kernel) {
  return kernel.shared_bytes() + spirv::scratch_words(kernel) * 4;
}

}  // namespace tattletale

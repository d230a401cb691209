// Matrix fragments as cooperative matrices of subgroup scope: the opaque tier.
//
// Shared memory is read through its view of 16-byte vectors: a pointer's element type need not be the
// matrix's component type, and Stride counts the pointer's elements. A `b` stored by columns is column-major.
// Source: SPV_KHR_cooperative_matrix revision 10, SPV_KHR_bfloat16.
#include "backends/vulkan/spirv_kernel_writer.h"

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

void KernelWriter::write_fragment_store(const ir::Instruction& in) {
  const Id index = operand(in, 0);
  const Id stride = operand(in, 1);
  const Id fragment = operand(in, 2);
  if (in.op == Op::fragment_store_shared) {
    const Id pointer = shared_pointer(in.attr0, View::f32, index, 1);
    module_.body(SpvOp::cooperative_matrix_store, {pointer, fragment, cu(kRowMajor), stride, kNonPrivate});
    return;
  }
  const Id pointer = element_pointer(in, View::f32, base_of(in, 3), index);
  module_.body(SpvOp::cooperative_matrix_store,
               {pointer, fragment, cu(kRowMajor), stride, kAligned | kNonPrivate, 4});
}

}  // namespace tattletale::spirv

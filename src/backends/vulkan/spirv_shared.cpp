// Workgroup memory. Usually one array of words per shared array, vectors taken apart. Where
// WorkgroupMemoryExplicitLayout is there and vectors or fragments are used, all arrays lie in one block that
// is seen both as words and as 16-byte vectors.
#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;

void KernelWriter::declare_shared() {
  const bool has_fragments = uses({Op::fragment_load, Op::fragment_load_rows, Op::fragment_store_shared,
                                   Op::fragment_store, Op::copy_async});
  bool has_vectors = has_fragments;
  for (ir::Value value : live_) {
    const ir::Instruction& in = kernel_.at(value);
    if (in.op == Op::shared_load) has_vectors |= in.type.lanes > 1;
    if (in.op == Op::shared_store) has_vectors |= kernel_.at(in.operands[1]).type.lanes > 1;
  }
  explicit_shared_ = features_.explicit_workgroup_layout && has_vectors;
  uint32_t words = 0;
  for (const ir::SharedArray& array : kernel_.shared) {
    shared_first_word_.push_back(words);
    words += (array.num_words + 3) / 4 * 4;
    if (!explicit_shared_) {
      const Id type = module_.new_array(u32_, array.num_words);
      shared_arrays_.push_back(module_.global_variable(StorageClass::workgroup, type));
      module_.add_name(shared_arrays_.back(), array.name);
    }
  }
  if (!explicit_shared_) return;
  module_.add_capability(Capability::workgroup_memory_explicit_layout);
  module_.add_extension("SPV_KHR_workgroup_memory_explicit_layout");
}

/// The block of all shared arrays, seen as an array of the view's elements.
Id KernelWriter::shared_view(View view) {
  Id& variable = shared_views_[view];
  if (variable != 0) return variable;
  const uint32_t bytes = view == View::word4 ? 16 : view == View::word2 ? 8 : 4;
  const Id array = module_.new_array(element_type(view), spirv_shared_bytes(kernel_) / bytes);
  module_.decorate(array, Decoration::array_stride, {bytes});
  const Id block = module_.new_struct({{array}});
  module_.decorate(block, Decoration::block);
  module_.decorate_member(block, 0, Decoration::offset, {0});
  variable = module_.global_variable(StorageClass::workgroup, block);
  module_.decorate(variable, Decoration::aliased);
  return variable;
}

/// `index` counts units of `index_unit_words` words, which is the view's element.
Id KernelWriter::shared_pointer(uint32_t array, View view, Id index, uint32_t index_unit_words) {
  const Id type = module_.type_pointer(StorageClass::workgroup, element_type(view));
  if (!explicit_shared_) {
    CHECK(view == View::word);
    return module_.value(SpvOp::access_chain, type, {shared_arrays_[array], index});
  }
  const uint32_t first = shared_first_word_[array] / index_unit_words;
  const Id place = first == 0 ? index : u(SpvOp::i_add, {index, cu(first)});
  return module_.value(SpvOp::access_chain, type, {shared_view(view), cu(0), place});
}

/// u32 words, `index` in words and a multiple of `lanes`.
Id KernelWriter::load_shared(uint32_t array, Id index, uint32_t lanes) {
  if (lanes == 1) return u(SpvOp::load, {shared_pointer(array, View::word, index, 1), kNonPrivate});
  const Id type = module_.type_vector(u32_, lanes);
  if (explicit_shared_) {
    const View view = lanes == 2 ? View::word2 : View::word4;
    const Id element = u(SpvOp::shift_right_logical, {index, cu(lanes == 2 ? 1 : 2)});
    return module_.value(SpvOp::load, type, {shared_pointer(array, view, element, lanes), kNonPrivate});
  }
  Words words{type, 0};
  for (uint32_t i = 0; i < lanes; ++i) {
    words.push_back(load_shared(array, i == 0 ? index : u(SpvOp::i_add, {index, cu(i)}), 1));
  }
  words[1] = module_.new_id();
  module_.body(SpvOp::composite_construct, words);
  return words[1];
}

void KernelWriter::store_shared(uint32_t array, Id index, Id value, uint32_t lanes) {
  if (lanes > 1 && explicit_shared_) {
    const View view = lanes == 2 ? View::word2 : View::word4;
    const Id element = u(SpvOp::shift_right_logical, {index, cu(lanes == 2 ? 1 : 2)});
    module_.body(SpvOp::store, {shared_pointer(array, view, element, lanes), value, kNonPrivate});
    return;
  }
  for (uint32_t i = 0; i < lanes; ++i) {
    const Id place = i == 0 ? index : u(SpvOp::i_add, {index, cu(i)});
    const Id word = lanes == 1 ? value : u(SpvOp::composite_extract, {value, i});
    module_.body(SpvOp::store, {shared_pointer(array, View::word, place, 1), word, kNonPrivate});
  }
}

Id KernelWriter::write_shared_load(const ir::Instruction& in) {
  const Id words = load_shared(in.attr0, operand(in, 0), in.type.lanes);
  if (in.type.scalar == Scalar::u32) return words;
  return module_.value(SpvOp::bitcast, type_of(in.type), {words});
}

void KernelWriter::write_shared_store(const ir::Instruction& in) {
  const ir::Type type = kernel_.at(in.operands[1]).type;
  Id words = operand(in, 1);
  if (type.scalar != Scalar::u32) {
    words = module_.value(SpvOp::bitcast, type_of({Scalar::u32, type.lanes}), {words});
  }
  store_shared(in.attr0, operand(in, 0), words, type.lanes);
}

/// A plain copy: attr0 is the binding, attr1 the shared array.
void KernelWriter::write_copy(const ir::Instruction& in) {
  const Id words = load_words(in, operand(in, 1), 4);
  store_shared(in.attr1, operand(in, 0), words, 4);
}

}  // namespace tattletale::spirv

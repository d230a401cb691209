// Addresses: physical storage buffer pointers made from the push constants, and offsets.
//
// A pointer is to a block holding a run-time array, as GLSL's buffer references are, so that read-only
// bindings can be decorated NonWritable. Words are u32 whatever they hold: one type per address.
//
// Where no buffer is larger than 4 GiB an offset is a 32-bit number of bytes that joins the index, and the
// pointer stays uniform: drivers then need no 64-bit arithmetic per lane (lavapipe is 4 times faster so).
// Larger buffers take 64-bit offsets, added to the address.
#include <utility>

#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;
using ir::Storage;

uint32_t view_log2_bytes(View view) {
  switch (view) {
    case View::byte: return 0;
    case View::half:
    case View::f16: return 1;
    case View::word:
    case View::f32: return 2;
    case View::word2: return 3;
    case View::word4: return 4;
  }
  return 0;
}

View word_view(uint32_t lanes) {
  return lanes == 1 ? View::word : lanes == 2 ? View::word2 : View::word4;
}

namespace {

/// Operand position of a memory operation's base; its count of operands says whether it is there.
std::optional<uint32_t> base_position(Op op) {
  switch (op) {
    case Op::load: return 1;
    case Op::store:
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::copy_async: return 2;
    case Op::atomic_cas:
    case Op::fragment_store: return 3;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<Id> KernelWriter::base_of(const ir::Instruction& in) const {
  const auto position = base_position(in.op);
  CHECK(position.has_value());
  if (in.num_operands <= *position) return std::nullopt;
  return operand(in, *position);
}

/// How a load sees its binding where small loads exist; words otherwise.
View KernelWriter::native_view(Storage storage) const {
  switch (ir::storage_bytes(storage)) {
    case 1: return features_.storage8 ? View::byte : View::word;
    case 2:
      if (!features_.storage16) return View::word;
      return storage == Storage::f16 ? View::f16 : View::half;
    default: return View::word;
  }
}

View KernelWriter::memory_view(const ir::Instruction& in) const {
  const auto words = [&](uint32_t lanes) {
    return features_.slow_vector_loads ? View::word : word_view(lanes);
  };
  switch (in.op) {
    case Op::load: return in.type.lanes == 1 ? native_view(in.storage) : words(in.type.lanes);
    case Op::store: return word_view(kernel_.at(in.operands[1]).type.lanes);
    case Op::copy_async: return words(4);
    case Op::fragment_store: return View::f32;
    default: return View::word;
  }
}

Id KernelWriter::element_type(View view) {
  switch (view) {
    case View::word: return u32_;
    case View::word2: return module_.type_vector(u32_, 2);
    case View::word4: return module_.type_vector(u32_, 4);
    case View::f32: return f32_;
    case View::half:
      module_.add_capability(Capability::storage_buffer_16bit);
      module_.add_capability(Capability::int16);
      return module_.type_int(16, false);
    case View::f16: module_.add_capability(Capability::storage_buffer_16bit); return module_.type_float(16);
    case View::byte:
      module_.add_capability(Capability::storage_buffer_8bit);
      module_.add_capability(Capability::int8);
      return module_.type_int(8, false);
  }
  CHECK(false);
}

/// Pointer to struct { element[] }.
Id KernelWriter::struct_pointer_type(View view, bool written) {
  Id& block = structs_[{view, written}];
  if (block == 0) {
    const Id array = module_.new_runtime_array(element_type(view));
    module_.decorate(array, Decoration::array_stride, {1u << view_log2_bytes(view)});
    block = module_.new_struct({{array}});
    module_.decorate(block, Decoration::block);
    module_.decorate_member(block, 0, Decoration::offset, {0});
    if (!written) module_.decorate_member(block, 0, Decoration::non_writable);
  }
  return module_.type_pointer(StorageClass::physical_storage_buffer, block);
}

/// A binding's pointers are made once: at entry, or right behind the wide offset that they start from, so
/// that they dominate every use and lie outside of loops.
void KernelWriter::declare_pointers() {
  for (ir::Value value : live_) {
    const ir::Instruction& in = kernel_.at(value);
    const auto position = base_position(in.op);
    if (!position) continue;
    const BindingView wanted{in.attr0, memory_view(in)};
    if (features_.wide_offsets && in.num_operands > *position) {
      wanted_pointers_[in.operands[*position].index].insert(wanted);
    } else if (!pointers_.contains({0, wanted})) {
      pointers_[{0, wanted}] = new_pointer(wanted.first, wanted.second, std::nullopt);
    }
  }
}

Id KernelWriter::new_pointer(uint32_t binding, View view, std::optional<Id> offset) {
  const SpvOp convert = features_.int64 ? SpvOp::convert_u_to_ptr : SpvOp::bitcast;
  const Id type = struct_pointer_type(view, kernel_.bindings[binding].written);
  Id address = addresses_[binding];
  if (offset) address = module_.value(SpvOp::i_add, u64_, {address, *offset});
  return module_.value(convert, type, {address});
}

/// count * stride: in 32 bits, or in 64 with the pointers that start there.
Id KernelWriter::write_offset(const ir::Instruction& in) {
  if (!features_.wide_offsets) return u(SpvOp::i_mul, {operand(in, 0), operand(in, 1)});
  const Id count = module_.value(SpvOp::u_convert, u64_, {operand(in, 0)});
  const Id stride = module_.value(SpvOp::u_convert, u64_, {operand(in, 1)});
  const Id offset = module_.value(SpvOp::i_mul, u64_, {count, stride});
  for (const auto& wanted : wanted_pointers_[current_.index]) {
    pointers_[{offset, wanted}] = new_pointer(wanted.first, wanted.second, offset);
  }
  return offset;
}

/// The element of 2^log2_bytes bytes that an instruction names by index and base.
KernelWriter::Element KernelWriter::locate(const ir::Instruction& in, Id index, uint32_t log2_bytes) {
  const auto base = base_of(in);
  if (!base || features_.wide_offsets) return {base, index};
  const Id elements = log2_bytes == 0 ? *base : u(SpvOp::shift_right_logical, {*base, cu(log2_bytes)});
  return {std::nullopt, u(SpvOp::i_add, {elements, index})};
}

/// Pointer to an element of the view. The index is widened, because access chains take it as a signed number.
Id KernelWriter::element_pointer(const ir::Instruction& in, View view, const Element& element) {
  const auto found = pointers_.find({element.offset.value_or(0), {in.attr0, view}});
  const Id base = found != pointers_.end() ? found->second : new_pointer(in.attr0, view, element.offset);
  const Id type = module_.type_pointer(StorageClass::physical_storage_buffer, element_type(view));
  const Id wide = features_.int64 ? module_.value(SpvOp::u_convert, u64_, {element.index}) : element.index;
  return module_.value(SpvOp::access_chain, type, {base, cu(0), wide});
}

}  // namespace tattletale::spirv

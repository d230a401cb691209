// Global memory: physical storage buffer pointers made from the addresses in the push constants.
//
// A pointer is to a block holding a run-time array, as GLSL's buffer references are, so that read-only
// bindings can be decorated NonWritable. Words are u32 whatever they hold: one type per address.
#include <utility>

#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;
using ir::Storage;

namespace {

uint32_t view_bytes(View view) {
  switch (view) {
    case View::byte: return 1;
    case View::half:
    case View::f16: return 2;
    case View::word:
    case View::f32: return 4;
    case View::word2: return 8;
    case View::word4: return 16;
  }
  return 0;
}

View word_view(uint32_t lanes) {
  return lanes == 1 ? View::word : lanes == 2 ? View::word2 : View::word4;
}

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

std::optional<Id> KernelWriter::base_of(const ir::Instruction& in, uint32_t position) const {
  if (in.num_operands <= position) return std::nullopt;
  return operand(in, position);
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
    module_.decorate(array, Decoration::array_stride, {view_bytes(view)});
    block = module_.new_struct({{array}});
    module_.decorate(block, Decoration::block);
    module_.decorate_member(block, 0, Decoration::offset, {0});
    if (!written) module_.decorate_member(block, 0, Decoration::non_writable);
  }
  return module_.type_pointer(StorageClass::physical_storage_buffer, block);
}

/// Pointers of bindings used without a base are made once, where they dominate every use.
void KernelWriter::declare_pointers() {
  for (ir::Value value : live_) {
    const ir::Instruction& in = kernel_.at(value);
    const auto position = base_position(in.op);
    if (!position || in.num_operands > *position) continue;
    View view = View::word;
    switch (in.op) {
      case Op::load: view = in.type.lanes > 1 ? word_view(in.type.lanes) : native_view(in.storage); break;
      case Op::store: view = word_view(kernel_.at(in.operands[1]).type.lanes); break;
      case Op::copy_async: view = View::word4; break;
      case Op::fragment_store: view = View::f32; break;
      default: break;
    }
    Id& pointer = pointers_[{in.attr0, view}];
    if (pointer != 0) continue;
    const SpvOp convert = features_.int64 ? SpvOp::convert_u_to_ptr : SpvOp::bitcast;
    const Id type = struct_pointer_type(view, kernel_.bindings[in.attr0].written);
    pointer = module_.value(convert, type, {addresses_[in.attr0]});
  }
}

Id KernelWriter::binding_pointer(const ir::Instruction& in, View view, std::optional<Id> offset) {
  if (!offset) {
    const auto found = pointers_.find({in.attr0, view});
    CHECK(found != pointers_.end());
    return found->second;
  }
  const SpvOp convert = features_.int64 ? SpvOp::convert_u_to_ptr : SpvOp::bitcast;
  const Id type = struct_pointer_type(view, kernel_.bindings[in.attr0].written);
  return module_.value(convert, type, {add_offset(addresses_[in.attr0], *offset)});
}

/// `index` counts elements of the view. It is widened, because access chains take it as a signed number.
Id KernelWriter::element_pointer(const ir::Instruction& in, View view, std::optional<Id> offset, Id index) {
  const Id base = binding_pointer(in, view, offset);
  const Id type = module_.type_pointer(StorageClass::physical_storage_buffer, element_type(view));
  const Id wide = features_.int64 ? module_.value(SpvOp::u_convert, u64_, {index}) : index;
  return module_.value(SpvOp::access_chain, type, {base, cu(0), wide});
}

/// Memory operands besides the alignment: what other threads may write is not private.
uint32_t KernelWriter::access(const ir::Instruction& in) const {
  if (kernel_.bindings[in.attr0].written) return kAligned | kNonPrivate;
  return kAligned | (in.op == Op::load && in.attr1 == 1 ? kNontemporal : 0);
}

Id KernelWriter::load_global(const ir::Instruction& in, View view, std::optional<Id> offset, Id index,
                             uint32_t alignment) {
  const Id pointer = element_pointer(in, view, offset, index);
  return module_.value(SpvOp::load, element_type(view), {pointer, access(in), alignment});
}

Id KernelWriter::write_load(const ir::Instruction& in) {
  if (ir::storage_bytes(in.storage) < 4) return write_small_load(in);
  const View view = word_view(in.type.lanes);
  Id index = operand(in, 0);
  if (in.type.lanes > 1) index = u(SpvOp::shift_right_logical, {index, cu(in.type.lanes == 2 ? 1 : 2)});
  const Id words = load_global(in, view, base_of(in, 1), index, view_bytes(view));
  if (in.type.scalar == Scalar::u32) return words;
  return module_.value(SpvOp::bitcast, type_of(in.type), {words});
}

/// 8- and 16-bit elements: loaded as such where the device can, else cut out of their word. Bindings start
/// at whole words, but a base may lie within one.
Id KernelWriter::write_small_load(const ir::Instruction& in) {
  const uint32_t bytes = ir::storage_bytes(in.storage);
  const View view = native_view(in.storage);
  const std::optional<Id> base = base_of(in, 1);
  Id index = operand(in, 0);
  if (view != View::word) return widen(in.storage, load_global(in, view, base, index, bytes));

  const uint32_t log2_per_word = bytes == 1 ? 2 : 1;
  std::optional<Id> whole;
  if (base) {
    const Id low = features_.int64 ? u(SpvOp::u_convert, {*base}) : u(SpvOp::composite_extract, {*base, 0});
    const Id within = u(SpvOp::bitwise_and, {low, cu(3)});
    index = u(SpvOp::i_add, {index, u(SpvOp::shift_right_logical, {within, cu(bytes == 1 ? 0 : 1)})});
    if (features_.int64) {
      whole = module_.value(SpvOp::bitwise_and, u64_, {*base, module_.constant_u64(~uint64_t{3})});
    } else {
      const Id high = u(SpvOp::composite_extract, {*base, 1});
      whole = module_.value(SpvOp::composite_construct, scalar_type(Scalar::offset),
                            {u(SpvOp::bitwise_and, {low, cu(~3u)}), high});
    }
  }
  const Id word_index = u(SpvOp::shift_right_logical, {index, cu(log2_per_word)});
  const Id word = load_global(in, View::word, whole, word_index, 4);
  const Id part = u(SpvOp::bitwise_and, {index, cu((1u << log2_per_word) - 1)});
  const Id shift = u(SpvOp::shift_left_logical, {part, cu(bytes == 1 ? 3 : 4)});
  const Id lowered = u(SpvOp::shift_right_logical, {word, shift});
  if (in.storage == Storage::i8 || in.storage == Storage::i16) {
    const Id as_signed = as(Scalar::u32, Scalar::i32, lowered);
    return module_.value(SpvOp::bit_field_s_extract, i32_, {as_signed, cu(0), cu(bytes * 8)});
  }
  if (in.storage == Storage::f16) {
    const Id floats = glsl(Glsl::unpack_half_2x16, module_.type_vector(f32_, 2), {lowered});
    return f(SpvOp::composite_extract, {floats, 0});
  }
  if (in.storage == Storage::bf16) return float_of(u(SpvOp::shift_left_logical, {lowered, cu(16)}));
  return u(SpvOp::bitwise_and, {lowered, cu(bytes == 1 ? 0xff : 0xffff)});
}

/// A natively loaded small element as the 32-bit number it stands for.
Id KernelWriter::widen(Storage storage, Id value) {
  switch (storage) {
    case Storage::f16: return f(SpvOp::f_convert, {value});
    case Storage::bf16: return float_of(u(SpvOp::shift_left_logical, {u(SpvOp::u_convert, {value}), cu(16)}));
    case Storage::i8:
    case Storage::i16: return module_.value(SpvOp::s_convert, i32_, {value});
    default: return u(SpvOp::u_convert, {value});
  }
}

void KernelWriter::write_store(const ir::Instruction& in) {
  const ir::Type type = kernel_.at(in.operands[1]).type;
  const View view = word_view(type.lanes);
  Id index = operand(in, 0);
  if (type.lanes > 1) index = u(SpvOp::shift_right_logical, {index, cu(type.lanes == 2 ? 1 : 2)});
  Id value = operand(in, 1);
  if (type.scalar != Scalar::u32) value = module_.value(SpvOp::bitcast, element_type(view), {value});
  const Id pointer = element_pointer(in, view, base_of(in, 2), index);
  module_.body(SpvOp::store, {pointer, value, access(in), view_bytes(view)});
}

/// Relaxed: no ordering of other memory, so the semantics are none.
Id KernelWriter::write_atomic(const ir::Instruction& in) {
  const bool is_signed = in.type.scalar == Scalar::i32;
  const auto x = [&](uint32_t i) { return as(in.type.scalar, Scalar::u32, operand(in, i)); };
  if (in.op == Op::shared_atomic_add) {
    const Id place = shared_pointer(in.attr0, View::word, operand(in, 0), 1);
    return as(Scalar::u32, in.type.scalar, u(SpvOp::atomic_i_add, {place, cu(kScopeWorkgroup), cu(0), x(1)}));
  }
  const bool is_cas = in.op == Op::atomic_cas;
  const Id place = element_pointer(in, View::word, base_of(in, is_cas ? 3 : 2), operand(in, 0));
  const Id scope = cu(kScopeQueueFamily);
  if (is_cas) {
    const Id old = u(SpvOp::atomic_compare_exchange, {place, scope, cu(0), cu(0), x(2), x(1)});
    return as(Scalar::u32, in.type.scalar, old);
  }
  SpvOp op = SpvOp::atomic_i_add;
  if (in.op == Op::atomic_min) op = is_signed ? SpvOp::atomic_s_min : SpvOp::atomic_u_min;
  if (in.op == Op::atomic_max) op = is_signed ? SpvOp::atomic_s_max : SpvOp::atomic_u_max;
  return as(Scalar::u32, in.type.scalar, u(op, {place, scope, cu(0), x(1)}));
}

/// count * stride in 64 bits, as a number or as a pair of words.
Id KernelWriter::write_offset(const ir::Instruction& in) {
  if (features_.int64) {
    const Id count = module_.value(SpvOp::u_convert, u64_, {operand(in, 0)});
    const Id stride = module_.value(SpvOp::u_convert, u64_, {operand(in, 1)});
    return module_.value(SpvOp::i_mul, u64_, {count, stride});
  }
  const Id pair = module_.type_pair(u32_);
  const Id product = module_.value(SpvOp::u_mul_extended, pair, {operand(in, 0), operand(in, 1)});
  const Id low = u(SpvOp::composite_extract, {product, 0});
  const Id high = u(SpvOp::composite_extract, {product, 1});
  return module_.value(SpvOp::composite_construct, scalar_type(Scalar::offset), {low, high});
}

Id KernelWriter::add_offset(Id address, Id offset) {
  if (features_.int64) return module_.value(SpvOp::i_add, u64_, {address, offset});
  const auto part = [&](Id pair, uint32_t i) { return u(SpvOp::composite_extract, {pair, i}); };
  const Id low = part(address, 0);
  const Id sum = module_.value(SpvOp::i_add_carry, module_.type_pair(u32_), {low, part(offset, 0)});
  const Id high_address = part(address, 1);
  const Id high = u(SpvOp::i_add, {high_address, part(offset, 1)});
  return module_.value(SpvOp::composite_construct, scalar_type(Scalar::offset),
                       {part(sum, 0), u(SpvOp::i_add, {high, part(sum, 1)})});
}

}  // namespace tattletale::spirv

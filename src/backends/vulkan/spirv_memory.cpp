// Loads, stores and atomics in global memory.
#include "backends/vulkan/spirv_kernel_writer.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;
using ir::Storage;

/// Memory operands besides the alignment: what other threads may write is not private.
uint32_t KernelWriter::access(const ir::Instruction& in) const {
  if (kernel_.bindings[in.attr0].written) return kAligned | kNonPrivate;
  return kAligned | (in.op == Op::load && in.attr1 == 1 ? kNontemporal : 0);
}

Id KernelWriter::load_global(const ir::Instruction& in, View view, const Element& element) {
  const Id pointer = element_pointer(in, view, element);
  return module_.value(SpvOp::load, element_type(view), {pointer, access(in), 1u << view_log2_bytes(view)});
}

Id KernelWriter::write_load(const ir::Instruction& in) {
  if (ir::storage_bytes(in.storage) < 4) return write_small_load(in);
  const Id words = load_words(in, operand(in, 0), in.type.lanes);
  if (in.type.scalar == Scalar::u32) return words;
  return module_.value(SpvOp::bitcast, type_of(in.type), {words});
}

/// One or more u32 words; `index` in words, a multiple of `lanes`.
Id KernelWriter::load_words(const ir::Instruction& in, Id index, uint32_t lanes) {
  const View view = memory_view(in);
  if (view != View::word) {
    const Id vector = u(SpvOp::shift_right_logical, {index, cu(lanes == 2 ? 1 : 2)});
    return load_global(in, view, locate(in, vector, view_log2_bytes(view)));
  }
  const Element first = locate(in, index, 2);
  if (lanes == 1) return load_global(in, view, first);
  Words words{module_.type_vector(u32_, lanes), 0};
  for (uint32_t i = 0; i < lanes; ++i) {
    const Id place = i == 0 ? first.index : u(SpvOp::i_add, {first.index, cu(i)});
    words.push_back(load_global(in, view, {first.offset, place}));
  }
  words[1] = module_.new_id();
  module_.body(SpvOp::composite_construct, words);
  return words[1];
}

/// 8- and 16-bit elements: loaded as such where the device can, else cut out of their word. Bindings start
/// at whole words, but a base may lie within one.
Id KernelWriter::write_small_load(const ir::Instruction& in) {
  const uint32_t log2_bytes = ir::storage_bytes(in.storage) == 1 ? 0 : 1;
  const View view = native_view(in.storage);
  Element element = locate(in, operand(in, 0), log2_bytes);
  if (view != View::word) return widen(in.storage, load_global(in, view, element));

  if (element.offset) {
    const Id within = u(SpvOp::bitwise_and, {u(SpvOp::u_convert, {*element.offset}), cu(3)});
    const Id elements = u(SpvOp::shift_right_logical, {within, cu(log2_bytes)});
    element.index = u(SpvOp::i_add, {element.index, elements});
    const Id mask = module_.constant_u64(~uint64_t{3});
    element.offset = module_.value(SpvOp::bitwise_and, u64_, {*element.offset, mask});
  }
  const uint32_t log2_per_word = 2 - log2_bytes;
  const Id word_index = u(SpvOp::shift_right_logical, {element.index, cu(log2_per_word)});
  const Id word = load_global(in, view, {element.offset, word_index});
  const Id part = u(SpvOp::bitwise_and, {element.index, cu((1u << log2_per_word) - 1)});
  const Id shift = u(SpvOp::shift_left_logical, {part, cu(3 + log2_bytes)});
  return cut(in.storage, u(SpvOp::shift_right_logical, {word, shift}));
}

/// The number in the low bits of a word.
Id KernelWriter::cut(Storage storage, Id word) {
  const uint32_t bits = ir::storage_bytes(storage) * 8;
  switch (storage) {
    case Storage::i8:
    case Storage::i16: {
      const Id as_signed = as(Scalar::u32, Scalar::i32, word);
      return module_.value(SpvOp::bit_field_s_extract, i32_, {as_signed, cu(0), cu(bits)});
    }
    case Storage::f16: {
      const Id floats = glsl(Glsl::unpack_half_2x16, module_.type_vector(f32_, 2), {word});
      return f(SpvOp::composite_extract, {floats, 0});
    }
    case Storage::bf16: return float_of(u(SpvOp::shift_left_logical, {word, cu(16)}));
    default: return u(SpvOp::bitwise_and, {word, cu((1u << bits) - 1)});
  }
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
  const uint32_t log2_bytes = view_log2_bytes(view);
  const Id pointer = element_pointer(in, view, locate(in, index, log2_bytes));
  module_.body(SpvOp::store, {pointer, value, access(in), 1u << log2_bytes});
}

/// The same bits, as the result of an integer operation that no compiler sees through.
Id KernelWriter::from_integer(Id bits) {
  if (!features_.float_atomic_fault) return bits;
  return u(SpvOp::bitwise_or, {bits, u(SpvOp::shift_right_logical, {local_id_, cu(31)})});
}

/// Relaxed: no ordering of other memory, so the semantics are none.
Id KernelWriter::write_atomic(const ir::Instruction& in) {
  const bool is_signed = in.type.scalar == Scalar::i32;
  const auto x = [&](uint32_t i) { return from_integer(as(in.type.scalar, Scalar::u32, operand(in, i))); };
  if (in.op == Op::shared_atomic_add) {
    const Id place = shared_pointer(in.attr0, View::word, operand(in, 0), 1);
    return as(Scalar::u32, in.type.scalar, u(SpvOp::atomic_i_add, {place, cu(kScopeWorkgroup), cu(0), x(1)}));
  }
  const bool is_cas = in.op == Op::atomic_cas;
  const Id place = element_pointer(in, View::word, locate(in, operand(in, 0), 2));
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

}  // namespace tattletale::spirv

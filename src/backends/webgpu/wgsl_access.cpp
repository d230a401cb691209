// Loads, stores, copies and atomics of WgslBody. Arrays hold words (u32) or vectors of words; numbers are
// bits of them, so that no packed integer ever passes through a float (which may flush it to zero).
#include "backends/webgpu/wgsl_body.h"

namespace tattletale::webgpu {

using ir::Instruction;
using ir::Op;
using ir::Storage;
using ir::Value;

namespace {

const char* shift_of(uint8_t lanes) {
  return lanes == 4 ? " >> 2u" : " >> 1u";
}

/// Words as the type a register has.
std::string from_words(const std::string& words, ir::Type type) {
  if (type.scalar == ir::Scalar::u32) return words;
  return "bitcast<" + wgsl_type(type) + ">(" + words + ")";
}

}  // namespace

std::string WgslBody::element_index(Value, const Instruction& in, uint32_t index_operand,
                                    uint32_t base_operand, uint32_t bytes) {
  const std::string index = operand(in, index_operand);
  if (base_operand >= in.num_operands) return index;
  const std::string base = operand(in, base_operand);
  if (bytes == 1) return named("e", base + " + " + index);
  return named("e", "(" + base + (bytes == 4 ? " >> 2u) + " : " >> 1u) + ") + index);
}

std::string WgslBody::words(const std::string& array, const MemoryShape& shape, const std::string& index,
                            uint32_t lanes) {
  if (shape.atomic || shape.lanes == 1) {
    const auto word = [&](uint32_t lane) {
      const std::string at =
          array + "[" + index + (lane == 0 ? "" : " + " + std::to_string(lane) + "u") + "]";
      if (!shape.atomic) return at;
      return shape.atomic_signed ? "bitcast<u32>(atomicLoad(&" + at + "))" : "atomicLoad(&" + at + ")";
    };
    if (lanes == 1) return word(0);
    std::string all = "vec" + std::to_string(lanes) + "<u32>(" + word(0);
    for (uint32_t lane = 1; lane < lanes; ++lane) all += ", " + word(lane);
    return all + ")";
  }
  const std::string element = index + shift_of(shape.lanes);
  if (lanes == 1) return array + "[" + element + "][" + index + (shape.lanes == 4 ? " & 3u]" : " & 1u]");
  if (lanes == shape.lanes) return array + "[" + element + "]";
  if (lanes == 2) {
    const std::string whole = named("w", array + "[" + element + "]");
    return "select(" + whole + ".xy, " + whole + ".zw, (" + index + " & 2u) != 0u)";
  }
  return "vec4<u32>(" + array + "[" + element + "], " + array + "[(" + element + ") + 1u])";
}

std::string WgslBody::narrow(const std::string& array, const MemoryShape& shape, const std::string& element,
                             Storage storage) {
  const bool bytes = ir::storage_bytes(storage) == 1;
  const std::string index = named("at", element + (bytes ? " >> 2u" : " >> 1u"));
  const std::string word = named("w", words(array, shape, index, 1));
  const std::string shift = bytes ? "((" + element + " & 3u) << 3u)" : "((" + element + " & 1u) << 4u)";
  switch (storage) {
    case Storage::f16: return unpack_half(word + " >> " + shift);
    case Storage::bf16: return "bitcast<f32>((" + word + " >> " + shift + ") << 16u)";
    case Storage::u16: return "(" + word + " >> " + shift + ") & 0xffffu";
    case Storage::u8: return "(" + word + " >> " + shift + ") & 0xffu";
    case Storage::i16: return "bitcast<i32>(" + word + " << (16u - " + shift + ")) >> 16u";
    default: return "bitcast<i32>(" + word + " << (24u - " + shift + ")) >> 24u";
  }
}

std::string WgslBody::load(Value value, const Instruction& in, bool shared) {
  const MemoryShape& shape = shared ? plan_.shared[in.attr0] : plan_.bindings[in.attr0];
  const std::string array = shared ? wgsl_name('s', in.attr0, kernel_.shared[in.attr0].name)
                                   : wgsl_name('b', in.attr0, kernel_.bindings[in.attr0].name);
  const uint32_t bytes = ir::storage_bytes(in.storage);
  const std::string index = element_index(value, in, 0, shared ? UINT32_MAX : 1, bytes);
  if (bytes < 4) return narrow(array, shape, index, in.storage);
  return from_words(words(array, shape, index, in.type.lanes), in.type);
}

void WgslBody::store_words(const std::string& array, const MemoryShape& shape, const std::string& index,
                           const std::string& value, ir::Type type) {
  static constexpr const char* kLanes[] = {".x", ".y", ".z", ".w"};
  const ir::Type words{ir::Scalar::u32, type.lanes};
  const std::string bits =
      type.scalar == ir::Scalar::u32 ? value : "bitcast<" + wgsl_type(words) + ">(" + value + ")";
  if (shape.lanes == type.lanes && !shape.atomic) {
    line(array + "[" + index + (shape.lanes == 1 ? "" : shift_of(shape.lanes)) + "] = " + bits + ";");
    return;
  }
  const std::string all = named("w", bits);
  if (shape.lanes == 2) {  // a vector of four in pairs
    const std::string pair = named("at", index + " >> 1u");
    line(array + "[" + pair + "] = " + all + ".xy;");
    line(array + "[" + pair + " + 1u] = " + all + ".zw;");
    return;
  }
  for (uint32_t lane = 0; lane < type.lanes; ++lane) {
    const std::string at = array + "[" + index + (lane == 0 ? "" : " + " + std::to_string(lane) + "u") + "]";
    const std::string word = type.lanes == 1 ? all : all + kLanes[lane];
    if (!shape.atomic)
      line(at + " = " + word + ";");
    else if (shape.atomic_signed)
      line("atomicStore(&" + at + ", bitcast<i32>(" + word + "));");
    else
      line("atomicStore(&" + at + ", " + word + ");");
  }
}

void WgslBody::store(const Instruction& in, bool shared) {
  const MemoryShape& shape = shared ? plan_.shared[in.attr0] : plan_.bindings[in.attr0];
  const std::string array = shared ? wgsl_name('s', in.attr0, kernel_.shared[in.attr0].name)
                                   : wgsl_name('b', in.attr0, kernel_.bindings[in.attr0].name);
  const std::string index = element_index({}, in, 0, shared ? UINT32_MAX : 2, 4);
  store_words(array, shape, index, operand(in, 1), kernel_.at(in.operands[1]).type);
}

void WgslBody::copy_async(Value value, const Instruction& in) {
  const std::string from = wgsl_name('b', in.attr0, kernel_.bindings[in.attr0].name);
  const std::string to = wgsl_name('s', in.attr1, kernel_.shared[in.attr1].name);
  const std::string source = element_index(value, in, 1, 2, 4);
  const std::string four = named("w", words(from, plan_.bindings[in.attr0], source, 4));
  store_words(to, plan_.shared[in.attr1], operand(in, 0), four, ir::Type{ir::Scalar::u32, 4});
}

void WgslBody::atomic(Value value, const Instruction& in, bool shared) {
  const MemoryShape& shape = shared ? plan_.shared[in.attr0] : plan_.bindings[in.attr0];
  const std::string array = shared ? wgsl_name('s', in.attr0, kernel_.shared[in.attr0].name)
                                   : wgsl_name('b', in.attr0, kernel_.bindings[in.attr0].name);
  const uint32_t base = shared ? UINT32_MAX : in.op == Op::atomic_cas ? 3 : 2;
  const std::string at = "&" + array + "[" + element_index(value, in, 0, base, 4) + "]";
  const std::string held = shape.atomic_signed ? "i32" : "u32";
  const ir::Type held_type = shape.atomic_signed ? ir::kI32 : ir::kU32;
  const auto as_held = [&](uint32_t index) {
    const bool same = kernel_.at(in.operands[index]).type == held_type;
    return same ? operand(in, index) : "bitcast<" + held + ">(" + operand(in, index) + ")";
  };
  const auto as_result = [&](const std::string& old) {
    return in.type == held_type ? old : "bitcast<" + wgsl_type(in.type) + ">(" + old + ")";
  };
  const std::string& name = names_[value.index];
  const bool order = in.op == Op::atomic_min || in.op == Op::atomic_max;
  if (in.op == Op::atomic_add || in.op == Op::shared_atomic_add) {
    line("let " + name + " = " + as_result("atomicAdd(" + at + ", " + as_held(1) + ")") + ";");
    return;
  }
  if (order && in.type == held_type) {
    line("let " + name + " = " + (in.op == Op::atomic_min ? "atomicMin(" : "atomicMax(") + at + ", " +
         operand(in, 1) + ");");
    return;
  }
  // Compare-exchange may fail for no reason, so it is tried until it did exchange or the word differs.
  const std::string old = fresh("old"), tried = fresh("tried");
  line("var " + old + ": " + held + ";");
  line("loop {");
  ++depth_;
  if (order) {  // of the other signedness than the array
    line(old + " = atomicLoad(" + at + ");");
    const std::string next =
        std::string(in.op == Op::atomic_min ? "min(" : "max(") + as_result(old) + ", " + operand(in, 1) + ")";
    line("let " + tried + " = atomicCompareExchangeWeak(" + at + ", " + old + ", bitcast<" + held + ">(" +
         next + "));");
    line("if (" + tried + ".exchanged) { break; }");
  } else {
    line("let " + tried + " = atomicCompareExchangeWeak(" + at + ", " + as_held(1) + ", " + as_held(2) +
         ");");
    line(old + " = " + tried + ".old_value;");
    line("if (" + tried + ".exchanged || " + old + " != " + as_held(1) + ") { break; }");
  }
  --depth_;
  line("}");
  line("let " + name + " = " + as_result(old) + ";");
}

}  // namespace tattletale::webgpu

// Expressions of WgslBody: arithmetic, conversions, mathematics, subgroup operations. Each yields the text of
// one value from the names of its operands.
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include "backends/webgpu/wgsl_body.h"

namespace tattletale::webgpu {

using ir::Instruction;
using ir::Op;
using ir::Value;

std::string WgslBody::operand(const Instruction& in, uint32_t index) const {
  return names_[in.operands[index].index];
}

/// A literal, or nothing for a float that WGSL cannot spell (infinities, NaNs, subnormals).
static std::string literal(ir::Type type, uint32_t bits) {
  switch (type.scalar) {
    case ir::Scalar::boolean: return bits != 0 ? "true" : "false";
    case ir::Scalar::i32: {
      const int32_t value = std::bit_cast<int32_t>(bits);
      return value < 0 ? "i32(" + std::to_string(value) + ")" : std::to_string(value) + "i";
    }
    case ir::Scalar::f32: {
      const float value = std::bit_cast<float>(bits);
      if (!std::isfinite(value) || (value != 0 && !std::isnormal(value)) || bits == 0x80000000u) return "";
      std::array<char, 32> digits;
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), std::abs(value)).ptr;
      const std::string size(digits.data(), end);
      return value < 0 ? "(-" + size + "f)" : size + "f";
    }
    default: return std::to_string(bits) + "u";
  }
}

void WgslBody::name_constant(Value value, const Instruction& in) {
  std::string text = literal(in.type, in.attr0);
  if (text.empty()) {
    const std::string bits = fresh("c");
    line("var " + bits + " = " + std::to_string(in.attr0) + "u;");
    text = named("c", "bitcast<f32>(" + bits + ")");
  }
  names_[value.index] = text;
}

std::string WgslBody::call(WgslFunction function, std::string_view name, const std::string& arguments) {
  needs_.functions |= static_cast<uint32_t>(function);
  return std::string(name) + "(" + arguments + ")";
}

/// WGSL lets compilers fuse and reorder float arithmetic, and has no word against it. Or-ing in a zero that
/// no compiler can know (a grid is never 2^30 workgroups long) ends the expression.
std::string WgslBody::opaque(const std::string& x) {
  needs_.num_workgroups = true;
  return "bitcast<f32>(bitcast<u32>(" + x + ") | (num_workgroups.x >> 30u))";
}

/// A product that a strict sum must not be fused with.
bool WgslBody::may_be_fused(Value value) const {
  const Instruction& in = kernel_.at(value);
  switch (in.op) {
    case Op::mul: return !in.strict;
    case Op::neg:
    case Op::local_get:
    case Op::select: return true;
    default: return false;
  }
}

std::string WgslBody::integer_or_float(const Instruction& in, const std::string& a, const std::string& b,
                                       const std::string& c) {
  const bool boolean = kernel_.at(in.operands[0]).type == ir::kBool;
  switch (in.op) {
    case Op::add: return a + " + " + b;
    case Op::sub: return a + " - " + b;
    case Op::mul: return a + " * " + b;
    case Op::div: return a + " / " + b;
    case Op::rem: return a + " % " + b;
    case Op::mul_hi: return call(WgslFunction::mul_hi, "mul_hi", a + ", " + b);
    case Op::min: return "min(" + a + ", " + b + ")";
    case Op::max: return "max(" + a + ", " + b + ")";
    case Op::neg: return "-" + a;
    case Op::abs: return "abs(" + a + ")";
    case Op::fma: return "fma(" + a + ", " + b + ", " + c + ")";
    case Op::bit_and: return a + (boolean ? " && " : " & ") + b;
    case Op::bit_or: return a + (boolean ? " || " : " | ") + b;
    case Op::bit_xor: return a + (boolean ? " != " : " ^ ") + b;
    case Op::bit_not: return (boolean ? "!" : "~") + a;
    case Op::shl: return a + " << " + b;
    case Op::shr: return a + " >> " + b;
    case Op::popcount: return "countOneBits(" + a + ")";
    // Two shifts on the left: one by 32 - count would be by 32 when count is 0.
    case Op::funnel_shr: return "(" + b + " >> " + c + ") | ((" + a + " << 1u) << (31u - " + c + "))";
    case Op::dot4_i8:
      if (target_.dot4_i8) return c + " + dot4I8Packed(" + a + ", " + b + ")";
      return c + " + " + call(WgslFunction::dot4_i8, "dot4_i8", a + ", " + b);
    case Op::eq: return a + " == " + b;
    case Op::ne: return a + " != " + b;
    case Op::lt: return a + " < " + b;
    case Op::le: return a + " <= " + b;
    case Op::gt: return a + " > " + b;
    case Op::ge: return a + " >= " + b;
    case Op::select: return "select(" + c + ", " + b + ", " + a + ")";
    default: return "";
  }
}

std::string WgslBody::mathematics(const Instruction& in, const std::string& x) {
  switch (in.op) {
    case Op::to_f32:
      if (dialect_.native_u32_to_f32 || kernel_.at(in.operands[0]).type != ir::kU32) return "f32(" + x + ")";
      // Both halves are exact, so the only rounding is that of the sum.
      return "fma(f32(" + x + " >> 16u), 65536f, f32(" + x + " & 0xffffu))";
    case Op::to_i32: return "i32(" + x + ")";
    case Op::to_u32: return "u32(" + x + ")";
    case Op::bitcast: return "bitcast<" + wgsl_type(in.type) + ">(" + x + ")";
    case Op::sqrt: return "sqrt(" + x + ")";
    case Op::rsqrt: return "inverseSqrt(" + x + ")";
    case Op::exp2:
      return dialect_.native_exp2 ? "exp2(" + x + ")" : call(WgslFunction::scaled_exp2, "scaled_exp2", x);
    case Op::log2: return "log2(" + x + ")";
    case Op::sin: return call(WgslFunction::exact_sin, "exact_sin", x);
    case Op::cos: return call(WgslFunction::exact_cos, "exact_cos", x);
    case Op::floor: return "floor(" + x + ")";
    case Op::tanh: return call(WgslFunction::exact_tanh, "exact_tanh", x);
    default: return "";
  }
}

std::string WgslBody::unpack_half(const std::string& word) {
  if (dialect_.native_unpack) return "unpack2x16float(" + word + ").x";
  return call(WgslFunction::unpack_half, "unpack_half", word);
}

std::string WgslBody::packing(const Instruction& in, const std::string& a, const std::string& b) {
  switch (in.op) {
    case Op::pack_f16x2:
      if (dialect_.native_pack) return "pack2x16float(vec2<f32>(" + a + ", " + b + "))";
      return call(WgslFunction::pack_half, "pack_half", a) + " | (" +
             call(WgslFunction::pack_half, "pack_half", b) + " << 16u)";
    case Op::pack_bf16x2:
      return call(WgslFunction::pack_bfloat, "pack_bfloat", a) + " | (" +
             call(WgslFunction::pack_bfloat, "pack_bfloat", b) + " << 16u)";
    case Op::unpack_f16_lo: return unpack_half(a);
    case Op::unpack_f16_hi:
      return dialect_.native_unpack ? "unpack2x16float(" + a + ").y" : unpack_half(a + " >> 16u");
    default: return "";
  }
}

Result<std::string> WgslBody::subgroup(Value value, const Instruction& in, const std::string& a,
                                       const std::string& b) {
  if (target_.subgroup_size < 2 || kernel_.subgroup_size < 2) {
    return unsupported(value, "needs subgroups, and this target has none");
  }
  needs_.subgroups = true;
  if (uniformity_.of_region[region_] > ir::Uniformity::workgroup) needs_.divergent_subgroups = true;
  switch (in.op) {
    case Op::subgroup_add: return "subgroupAdd(" + a + ")";
    case Op::subgroup_max: return "subgroupMax(" + a + ")";
    case Op::subgroup_min: return "subgroupMin(" + a + ")";
    case Op::shuffle_xor: return "subgroupShuffleXor(" + a + ", " + b + ")";
    case Op::shuffle: return "subgroupShuffle(" + a + ", " + b + ")";
    case Op::subgroup_any: return "subgroupAny(" + a + ")";
    default: return "subgroupAll(" + a + ")";
  }
}

Result<std::string> WgslBody::expression(Value value, const Instruction& in) {
  static constexpr const char* kAxes[] = {".x", ".y", ".z", ".w"};
  std::array<std::string, 4> names;
  bool all_constant = in.num_operands > 0;
  for (uint32_t i = 0; i < in.num_operands; ++i) {
    names[i] = operand(in, i);
    all_constant = all_constant && kernel_.at(in.operands[i]).op == Op::constant;
  }
  if (all_constant) {  // WGSL compilers evaluate what they can, and refuse a program that overflows on the
                       // way
    const std::string hidden = fresh("c");
    line("var " + hidden + " = " + names[0] + ";");
    names[0] = hidden;
  }
  const auto& [a, b, c, d] = names;
  switch (in.op) {
    case Op::workgroup_id: needs_.workgroup_id = true; return std::string("workgroup_id") + kAxes[in.attr0];
    case Op::num_workgroups:
      needs_.num_workgroups = true;
      return std::string("num_workgroups") + kAxes[in.attr0];
    case Op::local_id: needs_.local_id = true; return std::string("local_id");
    case Op::lane_id:
      needs_.local_id = true;
      return "local_id % " + std::to_string(kernel_.subgroup_size) + "u";
    case Op::subgroup_id:
      needs_.local_id = true;
      return "local_id / " + std::to_string(kernel_.subgroup_size) + "u";
    case Op::add:
    case Op::sub:
    case Op::mul: {
      if (!in.strict || in.type != ir::kF32) return integer_or_float(in, a, b, c);
      const bool sum = in.op != Op::mul;
      const std::string left = sum && may_be_fused(in.operands[0]) ? opaque(a) : a;
      const std::string right = sum && may_be_fused(in.operands[1]) ? opaque(b) : b;
      return opaque(integer_or_float(in, left, right, c));
    }
    case Op::fma_f16x2:
    case Op::add_f16x2:
    case Op::mul_f16x2: {
      if (!target_.f16x2) return unsupported(value, "needs packed half arithmetic, and this target has none");
      needs_.f16 = true;
      const auto halves = [](const std::string& x) { return "bitcast<vec2<f16>>(" + x + ")"; };
      if (in.op == Op::fma_f16x2) {
        return "bitcast<u32>(fma(" + halves(a) + ", " + halves(b) + ", " + halves(c) + "))";
      }
      return "bitcast<u32>(" + halves(a) + (in.op == Op::add_f16x2 ? " + " : " * ") + halves(b) + ")";
    }
    case Op::make_vector:
      return wgsl_type(in.type) + "(" + a + ", " + b + (in.num_operands == 4 ? ", " + c + ", " + d : "") +
             ")";
    case Op::extract: return a + kAxes[in.attr0];
    case Op::local_get: return wgsl_name('l', in.attr0, kernel_.locals[in.attr0].name);
    case Op::offset: return a + " * " + b;
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
    case Op::shuffle_xor:
    case Op::shuffle:
    case Op::subgroup_any:
    case Op::subgroup_all: return subgroup(value, in, a, b);
    default: break;
  }
  for (const std::string& text : {integer_or_float(in, a, b, c), mathematics(in, a), packing(in, a, b)}) {
    if (!text.empty()) return text;
  }
  return unsupported(value, "has no form in WGSL");
}

}  // namespace tattletale::webgpu

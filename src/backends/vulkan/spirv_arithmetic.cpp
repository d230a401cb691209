// Arithmetic, bit operations, comparisons and conversions.
#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::Scalar;

std::optional<Id> KernelWriter::write_arithmetic(const ir::Instruction& in) {
  const Scalar scalar = in.type.scalar;
  const bool is_float = scalar == Scalar::f32;
  const bool is_signed = scalar == Scalar::i32;
  const auto x = [&](uint32_t i) { return operand(in, i); };
  const auto binary = [&](SpvOp float_op, SpvOp int_op) {
    const Id id = module_.value(is_float ? float_op : int_op, type_of(in.type), {x(0), x(1)});
    if (is_float && in.strict) module_.decorate(id, Decoration::no_contraction);
    return id;
  };
  const auto extreme = [&](Glsl float_op, Glsl signed_op, Glsl unsigned_op) {
    return glsl(is_float ? float_op : (is_signed ? signed_op : unsigned_op), type_of(in.type), {x(0), x(1)});
  };
  switch (in.op) {
    case Op::add: return binary(SpvOp::f_add, SpvOp::i_add);
    case Op::sub: return binary(SpvOp::f_sub, SpvOp::i_sub);
    case Op::mul: return binary(SpvOp::f_mul, SpvOp::i_mul);
    case Op::div: return binary(SpvOp::f_div, is_signed ? SpvOp::s_div : SpvOp::u_div);
    case Op::rem:
      return module_.value(is_signed ? SpvOp::s_rem : SpvOp::u_mod, type_of(in.type), {x(0), x(1)});
    case Op::mul_hi: {
      const Id product = module_.value(SpvOp::u_mul_extended, module_.type_pair(u32_), {x(0), x(1)});
      return u(SpvOp::composite_extract, {product, 1});
    }
    case Op::min: return extreme(Glsl::f_min, Glsl::s_min, Glsl::u_min);
    case Op::max: return extreme(Glsl::f_max, Glsl::s_max, Glsl::u_max);
    case Op::neg:
      return module_.value(is_float ? SpvOp::f_negate : SpvOp::s_negate, type_of(in.type), {x(0)});
    case Op::abs: return glsl(is_float ? Glsl::f_abs : Glsl::s_abs, type_of(in.type), {x(0)});
    case Op::fma: return glsl(Glsl::fma, f32_, {x(0), x(1), x(2)});
    default: return std::nullopt;
  }
}

std::optional<Id> KernelWriter::write_bits(const ir::Instruction& in) {
  const bool is_bool = in.type == ir::kBool;
  const auto x = [&](uint32_t i) { return operand(in, i); };
  const auto binary = [&](SpvOp bits, SpvOp logical) {
    return module_.value(is_bool ? logical : bits, type_of(in.type), {x(0), x(1)});
  };
  switch (in.op) {
    case Op::bit_and: return binary(SpvOp::bitwise_and, SpvOp::logical_and);
    case Op::bit_or: return binary(SpvOp::bitwise_or, SpvOp::logical_or);
    case Op::bit_xor: return binary(SpvOp::bitwise_xor, SpvOp::logical_not_equal);
    case Op::bit_not:
      return module_.value(is_bool ? SpvOp::logical_not : SpvOp::bit_not, type_of(in.type), {x(0)});
    case Op::shl: return binary(SpvOp::shift_left_logical, SpvOp::shift_left_logical);
    case Op::shr: {
      const bool arithmetic = in.type == ir::kI32;
      return module_.value(arithmetic ? SpvOp::shift_right_arithmetic : SpvOp::shift_right_logical,
                           type_of(in.type), {x(0), x(1)});
    }
    case Op::popcount: return u(SpvOp::bit_count, {x(0)});
    case Op::funnel_shr: {  // two shifts on the left, so that a count of 0 shifts by no more than 31
      const Id high = u(SpvOp::shift_left_logical, {x(0), cu(1)});
      const Id rest = u(SpvOp::i_sub, {cu(31), x(2)});
      return u(SpvOp::bitwise_or,
               {u(SpvOp::shift_left_logical, {high, rest}), u(SpvOp::shift_right_logical, {x(1), x(2)})});
    }
    case Op::dot4_i8: return write_dot4(in);
    default: return std::nullopt;
  }
}

Id KernelWriter::write_dot4(const ir::Instruction& in) {
  Id sum = operand(in, 2);
  if (features_.packed_dot) {
    module_.add_capability(Capability::dot_product);
    module_.add_capability(Capability::dot_product_input_4x8bit_packed);
    const Id dot = module_.value(SpvOp::s_dot, i32_, {operand(in, 0), operand(in, 1), kPackedVector4x8Bit});
    return module_.value(SpvOp::i_add, i32_, {dot, sum});
  }
  const Id a = as(Scalar::u32, Scalar::i32, operand(in, 0));
  const Id b = as(Scalar::u32, Scalar::i32, operand(in, 1));
  for (uint32_t byte = 0; byte < 4; ++byte) {
    const auto part = [&](Id word) {
      return module_.value(SpvOp::bit_field_s_extract, i32_, {word, cu(byte * 8), cu(8)});
    };
    const Id left = part(a);
    const Id product = module_.value(SpvOp::i_mul, i32_, {left, part(b)});
    sum = module_.value(SpvOp::i_add, i32_, {sum, product});
  }
  return sum;
}

std::optional<Id> KernelWriter::write_comparison(const ir::Instruction& in) {
  if (in.op == Op::select) {
    return module_.value(SpvOp::select, type_of(in.type), {operand(in, 0), operand(in, 1), operand(in, 2)});
  }
  if (in.op < Op::eq || in.op > Op::ge) return std::nullopt;
  // Rows: eq ne lt le gt ge; columns: f32, i32, u32, bool.
  static constexpr SpvOp kTable[6][4] = {
      {SpvOp::f_ord_equal, SpvOp::i_equal, SpvOp::i_equal, SpvOp::logical_equal},
      {SpvOp::f_unord_not_equal, SpvOp::i_not_equal, SpvOp::i_not_equal, SpvOp::logical_not_equal},
      {SpvOp::f_ord_less_than, SpvOp::s_less_than, SpvOp::u_less_than, SpvOp{}},
      {SpvOp::f_ord_less_than_equal, SpvOp::s_less_than_equal, SpvOp::u_less_than_equal, SpvOp{}},
      {SpvOp::f_ord_greater_than, SpvOp::s_greater_than, SpvOp::u_greater_than, SpvOp{}},
      {SpvOp::f_ord_greater_than_equal, SpvOp::s_greater_than_equal, SpvOp::u_greater_than_equal, SpvOp{}},
  };
  const Scalar scalar = kernel_.at(in.operands[0]).type.scalar;
  const size_t column = scalar == Scalar::f32 ? 0 : scalar == Scalar::i32 ? 1 : scalar == Scalar::u32 ? 2 : 3;
  const size_t row = static_cast<size_t>(in.op) - static_cast<size_t>(Op::eq);
  CHECK(kTable[row][column] != SpvOp{});
  return b(kTable[row][column], {operand(in, 0), operand(in, 1)});
}

Id KernelWriter::write_to_f32(Id x, Scalar from) {
  if (from == Scalar::i32) return f(SpvOp::convert_s_to_f, {x});
  if (!features_.inexact_u32_to_f32) return f(SpvOp::convert_u_to_f, {x});
  // Both halves convert exactly, so only their sum rounds.
  const Id high = f(SpvOp::convert_u_to_f, {u(SpvOp::shift_right_logical, {x, cu(16)})});
  const Id low = f(SpvOp::convert_u_to_f, {u(SpvOp::bitwise_and, {x, cu(0xffff)})});
  return f(SpvOp::f_add, {f(SpvOp::f_mul, {high, cf(65536.0f)}), low});
}

std::optional<Id> KernelWriter::write_conversion(const ir::Instruction& in) {
  if (in.op != Op::to_f32 && in.op != Op::to_i32 && in.op != Op::to_u32 && in.op != Op::bitcast) {
    return std::nullopt;
  }
  const Scalar from = kernel_.at(in.operands[0]).type.scalar;
  const Id x = operand(in, 0);
  if (in.op == Op::to_f32) return write_to_f32(x, from);
  if (from == Scalar::f32 && in.op == Op::to_i32) return module_.value(SpvOp::convert_f_to_s, i32_, {x});
  if (from == Scalar::f32 && in.op == Op::to_u32) return u(SpvOp::convert_f_to_u, {x});
  return as(from, in.type.scalar, x);
}

}  // namespace tattletale::spirv

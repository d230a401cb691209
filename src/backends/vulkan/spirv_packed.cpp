// Packed halves: f16 and bf16 pairs in words, with rounding to nearest even whatever the driver's own
// conversion does (GLSL.std.450 PackHalf2x16 leaves the rounding open).
#include "backends/vulkan/spirv_kernel_writer.h"

namespace tattletale::spirv {

using ir::Op;

Id KernelWriter::half2_type() {
  module_.add_capability(Capability::float16);
  return module_.type_vector(module_.type_float(16), 2);
}

/// The f16 nearest to x, ties to even, as the low 16 bits of a word; the arithmetic of tensor/float16.h.
Id KernelWriter::half_bits(Id x) {
  const Id bits = bits_of(x);
  const Id sign = u(SpvOp::bitwise_and, {u(SpvOp::shift_right_logical, {bits, cu(16)}), cu(0x8000)});
  const Id magnitude = u(SpvOp::bitwise_and, {bits, cu(0x7fffffff)});
  const Id odd = u(SpvOp::bitwise_and, {u(SpvOp::shift_right_logical, {magnitude, cu(13)}), cu(1)});
  // Normal results: round the mantissa, then move the exponent's bias from 127 to 15.
  const Id rounded = u(SpvOp::i_add, {u(SpvOp::i_add, {magnitude, cu(0xfff - (112u << 23))}), odd});
  const Id normal = u(SpvOp::shift_right_logical, {rounded, cu(13)});
  // Subnormal results: the float sum with 0.5 rounds at 2^-24.
  const Id sum = f(SpvOp::f_add, {float_of(magnitude), cf(0.5f)});
  const Id subnormal = u(SpvOp::i_sub, {bits_of(sum), cu(0x3f000000)});
  const Id small = b(SpvOp::u_less_than, {magnitude, cu(0x38800000)});
  Id result = u(SpvOp::select, {small, subnormal, normal});
  const Id large = b(SpvOp::u_greater_than_equal, {magnitude, cu(0x477ff000)});  // rounds past 65504
  result = u(SpvOp::select, {large, cu(0x7c00), result});
  const Id nan = b(SpvOp::u_greater_than, {magnitude, cu(0x7f800000)});
  result = u(SpvOp::select, {nan, cu(0x7e00), result});
  return u(SpvOp::bitwise_or, {sign, result});
}

/// The bf16 nearest to x, ties to even, as the low 16 bits of a word.
Id KernelWriter::bfloat16_bits(Id x) {
  const Id bits = bits_of(x);
  const Id high = u(SpvOp::shift_right_logical, {bits, cu(16)});
  const Id odd = u(SpvOp::bitwise_and, {high, cu(1)});
  const Id rounded =
      u(SpvOp::shift_right_logical, {u(SpvOp::i_add, {u(SpvOp::i_add, {bits, cu(0x7fff)}), odd}), cu(16)});
  const Id magnitude = u(SpvOp::bitwise_and, {bits, cu(0x7fffffff)});
  const Id nan = b(SpvOp::u_greater_than, {magnitude, cu(0x7f800000)});
  return u(SpvOp::select, {nan, u(SpvOp::bitwise_or, {high, cu(0x40)}), rounded});
}

Result<std::optional<Id>> KernelWriter::write_packed(const ir::Instruction& in) {
  const auto pair = [&](Id low, Id high) {
    return u(SpvOp::bitwise_or, {low, u(SpvOp::shift_left_logical, {high, cu(16)})});
  };
  switch (in.op) {
    case Op::pack_f16x2: {
      if (!features_.f16_round_to_even) {
        const Id low = half_bits(operand(in, 0));
        return pair(low, half_bits(operand(in, 1)));
      }
      module_.add_capability(Capability::rounding_mode_rte);
      const Id floats = module_.value(SpvOp::composite_construct, module_.type_vector(f32_, 2),
                                      {operand(in, 0), operand(in, 1)});
      return u(SpvOp::bitcast, {module_.value(SpvOp::f_convert, half2_type(), {floats})});
    }
    case Op::pack_bf16x2: {
      const Id low = bfloat16_bits(operand(in, 0));
      return pair(low, bfloat16_bits(operand(in, 1)));
    }
    case Op::unpack_f16_lo:
    case Op::unpack_f16_hi: {
      const uint32_t lane = in.op == Op::unpack_f16_hi;
      if (features_.float16) {
        const Id half = module_.value(SpvOp::composite_extract, module_.type_float(16),
                                      {pair_of_halves(operand(in, 0)), lane});
        return f(SpvOp::f_convert, {half});
      }
      const Id floats = glsl(Glsl::unpack_half_2x16, module_.type_vector(f32_, 2), {operand(in, 0)});
      return f(SpvOp::composite_extract, {floats, lane});
    }
    case Op::fma_f16x2:
    case Op::add_f16x2:
    case Op::mul_f16x2: {
      if (!features_.float16) return unsupported("needs shaderFloat16");
      const Id x = pair_of_halves(operand(in, 0));
      const Id y = pair_of_halves(operand(in, 1));
      if (in.op == Op::fma_f16x2) {
        return u(SpvOp::bitcast, {glsl(Glsl::fma, half2_type(), {x, y, pair_of_halves(operand(in, 2))})});
      }
      const SpvOp op = in.op == Op::add_f16x2 ? SpvOp::f_add : SpvOp::f_mul;
      return u(SpvOp::bitcast, {module_.value(op, half2_type(), {x, y})});
    }
    default: return std::optional<Id>();
  }
}

}  // namespace tattletale::spirv

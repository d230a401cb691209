// What a target lacks, by what it has. Packed halves are computed in f32 and rounded once more, which for
// sums and products is exact rounding (24 bits >= 2 * 11 + 2); a fused multiply-add needs the sum rounded to
// odd first. Sources: Figueroa 1995, "When is double rounding innocuous?"; Boldo & Melquiond 2008, "Emulation
// of a FMA and correctly rounded sums: proved algorithms using rounding to odd".
#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

class Legaliser : public Rewriter {
 public:
  Legaliser(ir::Kernel& kernel, const ir::TargetInfo& target) : Rewriter(kernel), target_(target) {}

 private:
  void visit(Value value, const Instruction& in) override {
    switch (in.op) {
      case Op::dot4_i8: return target_.dot4_i8 ? keep(value) : replace(value, dot4(in));
      case Op::funnel_shr: return target_.funnel_shift ? keep(value) : replace(value, funnel(in));
      case Op::fma_f16x2:
      case Op::add_f16x2:
      case Op::mul_f16x2: return target_.f16x2 ? keep(value) : replace(value, halves(in));
      case Op::copy_async: return target_.async_copy ? keep(value) : copy_now(in);
      case Op::copy_commit:
      case Op::copy_wait:
        if (target_.async_copy) keep(value);
        return;
      default: return keep(value);
    }
  }

  Value u32(uint32_t bits) { return constant(ir::kU32, bits); }

  Value signed_byte(Value word, uint32_t byte) {
    Value shifted = word;
    if (byte < 3) shifted = emit(Op::shl, ir::kU32, {word, u32(24 - 8 * byte)});
    return emit(Op::shr, ir::kI32, {emit(Op::to_i32, ir::kI32, {shifted}), u32(24)});
  }
  Value dot4(const Instruction& in) {
    Value sum = in.operands[2];
    for (uint32_t byte = 0; byte < 4; ++byte) {
      const Value x = signed_byte(in.operands[0], byte), y = signed_byte(in.operands[1], byte);
      sum = emit(Op::add, ir::kI32, {sum, emit(Op::mul, ir::kI32, {x, y})});
    }
    return sum;
  }

  /// hi:lo >> n. hi << (32 - n) would be a shift by 32 for n = 0, so it is (hi << 1) << (31 - n).
  Value funnel(const Instruction& in) {
    const Value hi = in.operands[0], lo = in.operands[1], n = in.operands[2];
    const Value rest = emit(Op::sub, ir::kU32, {u32(31), n});
    const Value high = emit(Op::shl, ir::kU32, {emit(Op::shl, ir::kU32, {hi, u32(1)}), rest});
    return emit(Op::bit_or, ir::kU32, {high, emit(Op::shr, ir::kU32, {lo, n})});
  }

  Value halves(const Instruction& in) {
    Value result[2];
    for (uint32_t lane = 0; lane < 2; ++lane) {
      std::array<Value, 3> x{};
      for (uint32_t i = 0; i < in.num_operands; ++i) {
        x[i] = emit(lane == 0 ? Op::unpack_f16_lo : Op::unpack_f16_hi, ir::kF32, {in.operands[i]});
      }
      result[lane] = in.op == Op::fma_f16x2   ? fma_to_odd(x[0], x[1], x[2])
                     : in.op == Op::add_f16x2 ? strict(Op::add, x[0], x[1])
                                              : strict(Op::mul, x[0], x[1]);
    }
    return emit(Op::pack_f16x2, ir::kU32, {result[0], result[1]});
  }

  /// a * b + c for halves, rounded to f32 such that rounding it to f16 is right. The product is exact in f32;
  /// error is what the sum lost (Knuth's two-sum). An inexact sum with an even last bit moves one unit in the
  /// last place towards the true value, so that it can never look like a tie.
  Value fma_to_odd(Value a, Value b, Value c) {
    const Value product = strict(Op::mul, a, b);
    const Value sum = strict(Op::add, product, c);
    const Value c_part = strict(Op::sub, sum, product);
    const Value product_part = strict(Op::sub, sum, c_part);
    const Value error = strict(Op::add, strict(Op::sub, product, product_part), strict(Op::sub, c, c_part));
    const Value bits = emit(Op::bitcast, ir::kU32, {sum});
    const Value even = emit(Op::eq, ir::kBool, {emit(Op::bit_and, ir::kU32, {bits, u32(1)}), u32(0)});
    const Value size = emit(Op::abs, ir::kF32, {error});
    const Value inexact = emit(Op::gt, ir::kBool, {size, constant(ir::kF32, 0)});  // false for NaN
    const Value move = emit(Op::bit_and, ir::kBool, {even, inexact});
    const Value signs = emit(Op::bit_xor, ir::kU32, {bits, emit(Op::bitcast, ir::kU32, {error})});
    const Value away = emit(Op::lt, ir::kBool, {signs, u32(0x80000000)});  // error has the sum's sign
    const Value step = emit(Op::select, ir::kU32, {away, u32(1), u32(UINT32_MAX)});
    const Value moved = emit(Op::bitcast, ir::kF32, {emit(Op::add, ir::kU32, {bits, step})});
    return emit(Op::select, ir::kF32, {move, moved, sum});
  }
  Value strict(Op op, Value a, Value b) {
    Instruction in;
    in.op = op;
    in.type = ir::kF32;
    in.strict = true;
    in.num_operands = 2;
    in.operands = {a, b};
    return emit(in);
  }

  void copy_now(const Instruction& in) {
    Instruction load;
    load.op = Op::load;
    load.type = ir::Type{ir::Scalar::u32, 4};
    load.attr0 = in.attr0;
    load.num_operands = in.num_operands - 1;
    load.operands = {in.operands[1], in.operands[2]};
    Instruction store;
    store.op = Op::shared_store;
    store.attr0 = in.attr1;
    store.num_operands = 2;
    store.operands = {in.operands[0], emit(load)};
    emit(store);
  }

  const ir::TargetInfo& target_;
};

}  // namespace

void legalise(ir::Kernel& kernel, const PassContext& context) {
  Legaliser(kernel, context.target).run();
}

}  // namespace tattletale::compiler

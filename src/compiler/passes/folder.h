// The class behind the fold pass; its rules stand in fold_integers.cpp and fold_floats.cpp.
#pragma once

#include <optional>

#include "compiler/pipeline.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {

class Folder : public Rewriter {
 public:
  Folder(ir::Kernel& kernel, const PassContext& context) : Rewriter(kernel), context_(context) {}

 private:
  using Simpler = std::optional<ir::Value>;

  void visit(ir::Value value, const ir::Instruction& in) override;
  void visit_structure(ir::Value value, const ir::Instruction& in);

  /// Constants to the right; comparisons turn round with their operands.
  void canonicalise(ir::Instruction& in) const;
  Simpler simplify(const ir::Instruction& in);
  Simpler simplify_ids(const ir::Instruction& in);
  Simpler simplify_select(const ir::Instruction& in);

  Simpler simplify_bool(const ir::Instruction& in);
  Simpler simplify_integer(const ir::Instruction& in);
  Simpler simplify_sum(const ir::Instruction& in);
  Simpler simplify_product(const ir::Instruction& in);
  Simpler simplify_division(const ir::Instruction& in);
  Simpler simplify_bits(const ir::Instruction& in);
  Simpler simplify_shift(const ir::Instruction& in);
  Simpler simplify_comparison(const ir::Instruction& in);
  ir::Value divide(ir::Value value, uint32_t divisor);

  Simpler simplify_float(const ir::Instruction& in);

  /// The value of such an instruction, in its simplest form.
  ir::Value make(ir::Op op, ir::Type type, std::initializer_list<ir::Value> operands);
  ir::Value u32(uint32_t bits) { return constant(ir::kU32, bits); }

  std::optional<uint32_t> bits_of(ir::Value value) const;
  bool is(ir::Value value, uint32_t bits) const { return bits_of(value) == bits; }
  /// The constant right operand of `value`, if that is an `op` with one.
  std::optional<uint32_t> right_constant(ir::Value value, ir::Op op) const;

  const PassContext& context_;
};

}  // namespace tattletale::compiler

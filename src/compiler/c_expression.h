// The C text of one operation: an operator where C has one, else a call of a dialect's snippet.
// Knows nothing of statements, declarations and control flow; c_printer.cpp does those.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/c_printer.h"

namespace tattletale::compiler {

/// "u32", "f32x4", "tt_fragment_a", ...
std::string c_type_name(ir::Type type);
/// `name` as part of a C identifier.
std::string c_identifier(std::string_view name);
std::string c_local_name(const ir::Kernel& kernel, uint32_t local);
std::string c_param_name(const ir::Kernel& kernel, uint32_t param);

class CExpressions {
 public:
  CExpressions(const ir::Kernel& kernel, const CDialect& dialect);

  /// The name of a value, or its text where that is as short: constants and parameters.
  std::string operand(ir::Value value) const;
  static bool is_inlined(ir::Op op) { return op == ir::Op::constant || op == ir::Op::param; }

  /// What `value`'s instruction computes or does; no structure operations. After error() it is meaningless.
  std::string expression(ir::Value value);

  /// Notes that the text mentions the dialect's snippet `name` on behalf of `value`, which may be invalid.
  void require(std::string_view name, ir::Value value);

  const std::set<std::string, std::less<>>& required() const { return required_; }
  /// The first thing that the dialect lacks.
  const std::optional<Error>& error() const { return error_; }

 private:
  std::string call(std::string_view name, ir::Value value, const std::vector<std::string>& arguments);
  std::string call_operands(std::string_view name, ir::Value value);
  std::string infix(std::string_view symbol, ir::Value value);
  std::string arithmetic(ir::Value value);
  std::string bits(ir::Value value);
  std::string conversion(ir::Value value);
  std::string global_memory(ir::Value value);
  std::string shared_memory(ir::Value value);
  std::string fragment(ir::Value value);

  ir::Type operand_type(ir::Value value, size_t index) const {
    return kernel_.at(kernel_.at(value).operands[index]).type;
  }
  std::string operand(ir::Value value, size_t index) const {
    return operand(kernel_.at(value).operands[index]);
  }
  /// The binding's pointer, moved by the operand `base` when there is one.
  std::string pointer(ir::Value value, size_t base) const;
  /// The arena's word `index` of shared array `array`.
  std::string arena_word(uint32_t array, const std::string& index) const;

  const ir::Kernel& kernel_;
  const CDialect& dialect_;
  std::vector<uint32_t> arena_offsets_;  // words
  std::set<std::string, std::less<>> required_;
  std::optional<Error> error_;
};

}  // namespace tattletale::compiler

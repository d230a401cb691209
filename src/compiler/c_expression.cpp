#include "compiler/c_expression.h"

#include <bit>
#include <cmath>
#include <cstdio>

#include "base/check.h"

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::Scalar;
using ir::Storage;
using ir::Type;
using ir::Value;

namespace {

/// A literal of exactly these bits.
std::string constant_text(const Instruction& instruction) {
  const uint32_t bits = instruction.attr0;
  switch (instruction.type.scalar) {
    case Scalar::boolean: return bits ? "true" : "false";
    case Scalar::u32: return std::to_string(bits) + "u";
    case Scalar::i32: {
      const int32_t value = std::bit_cast<int32_t>(bits);
      if (value == INT32_MIN) return "(-2147483647 - 1)";
      return value < 0 ? "(" + std::to_string(value) + ")" : std::to_string(value);
    }
    default: break;
  }
  const float value = std::bit_cast<float>(bits);
  if (!std::isfinite(value)) return "tt_f32_from_bits(" + std::to_string(bits) + "u)";
  char text[48];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));  // 9 digits name one float
  std::string literal = text;
  if (literal.find_first_of(".e") == std::string::npos) literal += ".0";
  literal += "f";
  return std::signbit(value) ? "(" + literal + ")" : literal;
}

std::string vector_suffix(uint32_t lanes) {
  return lanes == 1 ? "" : "x" + std::to_string(lanes);
}

/// "fma_f16x2" -> "tt_fma_f16x2"
std::string snippet_name(Op op) {
  return "tt_" + std::string(ir::op_info(op).name);
}

std::string as_u32(const std::string& text) {
  return "(u32)" + text;
}

}  // namespace

std::string c_identifier(std::string_view name) {
  std::string result;
  for (char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    result += plain ? c : '_';
  }
  return result;
}

std::string c_binding_name(const ir::Kernel& kernel, uint32_t binding) {
  return "b" + std::to_string(binding) + "_" + c_identifier(kernel.bindings[binding].name);
}
std::string c_local_name(const ir::Kernel& kernel, uint32_t local) {
  return "l" + std::to_string(local) + "_" + c_identifier(kernel.locals[local].name);
}
std::string c_param_name(const ir::Kernel& kernel, uint32_t param) {
  return "p" + std::to_string(param) + "_" + c_identifier(kernel.params[param].name);
}

std::string c_type_name(Type type) {
  switch (type.scalar) {
    case Scalar::none: return "void";
    case Scalar::boolean: return "bool" + vector_suffix(type.lanes);
    case Scalar::offset: return "u64";
    case Scalar::fragment: break;
    default: return std::string(ir::scalar_name(type.scalar)) + vector_suffix(type.lanes);
  }
  switch (type.use) {
    case ir::FragmentUse::a: return "tt_fragment_a";
    case ir::FragmentUse::b: return "tt_fragment_b";
    case ir::FragmentUse::accumulator: return "tt_fragment_accumulator";
  }
  return "";
}

CExpressions::CExpressions(const ir::Kernel& kernel, const CDialect& dialect)
    : kernel_(kernel), dialect_(dialect) {
  uint32_t words = 0;
  for (const ir::SharedArray& array : kernel.shared) {
    arena_offsets_.push_back(words);
    words += (array.num_words + 3) / 4 * 4;
  }
}

std::string CExpressions::operand(Value value) const {
  const Instruction& instruction = kernel_.at(value);
  if (instruction.op == Op::constant) return constant_text(instruction);
  if (instruction.op == Op::param) return "params." + c_param_name(kernel_, instruction.attr0);
  return "v" + std::to_string(value.index);
}

void CExpressions::require(std::string_view name, Value value) {
  if (dialect_.find(name)) {
    required_.emplace(name);
  } else if (!error_) {
    const std::string place = value.valid() ? kernel_.where(value) : "";
    const std::string_view op = value.valid() ? ir::op_info(kernel_.at(value).op).name : "a local";
    error_ =
        make_error(ErrorKind::unsupported, kernel_.name + (place.empty() ? "" : " (" + place + ")"),
                   std::string(op) + ": " + std::string(dialect_.name()) + " has no " + std::string(name));
  }
}

std::string CExpressions::call(std::string_view name, Value value,
                               const std::vector<std::string>& arguments) {
  require(name, value);
  std::string text = std::string(name) + "(";
  for (size_t i = 0; i < arguments.size(); ++i) text += (i ? ", " : "") + arguments[i];
  return text + ")";
}

std::string CExpressions::call_operands(std::string_view name, Value value) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < kernel_.at(value).num_operands; ++i) arguments.push_back(operand(value, i));
  return call(name, value, arguments);
}

std::string CExpressions::infix(std::string_view symbol, Value value) {
  return operand(value, 0) + " " + std::string(symbol) + " " + operand(value, 1);
}

std::string CExpressions::pointer(Value value, size_t base) const {
  const Instruction& instruction = kernel_.at(value);
  std::string name = c_binding_name(kernel_, instruction.attr0);
  return instruction.num_operands > base ? name + " + " + operand(value, base) : name;
}

std::string CExpressions::arena_word(uint32_t array, const std::string& index) const {
  const uint32_t first = arena_offsets_[array];
  return first ? std::to_string(first) + "u + " + index : index;
}

std::string CExpressions::arithmetic(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const Scalar scalar = instruction.type.scalar;
  const bool is_float = scalar == Scalar::f32;
  const bool is_signed = scalar == Scalar::i32;
  switch (instruction.op) {
    case Op::add:
    case Op::sub:
    case Op::mul: {
      if (is_float && instruction.strict)
        return call_operands(snippet_name(instruction.op) + "_strict", value);
      const char* symbol = instruction.op == Op::add ? "+" : instruction.op == Op::sub ? "-" : "*";
      if (!is_signed) return infix(symbol, value);
      // Signed overflow is undefined in C and defined here.
      return "(i32)(" + as_u32(operand(value, 0)) + " " + symbol + " " + as_u32(operand(value, 1)) + ")";
    }
    case Op::div: return is_float ? call_operands("tt_div", value) : infix("/", value);
    case Op::rem: return infix("%", value);
    case Op::min:
    case Op::max:
      return call_operands(snippet_name(instruction.op) + "_" + c_type_name(instruction.type), value);
    case Op::neg:
      if (is_float) return "-" + operand(value, 0);
      return "(i32)(0u - " + as_u32(operand(value, 0)) + ")";
    case Op::abs: {
      if (is_float) return call_operands("tt_abs", value);
      const std::string x = operand(value, 0);
      return x + " < 0 ? (i32)(0u - " + as_u32(x) + ") : " + x;
    }
    default: return call_operands(snippet_name(instruction.op), value);
  }
}

std::string CExpressions::bits(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const bool is_signed = instruction.type.scalar == Scalar::i32;
  switch (instruction.op) {
    case Op::bit_and: return infix("&", value);
    case Op::bit_or: return infix("|", value);
    case Op::bit_xor: return infix("^", value);
    case Op::bit_not: return (instruction.type.scalar == Scalar::boolean ? "!" : "~") + operand(value, 0);
    case Op::shl:
      if (is_signed) return "(i32)(" + as_u32(operand(value, 0)) + " << " + operand(value, 1) + ")";
      return infix("<<", value);
    case Op::shr: return infix(">>", value);
    default: return call_operands(snippet_name(instruction.op), value);
  }
}

std::string CExpressions::conversion(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const std::string x = operand(value, 0);
  if (instruction.op != Op::bitcast) return "(" + c_type_name(instruction.type) + ")" + x;
  const bool to_float = instruction.type.scalar == Scalar::f32;
  const bool from_float = operand_type(value, 0).scalar == Scalar::f32;
  if (to_float && !from_float) return call("tt_f32_from_bits", value, {as_u32(x)});
  if (from_float && !to_float) {
    return "(" + c_type_name(instruction.type) + ")" + call("tt_bits_from_f32", value, {x});
  }
  return "(" + c_type_name(instruction.type) + ")" + x;
}

std::string CExpressions::global_memory(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const std::string index = operand(value, 0);
  switch (instruction.op) {
    case Op::load: {
      const std::string name = "tt_load_" + std::string(ir::storage_name(instruction.storage)) +
                               vector_suffix(instruction.type.lanes);
      const bool written = kernel_.bindings[instruction.attr0].written;
      const std::string special = name + (written ? "_written" : "_stream");
      const bool prefers = (written || instruction.attr1 == 1) && dialect_.find(special);
      return call(prefers ? special : name, value, {pointer(value, 1), index});
    }
    case Op::store: {
      const Type type = operand_type(value, 1);
      return call(
          "tt_store_" + std::string(ir::storage_name(instruction.storage)) + vector_suffix(type.lanes), value,
          {pointer(value, 2), index, operand(value, 1)});
    }
    case Op::atomic_cas:
      return call(snippet_name(instruction.op) + "_" + c_type_name(operand_type(value, 1)), value,
                  {pointer(value, 3), index, operand(value, 1), operand(value, 2)});
    case Op::copy_async:
      return call("tt_copy_async", value,
                  {"tt_arena", arena_word(instruction.attr1, index), pointer(value, 2), operand(value, 1)});
    default:
      return call(snippet_name(instruction.op) + "_" + c_type_name(operand_type(value, 1)), value,
                  {pointer(value, 2), index, operand(value, 1)});
  }
}

std::string CExpressions::shared_memory(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const std::string word = arena_word(instruction.attr0, operand(value, 0));
  if (instruction.op == Op::shared_load) {
    return call("tt_shared_load_" + c_type_name(instruction.type), value, {"tt_arena", word});
  }
  const std::string type = c_type_name(operand_type(value, 1));
  if (instruction.op == Op::shared_store) {
    return call("tt_shared_store_" + type, value, {"tt_arena", word, operand(value, 1)});
  }
  return call(type == "i32" ? "tt_shared_atomic_add_i32" : "tt_shared_atomic_add", value,
              {"tt_arena", word, operand(value, 1)});
}

std::string CExpressions::fragment(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const std::string number = std::to_string(instruction.attr0) + "u";
  const std::string name = snippet_name(instruction.op);
  switch (instruction.op) {
    case Op::fragment_load:
    case Op::fragment_load_rows:
      return call(name + (instruction.type.use == ir::FragmentUse::a ? "_a" : "_b"), value,
                  {"tt_arena", std::to_string(arena_offsets_[instruction.attr0]) + "u", operand(value, 0),
                   operand(value, 1)});
    case Op::fragment_mma:
      return call_operands(name + "_" + std::string(ir::storage_name(operand_type(value, 0).element)), value);
    case Op::fragment_store_shared:
      return call(name, value,
                  {"tt_arena", arena_word(instruction.attr0, operand(value, 0)), operand(value, 1),
                   operand(value, 2)});
    case Op::fragment_store:
      return call(name, value, {pointer(value, 3), operand(value, 0), operand(value, 1), operand(value, 2)});
    case Op::fragment_get: return call(name, value, {operand(value, 0), number});
    case Op::fragment_set: return call(name, value, {operand(value, 0), number, operand(value, 1)});
    case Op::fragment_row:
    case Op::fragment_column: return call(name, value, {number});
    default: return call_operands(name, value);
  }
}

std::string CExpressions::expression(Value value) {
  const Instruction& instruction = kernel_.at(value);
  const std::string lanes = std::to_string(kernel_.subgroup_size) + "u";
  switch (instruction.op) {
    case Op::workgroup_id:
    case Op::num_workgroups:
      return call(snippet_name(instruction.op) + "_" + std::to_string(instruction.attr0), value, {});
    case Op::local_id: return call("tt_local_id", value, {});
    case Op::lane_id: return call("tt_local_id", value, {}) + " % " + lanes;
    case Op::subgroup_id: return call("tt_local_id", value, {}) + " / " + lanes;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::rem:
    case Op::min:
    case Op::max:
    case Op::neg:
    case Op::abs: return arithmetic(value);
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::bit_not:
    case Op::shl:
    case Op::shr: return bits(value);
    case Op::eq: return infix("==", value);
    case Op::ne: return infix("!=", value);
    case Op::lt: return infix("<", value);
    case Op::le: return infix("<=", value);
    case Op::gt: return infix(">", value);
    case Op::ge: return infix(">=", value);
    case Op::select: return operand(value, 0) + " ? " + operand(value, 1) + " : " + operand(value, 2);
    case Op::to_f32:
    case Op::to_i32:
    case Op::to_u32:
    case Op::bitcast: return conversion(value);
    case Op::make_vector: return call_operands("tt_make_" + c_type_name(instruction.type), value);
    case Op::extract: return operand(value, 0) + "." + "xyzw"[instruction.attr0 & 3];
    case Op::local_get: return c_local_name(kernel_, instruction.attr0);
    case Op::local_set: return c_local_name(kernel_, instruction.attr0) + " = " + operand(value, 0);
    case Op::offset: return "(u64)" + operand(value, 0) + " * " + operand(value, 1);
    case Op::load:
    case Op::store:
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas:
    case Op::copy_async: return global_memory(value);
    case Op::shared_load:
    case Op::shared_store:
    case Op::shared_atomic_add: return shared_memory(value);
    case Op::copy_wait: return call("tt_copy_wait", value, {std::to_string(instruction.attr0)});
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
    case Op::shuffle_xor:
    case Op::shuffle:
      return call_operands(snippet_name(instruction.op) + "_" + c_type_name(instruction.type), value);
    case Op::fragment_load:
    case Op::fragment_load_rows:
    case Op::fragment_mma:
    case Op::fragment_store_shared:
    case Op::fragment_store:
    case Op::fragment_get:
    case Op::fragment_set:
    case Op::fragment_row:
    case Op::fragment_column: return fragment(value);
    case Op::constant:
    case Op::param: return operand(value);
    case Op::if_:
    case Op::for_:
    case Op::while_:
    case Op::yield: break;
    // One snippet of the operation's own name.
    case Op::mul_hi:
    case Op::fma:
    case Op::popcount:
    case Op::funnel_shr:
    case Op::dot4_i8:
    case Op::sqrt:
    case Op::rsqrt:
    case Op::exp2:
    case Op::log2:
    case Op::sin:
    case Op::cos:
    case Op::floor:
    case Op::tanh:
    case Op::pack_f16x2:
    case Op::pack_bf16x2:
    case Op::unpack_f16_lo:
    case Op::unpack_f16_hi:
    case Op::fma_f16x2:
    case Op::add_f16x2:
    case Op::mul_f16x2:
    case Op::copy_commit:
    case Op::barrier:
    case Op::subgroup_barrier:
    case Op::subgroup_any:
    case Op::subgroup_all:
    case Op::fragment_fill:
    case Op::fragment_from_pairs: return call_operands(snippet_name(instruction.op), value);
  }
  CHECK(!"a structure operation has no expression");
  return "";
}

}  // namespace tattletale::compiler

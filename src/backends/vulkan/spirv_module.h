// Assembles one SPIR-V module: ids, deduplicated types and constants, and the sections in the order that the
// format demands. Knows nothing of kernels.
// Source: SPIR-V specification 1.6, sections 2.3 and 2.4.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/vulkan/spirv_enums.h"

namespace tattletale::spirv {

using Id = uint32_t;
using Words = std::vector<uint32_t>;

class Module {
 public:
  Id new_id() { return next_id_++; }

  void add_capability(Capability capability) { capabilities_.insert(static_cast<uint32_t>(capability)); }
  void add_extension(std::string_view name);
  void add_execution_mode(std::initializer_list<uint32_t> words) { execution_modes_.emplace_back(words); }
  void decorate(Id target, Decoration decoration, std::initializer_list<uint32_t> extra = {});
  void decorate_member(Id target, uint32_t member, Decoration decoration,
                       std::initializer_list<uint32_t> extra = {});
  void add_name(Id target, std::string_view name);

  // Types; asking twice gives the same id, except for structures, whose layout is decorated by the caller.
  Id type_void() { return unique_type(SpvOp::type_void, {}); }
  Id type_bool() { return unique_type(SpvOp::type_bool, {}); }
  Id type_int(uint32_t bits, bool is_signed) { return unique_type(SpvOp::type_int, {bits, is_signed}); }
  Id type_float(uint32_t bits) { return unique_type(SpvOp::type_float, {bits}); }
  Id type_bfloat16() { return unique_type(SpvOp::type_float, {16, kBfloat16Encoding}); }
  Id type_vector(Id component, uint32_t lanes) { return unique_type(SpvOp::type_vector, {component, lanes}); }
  Id type_pointer(StorageClass storage, Id pointee) {
    return unique_type(SpvOp::type_pointer, {static_cast<uint32_t>(storage), pointee});
  }
  Id type_function(Id result) { return unique_type(SpvOp::type_function, {result}); }
  /// A result pair of one type, without layout (OpIAddCarry, OpUMulExtended).
  Id type_pair(Id member) { return unique_type(SpvOp::type_struct, {member, member}); }
  Id type_matrix(Id component, uint32_t rows, uint32_t columns, uint32_t use);
  /// Structures and arrays that are laid out in memory: always new, decorated by the caller.
  Id new_struct(std::span<const Id> members) { return new_type(SpvOp::type_struct, members); }
  Id new_array(Id element, uint32_t length);
  Id new_runtime_array(Id element) { return new_type(SpvOp::type_runtime_array, {{element}}); }

  Id constant_bool(bool value);
  Id constant_u32(uint32_t value) { return unique_constant(type_int(32, false), {value}); }
  Id constant_i32(int32_t value) {
    return unique_constant(type_int(32, true), {static_cast<uint32_t>(value)});
  }
  Id constant_f32(float value);
  Id constant_u64(uint64_t value);

  Id global_variable(StorageClass storage, Id pointee);
  Id function_variable(Id pointee);
  Id ext_inst_set() { return glsl_ = glsl_ != 0 ? glsl_ : new_id(); }

  /// Appends an instruction to the body.
  void body(SpvOp op, std::initializer_list<uint32_t> operands);
  void body(SpvOp op, std::span<const uint32_t> operands);
  /// Appends one that yields a value of `type`.
  Id value(SpvOp op, Id type, std::initializer_list<uint32_t> operands);

  /// The whole module, with the body as the entry point `main` of `threads` invocations along x.
  Words finish(uint32_t threads);

 private:
  Id unique_type(SpvOp op, std::initializer_list<uint32_t> operands);
  Id new_type(SpvOp op, std::span<const uint32_t> operands);
  Id unique_constant(Id type, std::initializer_list<uint32_t> words);
  void append_head(Words& out, Id main, uint32_t threads) const;

  Id next_id_ = 1;
  Id glsl_ = 0;
  std::set<uint32_t> capabilities_;
  std::set<std::string, std::less<>> extensions_;
  std::vector<Words> execution_modes_;  // without the entry point's id
  Words names_, decorations_, declarations_, function_variables_, body_;
  std::vector<Id> interface_;
  std::map<Words, Id> known_;
};

}  // namespace tattletale::spirv

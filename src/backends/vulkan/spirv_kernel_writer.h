// The state of writing one kernel; its methods live in spirv_*.cpp, one file per kind of operation. Internal
// to the SPIR-V writer.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "backends/vulkan/spirv_module.h"
#include "backends/vulkan/spirv_writer.h"

namespace tattletale::spirv {

/// How a pointer sees global memory.
enum class View : uint8_t { word, word2, word4, half, byte, f16, f32 };
uint32_t view_log2_bytes(View view);
View word_view(uint32_t lanes);

inline constexpr uint32_t kFragmentWords = ir::kFragmentDim * ir::kFragmentDim;

/// Whether a store of an accumulator is seen to go to 16-byte places.
bool fragment_store_is_aligned(const ir::Kernel& kernel, const ir::Instruction& in);

/// Workgroup memory behind the kernel's own arrays for stores that may not.
uint32_t scratch_words(const ir::Kernel& kernel);

class KernelWriter {
 public:
  KernelWriter(const ir::Kernel& kernel, const SpirvFeatures& features);

  Result<Words> write();

 private:
  // spirv_writer.cpp: declarations and what every operation needs
  void declare_builtins();
  void declare_push_constants();
  void declare_locals();
  Result<void> write_region(ir::RegionId region);
  Result<void> write_instruction(ir::Value value);
  Result<Id> write_value(const ir::Instruction& in);
  Error unsupported(std::string_view why) const;
  Id operand(const ir::Instruction& in, uint32_t i) const;
  Id type_of(const ir::Type& type);
  Id scalar_type(ir::Scalar scalar);
  Id as(ir::Scalar from, ir::Scalar to, Id value);
  bool uses(std::initializer_list<ir::Op> ops) const;
  void collect(ir::RegionId region);

  // Short forms; u: u32, f: f32, b: bool results.
  Id u(SpvOp op, std::initializer_list<Id> args) { return module_.value(op, u32_, args); }
  Id f(SpvOp op, std::initializer_list<Id> args) { return module_.value(op, f32_, args); }
  Id b(SpvOp op, std::initializer_list<Id> args) { return module_.value(op, bool_, args); }
  Id cu(uint32_t value) { return module_.constant_u32(value); }
  Id cf(float value) { return module_.constant_f32(value); }
  Id glsl(Glsl function, Id type, std::initializer_list<Id> args);
  Id bits_of(Id f32_value) { return u(SpvOp::bitcast, {f32_value}); }
  Id float_of(Id u32_value) { return f(SpvOp::bitcast, {u32_value}); }
  /// x * (c0 + x2 * (c1 + x2 * (c2 + ...))) without the leading factor: the polynomial in `x`.
  Id polynomial(Id x, std::span<const float> coefficients);

  // spirv_arithmetic.cpp
  std::optional<Id> write_arithmetic(const ir::Instruction& in);
  std::optional<Id> write_bits(const ir::Instruction& in);
  std::optional<Id> write_comparison(const ir::Instruction& in);
  std::optional<Id> write_conversion(const ir::Instruction& in);
  Id write_dot4(const ir::Instruction& in);
  Id write_to_f32(Id x, ir::Scalar from);

  // spirv_math.cpp
  std::optional<Id> write_math(const ir::Instruction& in);
  Id write_log2(Id x);
  Id write_sin(Id x, bool cosine);
  Id write_tanh(Id x);

  // spirv_packed.cpp
  Result<std::optional<Id>> write_packed(const ir::Instruction& in);
  Id half_bits(Id x);
  Id bfloat16_bits(Id x);
  Id pair_of_halves(Id word) { return module_.value(SpvOp::bitcast, half2_type(), {word}); }
  Id half2_type();

  // spirv_pointers.cpp
  struct Element {  // of global memory: index, from a wide offset where there is one
    std::optional<Id> offset;
    Id index;
  };
  using BindingView = std::pair<uint32_t, View>;
  void declare_pointers();
  std::optional<Id> base_of(const ir::Instruction& in) const;
  View native_view(ir::Storage storage) const;
  View memory_view(const ir::Instruction& in) const;
  Id element_type(View view);
  Id struct_pointer_type(View view, bool written);
  Id new_pointer(uint32_t binding, View view, std::optional<Id> offset);
  Id write_offset(const ir::Instruction& in);
  Element locate(const ir::Instruction& in, Id index, uint32_t log2_bytes);
  Id element_pointer(const ir::Instruction& in, View view, const Element& element);

  // spirv_memory.cpp
  uint32_t access(const ir::Instruction& in) const;
  Id load_global(const ir::Instruction& in, View view, const Element& element);
  Id load_words(const ir::Instruction& in, Id index, uint32_t lanes);
  Id write_load(const ir::Instruction& in);
  Id write_small_load(const ir::Instruction& in);
  Id cut(ir::Storage storage, Id word);
  Id widen(ir::Storage storage, Id value);
  void write_store(const ir::Instruction& in);
  Id write_atomic(const ir::Instruction& in);
  Id from_integer(Id bits);

  // spirv_shared.cpp
  void declare_shared();
  Id shared_view(View view);
  Id shared_pointer(uint32_t array, View view, Id index, uint32_t index_unit_words);
  Id load_shared(uint32_t array, Id index, uint32_t lanes);
  void store_shared(uint32_t array, Id index, Id value, uint32_t lanes);
  Id write_shared_load(const ir::Instruction& in);
  void write_shared_store(const ir::Instruction& in);
  void write_copy(const ir::Instruction& in);

  // spirv_control.cpp
  Result<void> write_if(const ir::Instruction& in);
  Result<void> write_for(ir::Value self, const ir::Instruction& in);
  Result<void> write_while(const ir::Instruction& in);
  void write_barrier(uint32_t scope);
  Id write_subgroup(const ir::Instruction& in);
  Id write_reduction(const ir::Instruction& in);
  void begin_block(Id label);

  // spirv_fragments.cpp
  Result<std::optional<Id>> write_fragment(const ir::Instruction& in);
  Id fragment_type(const ir::Type& type);
  Id write_fragment_load(const ir::Instruction& in);
  void write_fragment_store(const ir::Instruction& in);
  void write_aligned_store(const ir::Instruction& in);
  void write_scratch_store(const ir::Instruction& in);

  const ir::Kernel& kernel_;
  const SpirvFeatures features_;
  Module module_;
  Id u32_ = 0, i32_ = 0, f32_ = 0, bool_ = 0, u64_ = 0;
  std::vector<ir::Value> live_;  // what regions list, from the root on; the rest is dead
  std::vector<Id> values_;       // of each instruction
  std::vector<Id> locals_;
  Id push_constants_ = 0;
  Id workgroup_id_ = 0, num_workgroups_ = 0, local_id_ = 0;
  std::vector<Id> addresses_;                                  // of each binding, loaded at entry
  std::map<std::pair<View, bool>, Id> structs_;                // laid-out structures by view and writability
  std::map<std::pair<Id, BindingView>, Id> pointers_;          // by offset (0: none), binding and view
  std::map<uint32_t, std::set<BindingView>> wanted_pointers_;  // by the instruction of the offset
  std::vector<Id> shared_arrays_;                              // plain form: one variable an array
  std::vector<uint32_t> shared_first_word_;                    // explicit form: arrays within one block
  bool explicit_shared_ = false;
  std::map<View, Id> shared_views_;
  Id block_ = 0;  // the block being written
  ir::Value current_{};
};

}  // namespace tattletale::spirv

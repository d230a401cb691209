// The body of a WGSL function: one statement per instruction, in the order of the regions. Collects which
// built-in inputs and functions the text needs; wgsl_writer.cpp puts the module together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/webgpu/wgsl_functions.h"
#include "backends/webgpu/wgsl_memory.h"
#include "backends/webgpu/wgsl_writer.h"
#include "ir/uniformity.h"

namespace tattletale::webgpu {

/// "f32", "vec4<u32>", ...
std::string wgsl_type(ir::Type type);
/// A name as an identifier may hold it.
std::string wgsl_identifier(std::string_view name);
/// "b0_x", "s1_tile", "p2_rows", "l3_sum".
std::string wgsl_name(char kind, size_t index, std::string_view name);

/// What the text uses.
struct WgslNeeds {
  uint32_t functions = 0;  // of WgslFunction
  bool local_id = false;
  bool workgroup_id = false;
  bool num_workgroups = false;
  bool subgroups = false;
  bool divergent_subgroups = false;  // a subgroup operation where the workgroup's subgroups differ
  bool f16 = false;
};

class WgslBody {
 public:
  WgslBody(const ir::Kernel& kernel, const ir::TargetInfo& target, const WgslDialect& dialect,
           const MemoryPlan& plan);

  /// Writes everything. Errors: see emit_wgsl.
  Result<void> write();

  const std::string& text() const { return text_; }
  const WgslNeeds& needs() const { return needs_; }

 private:
  // Structure (wgsl_body.cpp)
  Result<void> region(ir::RegionId id);
  Result<void> instruction(ir::Value value);
  Result<void> structure(ir::Value value, const ir::Instruction& in);
  void sync(ir::Value value, const ir::Instruction& in);
  Result<void> subgroup_barrier(ir::Value value);
  void line(std::string_view text);
  void note_source(const ir::Instruction& in);
  Error unsupported(ir::Value value, std::string_view why) const;

  // Expressions (wgsl_expression.cpp)
  Result<std::string> expression(ir::Value value, const ir::Instruction& in);
  std::string integer_or_float(const ir::Instruction& in, const std::string& a, const std::string& b,
                               const std::string& c);
  std::string mathematics(const ir::Instruction& in, const std::string& x);
  std::string packing(const ir::Instruction& in, const std::string& a, const std::string& b);
  Result<std::string> subgroup(ir::Value value, const ir::Instruction& in, const std::string& a,
                               const std::string& b);
  std::string operand(const ir::Instruction& in, uint32_t index) const;
  std::string call(WgslFunction function, std::string_view name, const std::string& arguments);
  /// `x` so that no compiler may fuse or reorder it: see the source.
  std::string opaque(const std::string& x);
  bool may_be_fused(ir::Value value) const;
  std::string unpack_half(const std::string& word);
  void name_constant(ir::Value value, const ir::Instruction& in);

  // Memory (wgsl_access.cpp)
  std::string load(ir::Value value, const ir::Instruction& in, bool shared);
  void store(const ir::Instruction& in, bool shared);
  void copy_async(ir::Value value, const ir::Instruction& in);
  void atomic(ir::Value value, const ir::Instruction& in, bool shared);
  std::string narrow(const std::string& array, const MemoryShape& shape, const std::string& element,
                     ir::Storage storage);
  std::string words(const std::string& array, const MemoryShape& shape, const std::string& index,
                    uint32_t lanes);
  void store_words(const std::string& array, const MemoryShape& shape, const std::string& index,
                   const std::string& value, ir::Type type);
  /// An index in elements of `bytes`, as an identifier or a literal.
  std::string element_index(ir::Value value, const ir::Instruction& in, uint32_t index_operand,
                            uint32_t base_operand, uint32_t bytes);
  std::string named(std::string_view stem, const std::string& expression);
  std::string fresh(std::string_view stem);

  const ir::Kernel& kernel_;
  const ir::TargetInfo& target_;
  const WgslDialect& dialect_;
  const MemoryPlan& plan_;
  const ir::UniformityInfo uniformity_;
  ir::RegionId region_ = ir::kRootRegion;  // being written
  std::vector<std::string> names_;         // by instruction: what stands for its value
  WgslNeeds needs_;
  std::string text_;
  uint32_t depth_ = 1;
  uint32_t next_name_ = 0;
  uint32_t source_ = 0;
};

}  // namespace tattletale::webgpu

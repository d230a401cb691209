// Appends instructions to a kernel while a body is traced. The embedded language (lang.h) speaks to it;
// passes that rewrite kernels use it too. It checks nothing: ir/verify.h does.
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::ir {

class Builder {
 public:
  Builder(std::string name, uint32_t workgroup_threads, uint32_t subgroup_size);

  Kernel& kernel() { return kernel_; }

  /// Appends to the innermost open region.
  Value emit(const Instruction& instruction, std::source_location at);
  Value emit(Op op, Type type, std::initializer_list<Value> operands, std::source_location at,
             uint32_t attr0 = 0, uint32_t attr1 = 0);
  /// One instruction for each distinct constant of a region path: constants are hoisted to the root.
  Value constant(Type type, uint32_t bits);

  uint32_t add_binding(std::string_view name, bool written);
  uint32_t add_local(std::string_view name, Type type);
  uint32_t add_shared(std::string_view name, uint32_t num_words);
  /// The 32-bit word `index` of the parameter block. Asking again for a word yields the same value.
  Value param(std::string_view name, Scalar scalar, uint32_t index);

  /// Opens region `which` of a structured instruction; what is emitted next goes there.
  void open_region(Value structured, uint32_t which);
  void close_region();
  /// The last instruction of the innermost region, or none.
  Value last() const;

  Kernel finish();

 private:
  uint32_t location(std::source_location at);
  Value append(const Instruction& instruction, RegionId region);

  Kernel kernel_;
  std::vector<RegionId> open_{kRootRegion};
  std::vector<Value> prologue_;  // constants and params: they dominate everything
  std::unordered_map<uint64_t, Value> constants_;
  std::unordered_map<uint32_t, Value> params_;
  std::unordered_map<uint64_t, uint32_t> locations_;
};

}  // namespace tattletale::ir

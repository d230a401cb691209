// One kernel as typed SSA with structured regions. Instructions live in one array and each yields at most one
// value, named by the instruction; a region is a list of instructions. Mutable locals are explicit
// (local_get, local_set) instead of phis: every target has variables, and none needs phis from us.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/op.h"
#include "ir/type.h"

namespace tattletale::ir {

/// An instruction of a kernel, and the value it yields.
struct Value {
  uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  bool operator==(const Value&) const = default;
};

using RegionId = uint32_t;
inline constexpr RegionId kNoRegion = UINT32_MAX;
inline constexpr RegionId kRootRegion = 0;

struct Instruction {
  Op op = Op::constant;
  Type type;                       // of the value; none for effects
  Storage storage = Storage::u32;  // memory operations
  uint8_t num_operands = 0;
  bool strict = false;  // f32 add, sub, mul: not to be contracted
  uint32_t attr0 = 0;
  uint32_t attr1 = 0;
  std::array<Value, 4> operands{};
  std::array<RegionId, 2> regions{kNoRegion, kNoRegion};
  uint32_t location = 0;  // into Kernel::locations
};

struct Location {
  std::string file;  // last component, "linear.cpp"
  uint32_t line = 0;
};

struct Binding {
  std::string name;
  bool written = false;
};
struct Param {
  std::string name;
  Scalar scalar = Scalar::u32;  // u32, i32 or f32
};
struct Local {
  std::string name;
  Type type;  // a scalar or a fragment; undefined until set
};
struct SharedArray {
  std::string name;
  uint32_t num_words = 0;  // 32 bits each; starts 16-byte aligned
};

struct Kernel {
  std::string name;
  uint32_t workgroup_threads = 1;  // a multiple of subgroup_size
  uint32_t subgroup_size = 1;
  std::vector<Binding> bindings;
  std::vector<Param> params;
  std::vector<Local> locals;
  std::vector<SharedArray> shared;
  std::vector<Instruction> instructions;
  std::vector<std::vector<Value>> regions{{}};  // regions[kRootRegion] is the body
  std::vector<Location> locations{{}};          // locations[0]: unknown

  const Instruction& at(Value value) const { return instructions[value.index]; }
  uint32_t shared_bytes() const {
    uint32_t words = 0;
    for (const SharedArray& array : shared) words += (array.num_words + 3) / 4 * 4;
    return words * 4;
  }
  uint32_t writes_mask() const {
    uint32_t mask = 0;
    for (size_t i = 0; i < bindings.size(); ++i) mask |= uint32_t{bindings[i].written} << i;
    return mask;
  }
  /// "linear.cpp:120", or "" when unknown.
  std::string where(Value value) const;
};

}  // namespace tattletale::ir

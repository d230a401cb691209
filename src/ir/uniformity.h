// How far a value is the same: for every thread of the grid, of a workgroup, of a subgroup, or for one lane
// only. The rules are those of WGSL, the strictest target: memory that a kernel writes is never uniform, nor
// is shared memory. Passes may use the levels too.
#pragma once

#include <vector>

#include "base/error.h"
#include "ir/kernel.h"

namespace tattletale::ir {

enum class Uniformity : uint8_t { constant, grid, workgroup, subgroup, lane };

/// Locals are looked at as a whole: a local has the widest level that is ever stored into it.
struct UniformityInfo {
  std::vector<Uniformity> of_value;   // by instruction
  std::vector<Uniformity> of_region;  // by region: how far all threads agree to be there
  std::vector<Value> value_cause;     // what made the value as wide as it is, itself where it starts
  std::vector<Value> region_cause;    // the condition or loop bound; invalid for the body
};

/// For a kernel of sound structure (verify() has looked at it first).
UniformityInfo analyse_uniformity(const Kernel& kernel);

/// Barriers of both kinds in workgroup-uniform control flow; subgroup operations and fragments in
/// subgroup-uniform control flow, and where fragments lie is the same for the subgroup. Errors:
/// invalid_argument, naming both places.
Result<void> verify_uniformity(const Kernel& kernel);

}  // namespace tattletale::ir

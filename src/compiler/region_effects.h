// What a structured instruction may do beyond its values: the locals it sets, whether it touches memory that
// somebody writes.
#pragma once

#include <vector>

#include "ir/kernel.h"

namespace tattletale::compiler {

struct RegionEffects {
  std::vector<uint32_t> locals;  // set somewhere inside, perhaps more than once
  bool memory = false;           // a store, an atomic, a copy or a synchronisation inside
};

/// Of all regions of `value`, nested ones included.
RegionEffects effects_of(const ir::Kernel& kernel, ir::Value value);

/// True for what may change memory or make the changes of other threads visible.
bool changes_memory(ir::Op op);

/// Number of instructions in a region, nested ones included.
uint32_t region_size(const ir::Kernel& kernel, ir::RegionId region);

}  // namespace tattletale::compiler

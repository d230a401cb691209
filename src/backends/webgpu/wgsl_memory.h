// Chooses the WGSL type of each storage buffer and workgroup array of a kernel. WGSL gives a variable one
// type, so the way a kernel touches memory decides: vec4<u32> wherever whole vectors are moved, u32 or
// atomic<u32> elsewhere. Does not look at what is stored, only at how wide each access is. Source: WGSL sec.
// 13 (memory; a store to one component of a vector may touch the whole vector).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/kernel.h"

namespace tattletale::webgpu {

/// How one buffer or array is declared.
struct MemoryShape {
  uint8_t lanes = 1;           // words of an element: array<u32>, array<vec2<u32>> or array<vec4<u32>>
  bool atomic = false;         // array<atomic<u32>>, lanes is 1
  bool atomic_signed = false;  // array<atomic<i32>>: only signed minima and maxima are taken
  bool loaded = false;
  bool stored = false;
};

struct MemoryPlan {
  std::vector<MemoryShape> bindings;
  std::vector<MemoryShape> shared;
};

/// Elements are as wide as the widest access, but no wider than the narrowest store: two threads storing
/// neighbouring words of one vector would race, see the source above.
MemoryPlan plan_memory(const ir::Kernel& kernel);

}  // namespace tattletale::webgpu

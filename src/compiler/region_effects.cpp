#include "compiler/region_effects.h"

namespace tattletale::compiler {

using ir::Op;

namespace {

void collect(const ir::Kernel& kernel, ir::RegionId region, RegionEffects& effects) {
  if (region == ir::kNoRegion) return;
  for (const ir::Value value : kernel.regions[region]) {
    const ir::Instruction& in = kernel.at(value);
    if (in.op == Op::local_set) effects.locals.push_back(in.attr0);
    effects.memory |= changes_memory(in.op);
    for (const ir::RegionId nested : in.regions) collect(kernel, nested, effects);
  }
}

}  // namespace

bool changes_memory(Op op) {
  switch (op) {
    case Op::local_set:
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
    case Op::shuffle_xor:
    case Op::shuffle:
    case Op::subgroup_any:
    case Op::subgroup_all:
    case Op::fragment_load:
    case Op::fragment_load_rows:
    case Op::fragment_mma: return false;
    default: return ir::op_info(op).kind == ir::OpKind::effect || ir::op_info(op).kind == ir::OpKind::sync;
  }
}

RegionEffects effects_of(const ir::Kernel& kernel, ir::Value value) {
  RegionEffects effects;
  for (const ir::RegionId region : kernel.at(value).regions) collect(kernel, region, effects);
  return effects;
}

uint32_t region_size(const ir::Kernel& kernel, ir::RegionId region) {
  if (region == ir::kNoRegion) return 0;
  uint32_t size = 0;
  for (const ir::Value value : kernel.regions[region]) {
    size += 1;
    for (const ir::RegionId nested : kernel.at(value).regions) size += region_size(kernel, nested);
  }
  return size;
}

}  // namespace tattletale::compiler

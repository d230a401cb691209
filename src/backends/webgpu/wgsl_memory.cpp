#include "backends/webgpu/wgsl_memory.h"

#include <algorithm>

namespace tattletale::webgpu {
namespace {

using ir::Op;

/// What the instructions seen so far ask of one buffer or array.
struct Use {
  uint8_t widest = 1;
  uint8_t narrowest_store = 4;
  bool atomic = false;
  bool signed_order = false;    // atomic_min or atomic_max of i32
  bool unsigned_order = false;  // ... of u32
  bool loaded = false;
  bool stored = false;

  void load(uint8_t lanes) {
    loaded = true;
    widest = std::max(widest, lanes);
  }
  void store(uint8_t lanes) {
    stored = true;
    widest = std::max(widest, lanes);
    narrowest_store = std::min(narrowest_store, lanes);
  }
  void atomic_access(bool order, bool is_signed) {
    atomic = loaded = stored = true;
    if (order) (is_signed ? signed_order : unsigned_order) = true;
  }
  MemoryShape shape() const {
    MemoryShape shape{.loaded = loaded, .stored = stored};
    shape.atomic = atomic;
    shape.atomic_signed = signed_order && !unsigned_order;
    if (!atomic) shape.lanes = stored ? std::min(widest, narrowest_store) : widest;
    return shape;
  }
};

class Planner {
 public:
  explicit Planner(const ir::Kernel& kernel)
      : kernel_(kernel), bindings_(kernel.bindings.size()), shared_(kernel.shared.size()) {
    region(ir::kRootRegion);
  }

  MemoryPlan plan() const {
    MemoryPlan plan;
    for (const Use& use : bindings_) plan.bindings.push_back(use.shape());
    for (const Use& use : shared_) plan.shared.push_back(use.shape());
    return plan;
  }

 private:
  void region(ir::RegionId id) {
    for (ir::Value value : kernel_.regions[id]) {
      const ir::Instruction& in = kernel_.at(value);
      look_at(in);
      for (ir::RegionId inner : in.regions) {
        if (inner != ir::kNoRegion) region(inner);
      }
    }
  }

  void look_at(const ir::Instruction& in) {
    switch (in.op) {
      case Op::load: bindings_[in.attr0].load(in.type.lanes); return;
      case Op::store: bindings_[in.attr0].store(kernel_.at(in.operands[1]).type.lanes); return;
      case Op::shared_load: shared_[in.attr0].load(in.type.lanes); return;
      case Op::shared_store: shared_[in.attr0].store(kernel_.at(in.operands[1]).type.lanes); return;
      case Op::copy_async:
        bindings_[in.attr0].load(4);
        shared_[in.attr1].store(4);
        return;
      case Op::atomic_min:
      case Op::atomic_max: bindings_[in.attr0].atomic_access(true, in.type == ir::kI32); return;
      case Op::atomic_add:
      case Op::atomic_cas: bindings_[in.attr0].atomic_access(false, false); return;
      case Op::shared_atomic_add: shared_[in.attr0].atomic_access(false, false); return;
      default: return;
    }
  }

  const ir::Kernel& kernel_;
  std::vector<Use> bindings_, shared_;
};

}  // namespace

MemoryPlan plan_memory(const ir::Kernel& kernel) {
  return Planner(kernel).plan();
}

}  // namespace tattletale::webgpu

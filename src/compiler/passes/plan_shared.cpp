// Shared memory by lifetimes. Barriers in the kernel's outermost region cut it into phases; an array lives
// from its first to its last phase. Arrays whose lives do not meet take the same words: a barrier that every
// thread passes lies between the last access to one and the first to the other, and no array keeps a value
// from before its first.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "ir/op_attributes.h"

namespace tattletale::compiler {
namespace {

using ir::Attribute;
using ir::Instruction;
using ir::Op;
using ir::Value;

struct Life {
  uint32_t first = UINT32_MAX;
  uint32_t last = 0;
  uint32_t slot = UINT32_MAX;

  bool is_used() const { return first != UINT32_MAX; }
  bool meets(const Life& other) const { return first <= other.last && other.first <= last; }
};

class SharedPlanner {
 public:
  explicit SharedPlanner(ir::Kernel& kernel) : kernel_(kernel), lives_(kernel.shared.size()) {}

  void run() {
    uint32_t phase = 0;
    for (const Value value : kernel_.regions[ir::kRootRegion]) {
      if (kernel_.at(value).op == Op::barrier) ++phase;
      touch(value, phase);
    }
    // A copy may still be under way after any barrier: its target lives to the end.
    for (const uint32_t array : copied_to_) lives_[array].last = phase;
    assign_slots();
  }

 private:
  void touch(Value value, uint32_t phase) {
    const Instruction& in = kernel_.at(value);
    if (ir::attribute0(in.op) == Attribute::shared) extend(in.attr0, phase);
    if (ir::attribute1(in.op) == Attribute::shared) {
      extend(in.attr1, phase);
      copied_to_.push_back(in.attr1);
    }
    for (const ir::RegionId region : in.regions) {
      if (region == ir::kNoRegion) continue;
      for (const Value inner : kernel_.regions[region]) touch(inner, phase);
    }
  }
  void extend(uint32_t array, uint32_t phase) {
    Life& life = lives_[array];
    life.first = std::min(life.first, phase);
    life.last = std::max(life.last, phase);
  }

  /// Largest first, each into the first slot in which it meets nobody.
  void assign_slots() {
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < lives_.size(); ++i) {
      if (lives_[i].is_used()) order.push_back(i);
    }
    std::ranges::stable_sort(order, std::greater{}, [&](uint32_t i) { return kernel_.shared[i].num_words; });
    std::vector<ir::SharedArray> slots;
    for (const uint32_t array : order) {
      uint32_t slot = 0;
      while (slot < slots.size() && !is_free(slot, array)) ++slot;
      if (slot == slots.size()) {
        slots.push_back(kernel_.shared[array]);
      }
      lives_[array].slot = slot;
    }
    if (slots.size() == kernel_.shared.size()) return;
    for (Instruction& in : kernel_.instructions) {
      // Instructions outside all regions may name arrays that are gone; they are dead.
      if (ir::attribute0(in.op) == Attribute::shared) in.attr0 = lives_[in.attr0].slot;
      if (ir::attribute1(in.op) == Attribute::shared) in.attr1 = lives_[in.attr1].slot;
    }
    kernel_.shared = std::move(slots);
  }
  bool is_free(uint32_t slot, uint32_t array) const {
    return std::ranges::none_of(
        lives_, [&](const Life& other) { return other.slot == slot && other.meets(lives_[array]); });
  }

  ir::Kernel& kernel_;
  std::vector<Life> lives_;  // by array
  std::vector<uint32_t> copied_to_;
};

}  // namespace

void plan_shared(ir::Kernel& kernel, const PassContext&) {
  SharedPlanner(kernel).run();
}

}  // namespace tattletale::compiler

// Loop-invariant code motion. Only cheap integer operations that are harmless anywhere move, and loads of
// unwritten bindings that the loop would execute anyhow; a limit for each loop keeps registers free. Drivers
// do the rest: what they cannot know is that a binding stays unwritten.
#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

class InvariantMotion {
 public:
  InvariantMotion(ir::Kernel& kernel, uint32_t max_hoisted)
      : kernel_(kernel), max_hoisted_(max_hoisted), depth_(kernel.instructions.size(), 0) {}

  /// Inner loops first: what they give up is then part of the body around them. depth_ is the number of loops
  /// around a definition. An operand that is visible and defined outside a loop has a depth no greater than
  /// the loop's own.
  void process(ir::RegionId region, uint32_t depth) {
    if (region == ir::kNoRegion) return;
    const std::vector<Value> values = std::move(kernel_.regions[region]);
    std::vector<Value> built;
    built.reserve(values.size());
    for (const Value value : values) {
      const Instruction& in = kernel_.at(value);
      const bool loops = in.op == Op::for_ || in.op == Op::while_;
      depth_[value.index] = loops ? depth + 1 : depth;  // a counter belongs to the body
      for (const ir::RegionId nested : in.regions) process(nested, loops ? depth + 1 : depth);
      if (loops) {
        uint32_t budget = max_hoisted_;
        for (const ir::RegionId nested : in.regions) {
          hoist(nested, depth, surely_runs(in) && nested == in.regions[0], budget, built);
        }
      }
      built.push_back(value);
    }
    kernel_.regions[region] = std::move(built);
  }

 private:
  bool surely_runs(const Instruction& loop) const {
    if (loop.op == Op::while_) return true;  // its condition does
    uint32_t first = 0, end = 0;
    return is_constant(kernel_, loop.operands[0], &first) && is_constant(kernel_, loop.operands[1], &end) &&
           first < end;
  }

  /// Moves what is invariant from `region`, and from branches inside it, to the end of `out`.
  void hoist(ir::RegionId region, uint32_t depth, bool executed, uint32_t& budget, std::vector<Value>& out) {
    if (region == ir::kNoRegion) return;
    std::vector<Value> kept;
    const std::vector<Value> values = std::move(kernel_.regions[region]);
    for (const Value value : values) {
      const Instruction& in = kernel_.at(value);
      if (in.op == Op::if_) {
        for (const ir::RegionId nested : in.regions) hoist(nested, depth, false, budget, out);
      }
      if (budget > 0 && is_invariant(in, depth) && may_move(in, executed)) {
        depth_[value.index] = depth;
        budget -= 1;
        out.push_back(value);
      } else {
        kept.push_back(value);
      }
    }
    kernel_.regions[region] = std::move(kept);
  }

  bool is_invariant(const Instruction& in, uint32_t depth) const {
    for (uint32_t i = 0; i < in.num_operands; ++i) {
      if (depth_[in.operands[i].index] > depth) return false;
    }
    return true;
  }

  bool may_move(const Instruction& in, bool executed) const {
    if (in.op == Op::load) return executed && !kernel_.bindings[in.attr0].written && in.type.lanes == 1;
    if (!is_pure(in.op) || in.type.lanes != 1 || !is_speculatable(kernel_, in)) return false;
    for (uint32_t i = 0; i < in.num_operands; ++i) {
      if (kernel_.at(in.operands[i]).type == ir::kF32) return false;
    }
    return in.type == ir::kU32 || in.type == ir::kI32 || in.type == ir::kBool || in.type == ir::kOffset;
  }

  ir::Kernel& kernel_;
  uint32_t max_hoisted_;
  std::vector<uint32_t> depth_;  // by instruction
};

}  // namespace

void licm(ir::Kernel& kernel, const PassContext& context) {
  InvariantMotion(kernel, context.options.max_hoisted).process(ir::kRootRegion, 0);
}

}  // namespace tattletale::compiler

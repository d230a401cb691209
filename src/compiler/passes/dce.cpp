// Dead code: liveness backwards from effects, then a copy of what lives in program order. A local_set goes if
// the local is set again in the same region before anybody reads it. Empty branches and counting loops go; a
// while loop stays, as it may be what a program waits in.
#include <algorithm>
#include <ranges>

#include "compiler/passes/passes.h"
#include "compiler/region_effects.h"
#include "compiler/rewriter.h"
#include "ir/op_attributes.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

class DeadCode {
 public:
  explicit DeadCode(ir::Kernel& kernel) : kernel_(kernel), live_(kernel.instructions.size()) {}

  void run() {
    while (true) {
      read_.assign(kernel_.locals.size(), false);
      mark_reads(ir::kRootRegion);
      std::fill(live_.begin(), live_.end(), false);
      if (!sweep(ir::kRootRegion)) break;  // what was removed may have been a local's last reader
    }
    renumber();
  }

 private:
  void mark_reads(ir::RegionId region) {
    for (const Value value : kernel_.regions[region]) {
      const Instruction& in = kernel_.at(value);
      if (in.op == Op::local_get) read_[in.attr0] = true;
      for (const ir::RegionId nested : in.regions) {
        if (nested != ir::kNoRegion) mark_reads(nested);
      }
    }
  }

  /// Takes what is read inside out of `overwritten`. What is set inside may not happen, so it changes
  /// nothing.
  void mark_needed(ir::RegionId region, std::vector<bool>& overwritten) const {
    for (const Value value : kernel_.regions[region]) {
      const Instruction& in = kernel_.at(value);
      if (in.op == Op::local_get) overwritten[in.attr0] = false;
      for (const ir::RegionId nested : in.regions) {
        if (nested != ir::kNoRegion) mark_needed(nested, overwritten);
      }
    }
  }

  bool is_root(const Instruction& in) const {
    if (in.op == Op::local_set) return read_[in.attr0];
    return in.op == Op::while_ || in.op == Op::yield || changes_memory(in.op);
  }

  /// Backwards through a region: uses come after definitions. True if a local_get or local_set went.
  bool sweep(ir::RegionId region) {
    std::vector<Value> kept;
    bool removed_local = false;
    std::vector<bool> overwritten(kernel_.locals.size(), false);  // set again below, and not read before
    const std::vector<Value> values = std::move(kernel_.regions[region]);
    for (const Value value : std::views::reverse(values)) {
      const Instruction in = kernel_.at(value);
      bool alive = live_[value.index] || is_root(in);
      if (in.op == Op::while_) {
        // The body reads nothing of the condition, but both read what stands before the loop.
        for (const ir::RegionId nested : in.regions) removed_local |= sweep(nested);
      } else if (ir::op_info(in.op).kind == ir::OpKind::structure) {
        for (const ir::RegionId nested : in.regions) {
          if (nested == ir::kNoRegion) continue;
          removed_local |= sweep(nested);
          alive |= !kernel_.regions[nested].empty();
        }
      }
      if (in.op == Op::local_set) {
        alive = alive && !overwritten[in.attr0];
        overwritten[in.attr0] = true;
      }
      if (alive && in.op == Op::local_get) overwritten[in.attr0] = false;
      for (const ir::RegionId nested : in.regions) {
        if (nested != ir::kNoRegion) mark_needed(nested, overwritten);
      }
      if (!alive) {
        removed_local |= in.op == Op::local_get || in.op == Op::local_set;
        continue;
      }
      live_[value.index] = true;
      for (uint32_t i = 0; i < in.num_operands; ++i) live_[in.operands[i].index] = true;
      kept.push_back(value);
    }
    std::ranges::reverse(kept);
    kernel_.regions[region] = std::move(kept);
    return removed_local;
  }

  void renumber() {
    ir::Kernel packed = kernel_;
    packed.instructions.clear();
    packed.regions.assign(1, {});
    place_.assign(kernel_.instructions.size(), Value{});
    local_.assign(kernel_.locals.size(), UINT32_MAX);
    shared_.assign(kernel_.shared.size(), UINT32_MAX);
    packed.locals.clear();
    packed.shared.clear();
    packed.instructions.reserve(kernel_.instructions.size());
    copy_region(packed, ir::kRootRegion, ir::kRootRegion);
    kernel_ = std::move(packed);
  }

  template <class Table>
  static uint32_t renumber_entry(const Table& from, Table& to, std::vector<uint32_t>& map, uint32_t index) {
    if (map[index] == UINT32_MAX) {
      map[index] = static_cast<uint32_t>(to.size());
      to.push_back(from[index]);
    }
    return map[index];
  }

  void copy_region(ir::Kernel& packed, ir::RegionId from, ir::RegionId to) {
    for (const Value value : kernel_.regions[from]) {
      Instruction in = kernel_.at(value);
      for (uint32_t i = 0; i < in.num_operands; ++i) in.operands[i] = place_[in.operands[i].index];
      if (ir::attribute0(in.op) == ir::Attribute::local) {
        in.attr0 = renumber_entry(kernel_.locals, packed.locals, local_, in.attr0);
      }
      if (ir::attribute0(in.op) == ir::Attribute::shared) {
        in.attr0 = renumber_entry(kernel_.shared, packed.shared, shared_, in.attr0);
      }
      if (ir::attribute1(in.op) == ir::Attribute::shared) {
        in.attr1 = renumber_entry(kernel_.shared, packed.shared, shared_, in.attr1);
      }
      const Value copy{static_cast<uint32_t>(packed.instructions.size())};
      place_[value.index] = copy;
      packed.instructions.push_back(in);
      packed.regions[to].push_back(copy);
      for (uint32_t i = 0; i < in.regions.size(); ++i) {
        if (in.regions[i] == ir::kNoRegion) continue;
        // An empty else says the same as none.
        if (in.op == Op::if_ && i == 1 && kernel_.regions[in.regions[i]].empty()) {
          packed.instructions[copy.index].regions[i] = ir::kNoRegion;
          continue;
        }
        const ir::RegionId nested = static_cast<ir::RegionId>(packed.regions.size());
        packed.regions.emplace_back();
        packed.instructions[copy.index].regions[i] = nested;
        copy_region(packed, in.regions[i], nested);
      }
    }
  }

  ir::Kernel& kernel_;
  std::vector<bool> live_;
  std::vector<bool> read_;    // locals that somebody gets
  std::vector<Value> place_;  // by old instruction
  std::vector<uint32_t> local_, shared_;
};

}  // namespace

void dce(ir::Kernel& kernel, const PassContext&) {
  DeadCode(kernel).run();
}

}  // namespace tattletale::compiler

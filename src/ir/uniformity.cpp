#include "ir/uniformity.h"

#include <algorithm>

#include "ir/describe.h"

namespace tattletale::ir {
namespace {

class Analysis {
 public:
  explicit Analysis(const Kernel& kernel) : kernel_(kernel) {
    info_.of_value.resize(kernel.instructions.size(), Uniformity::constant);
    info_.value_cause.resize(kernel.instructions.size());
    info_.of_region.resize(kernel.regions.size(), Uniformity::constant);
    info_.region_cause.resize(kernel.regions.size());
    locals_.resize(kernel.locals.size());
  }

  UniformityInfo run() {
    do {
      changed_ = false;
      region(kRootRegion, {});
    } while (changed_);  // levels only rise, so this ends
    return std::move(info_);
  }

 private:
  struct Level {
    Uniformity level = Uniformity::constant;
    Value cause;

    void widen(Level other) {
      if (other.level > level) *this = other;
    }
  };

  Level of(Value value) const { return {info_.of_value[value.index], value}; }

  /// A value that is at least as wide as `least` by itself.
  static Level at_least(Uniformity least, Value self, Level from) {
    return from.level >= least ? from : Level{least, self};
  }

  void raise(Value value, Level to) {
    if (to.level <= info_.of_value[value.index]) return;
    info_.of_value[value.index] = to.level;
    info_.value_cause[value.index] = to.cause;
    changed_ = true;
  }

  void region(RegionId id, Level control) {
    if (id == kNoRegion) return;
    if (control.level > info_.of_region[id]) {
      info_.of_region[id] = control.level;
      info_.region_cause[id] = control.cause;
      changed_ = true;
    }
    for (Value value : kernel_.regions[id]) instruction(value, control);
  }

  void instruction(Value value, Level control) {
    const Instruction& in = kernel_.at(value);
    switch (in.op) {
      case Op::if_:
      case Op::for_: {
        Level inside = control;
        for (uint32_t i = 0; i < in.num_operands; ++i) inside.widen(of(in.operands[i]));
        // A loop that threads leave at different times changes its counter in divergent control flow.
        if (in.op == Op::for_) raise(value, inside);
        for (RegionId id : in.regions) region(id, inside);
        return;
      }
      case Op::while_: {
        Level inside = control;
        inside.widen(of(kernel_.regions[in.regions[0]].back()));
        region(in.regions[0], inside);
        inside.widen(of(kernel_.regions[in.regions[0]].back()));
        region(in.regions[1], inside);
        return;
      }
      case Op::local_set: {
        Level stored = control;
        stored.widen(of(in.operands[0]));
        if (stored.level > locals_[in.attr0].level) {
          locals_[in.attr0] = {stored.level, value};
          changed_ = true;
        }
        raise(value, stored);
        return;
      }
      default: raise(value, result(value, in));
    }
  }

  Level result(Value value, const Instruction& in) const {
    Level level;
    for (uint32_t i = 0; i < in.num_operands; ++i) level.widen(of(in.operands[i]));
    switch (in.op) {
      case Op::param:
      case Op::num_workgroups: return {Uniformity::grid, value};
      case Op::workgroup_id: return {Uniformity::workgroup, value};
      case Op::subgroup_id: return {Uniformity::subgroup, value};
      case Op::local_get: return locals_[in.attr0];
      case Op::load:
        if (!kernel_.bindings[in.attr0].written) return at_least(Uniformity::grid, value, level);
        return {Uniformity::lane, value};
      case Op::subgroup_add:
      case Op::subgroup_max:
      case Op::subgroup_min:
      case Op::subgroup_any:
      case Op::subgroup_all: return {Uniformity::subgroup, value};
      case Op::shuffle:
        if (of(in.operands[1]).level <= Uniformity::subgroup) return {Uniformity::subgroup, value};
        return {Uniformity::lane, value};
      case Op::fragment_load:
      case Op::fragment_load_rows:
      case Op::fragment_mma: return {Uniformity::subgroup, value};
      case Op::local_id:
      case Op::lane_id:
      case Op::shuffle_xor:
      case Op::shared_load:
      case Op::atomic_add:
      case Op::atomic_min:
      case Op::atomic_max:
      case Op::atomic_cas:
      case Op::shared_atomic_add:
      case Op::fragment_get:
      case Op::fragment_row:
      case Op::fragment_column: return {Uniformity::lane, value};
      default: return level;
    }
  }

  const Kernel& kernel_;
  UniformityInfo info_;
  std::vector<Level> locals_;  // cause: a local_set
  bool changed_ = false;
};

const char* differs_between(Uniformity level) {
  return level == Uniformity::subgroup ? "differs between subgroups" : "differs between threads";
}

/// Follows the causes to where the difference starts.
Value origin_of(const UniformityInfo& info, Value value) {
  for (size_t steps = 0; steps < info.value_cause.size(); ++steps) {
    const Value cause = info.value_cause[value.index];
    if (!cause.valid() || cause == value) break;
    value = cause;
  }
  return value;
}

class Check {
 public:
  explicit Check(const Kernel& kernel) : kernel_(kernel), info_(analyse_uniformity(kernel)) {}

  Result<void> region(RegionId id) const {
    for (Value value : kernel_.regions[id]) {
      const Instruction& in = kernel_.at(value);
      TT_TRY(control(value, in, id));
      TT_TRY(addresses(value, in));
      for (RegionId inner : in.regions) {
        if (inner != kNoRegion) TT_TRY(region(inner));
      }
    }
    return {};
  }

 private:
  Result<void> control(Value value, const Instruction& in, RegionId id) const {
    if (op_info(in.op).kind != OpKind::sync) return {};
    // WGSL has no subgroup barrier: a workgroup's takes its place.
    const bool whole = in.op == Op::barrier || in.op == Op::subgroup_barrier;
    const Uniformity allowed = whole ? Uniformity::workgroup : Uniformity::subgroup;
    if (info_.of_region[id] <= allowed) return {};
    const Value cause = info_.region_cause[id];
    return make_error(ErrorKind::invalid_argument, kernel_.name,
                      describe(kernel_, value) + " is inside " + structure_of(cause) + " " +
                          differs_between(info_.of_region[id]) + origin(cause) + "; every thread of the " +
                          (whole ? "workgroup" : "subgroup") + " must reach it together");
  }

  /// Where a fragment lies is one place for the whole subgroup.
  Result<void> addresses(Value value, const Instruction& in) const {
    uint32_t places = 0;
    switch (in.op) {
      case Op::fragment_load:
      case Op::fragment_load_rows:
      case Op::fragment_store_shared:
      case Op::fragment_store: places = 2; break;
      default: return {};
    }
    for (uint32_t i = 0; i < in.num_operands; ++i) {
      const bool base = in.op == Op::fragment_store && i == 3;
      if ((i < places || base) && info_.of_value[in.operands[i].index] > Uniformity::subgroup) {
        return make_error(ErrorKind::invalid_argument, kernel_.name,
                          describe(kernel_, value) + ": operand " + std::to_string(i) +
                              " differs between threads" + origin(in.operands[i]) +
                              "; a fragment's place must be the same for the subgroup");
      }
    }
    return {};
  }

  /// "an if whose condition", "a loop whose bounds": the structure that reads `cause`.
  std::string structure_of(Value cause) const {
    for (const Instruction& in : kernel_.instructions) {
      const bool reads = std::count(in.operands.begin(), in.operands.begin() + in.num_operands, cause) > 0;
      if (!reads) continue;
      if (in.op == Op::if_) return "an if whose condition";
      if (in.op == Op::for_) return "a for loop whose range";
    }
    return "a while loop whose condition";
  }

  std::string origin(Value cause) const {
    const Value start = origin_of(info_, cause);
    return " (from " + describe(kernel_, start) + ")";
  }

  const Kernel& kernel_;
  UniformityInfo info_;
};

}  // namespace

UniformityInfo analyse_uniformity(const Kernel& kernel) {
  return Analysis(kernel).run();
}

Result<void> verify_uniformity(const Kernel& kernel) {
  return Check(kernel).region(kRootRegion);
}

}  // namespace tattletale::ir

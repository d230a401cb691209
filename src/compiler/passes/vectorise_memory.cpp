// Merges scalar accesses of adjacent words. Within a region every instruction runs if one does, so a load may
// move up to the first of its group and a store down to the last, as long as nothing in between touches the
// same memory. An index is a root plus a constant (fold has moved constants outwards); alignment must be
// provable.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"
#include "ir/known_bits.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

bool is_load(Op op) {
  return op == Op::load || op == Op::shared_load;
}
bool is_store(Op op) {
  return op == Op::store || op == Op::shared_store;
}
bool is_shared(Op op) {
  return op == Op::shared_load || op == Op::shared_store;
}

class Vectoriser : public Rewriter {
 public:
  explicit Vectoriser(ir::Kernel& kernel) : Rewriter(kernel), group_of_(kernel.instructions.size(), kNone) {}

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Member {
    uint32_t constant = 0;  // index = root + constant
    size_t position = 0;    // in the region
    Value value;
  };
  /// Accesses that may still be joined: of one kind, to one memory, from one root.
  struct Run {
    Instruction like;
    Value base;
    Value root;  // invalid: indices are constants
    std::vector<Member> members;
  };
  struct Group {
    std::vector<Value> lanes;
    Value anchor;  // where the merged access goes
    uint32_t anchor_lane = 0;
  };

  void enter(ir::RegionId, const std::vector<Value>& values) override {
    runs_.clear();
    for (size_t position = 0; position < values.size(); ++position) plan(values[position], position);
    close_if([](const Run&) { return true; });
  }

  void plan(Value value, size_t position) {
    const Instruction& in = kernel_.at(value);
    if (is_pure(in.op) || in.op == Op::local_get || in.op == Op::local_set) return;
    if (!is_load(in.op) && !is_store(in.op)) return close_if([](const Run&) { return true; });
    const auto same_memory = [&](const Run& run) {
      return is_shared(run.like.op) == is_shared(in.op) && run.like.attr0 == in.attr0;
    };
    const uint8_t lanes = is_load(in.op) ? in.type.lanes : kernel_.at(in.operands[1]).type.lanes;
    const bool joins = lanes == 1 && storage_bytes(in.storage) == 4;
    const Run like = run_of(in);
    if (is_load(in.op)) {
      close_if([&](const Run& run) { return same_memory(run) && is_store(run.like.op); });
    } else {
      // Of stores to one memory only those from one root may wait: others might hit the same word.
      close_if([&](const Run& run) { return same_memory(run) && !(joins && alike(run, like)); });
    }
    if (joins) join(like, {constant_part(in.operands[0]), position, value});
  }

  Run run_of(const Instruction& in) const {
    Run run{in, in.num_operands > num_fixed(in.op) ? in.operands[num_fixed(in.op)] : Value{}, {}, {}};
    uint32_t bits = 0;
    const Value index = in.operands[0];
    if (is_constant(kernel_, index, &bits)) return run;
    const Instruction& sum = kernel_.at(index);
    const bool has_constant = sum.op == Op::add && is_constant(kernel_, sum.operands[1], &bits);
    run.root = has_constant ? sum.operands[0] : index;
    return run;
  }
  static uint32_t num_fixed(Op op) { return is_load(op) ? 1 : 2; }

  uint32_t constant_part(Value index) const {
    uint32_t bits = 0;
    if (is_constant(kernel_, index, &bits)) return bits;
    const Instruction& sum = kernel_.at(index);
    return sum.op == Op::add && is_constant(kernel_, sum.operands[1], &bits) ? bits : 0;
  }

  static bool alike(const Run& a, const Run& b) {
    return a.like.op == b.like.op && a.like.attr0 == b.like.attr0 && a.like.attr1 == b.like.attr1 &&
           a.like.storage == b.like.storage && a.base == b.base && a.root == b.root;
  }

  void join(const Run& like, const Member& member) {
    const auto same_word = [&](const Member& other) { return other.constant == member.constant; };
    if (is_store(like.like.op)) {
      close_if(
          [&](const Run& run) { return alike(run, like) && std::ranges::any_of(run.members, same_word); });
    }
    for (Run& run : runs_) {
      if (!alike(run, like)) continue;
      if (std::ranges::none_of(run.members, same_word)) run.members.push_back(member);
      return;
    }
    runs_.push_back(like);
    runs_.back().members.push_back(member);
  }

  template <class Predicate>
  void close_if(Predicate predicate) {
    std::erase_if(runs_, [&](Run& run) {
      const bool closes = predicate(run);
      if (closes) close(run);
      return closes;
    });
  }

  void close(Run& run) {
    std::ranges::sort(run.members, {}, &Member::constant);
    for (size_t i = 0; i < run.members.size();) {
      const uint32_t lanes = fits(run, i, 4) ? 4 : fits(run, i, 2) ? 2 : 1;
      if (lanes > 1) add_group(run, i, lanes);
      i += lanes;
    }
  }

  bool fits(const Run& run, size_t first, uint32_t lanes) const {
    if (first + lanes > run.members.size()) return false;
    for (uint32_t i = 1; i < lanes; ++i) {
      if (run.members[first + i].constant != run.members[first].constant + i) return false;
    }
    const Value index = kernel_.at(run.members[first].value).operands[0];
    if (ir::residue_of(kernel_, index, lanes) != 0u) return false;
    if (!run.base.valid()) return true;
    const Instruction& offset = kernel_.at(run.base);
    return offset.op == Op::offset && ir::residue_of(kernel_, offset.operands[1], 4 * lanes) == 0u;
  }

  void add_group(const Run& run, size_t first, uint32_t lanes) {
    Group group;
    const Member* anchor = nullptr;
    for (uint32_t i = 0; i < lanes; ++i) {
      const Member& member = run.members[first + i];
      group.lanes.push_back(member.value);
      group_of_[member.value.index] = static_cast<uint32_t>(groups_.size());
      const bool takes_over =
          anchor == nullptr ||
          (is_load(run.like.op) ? member.position < anchor->position : member.position > anchor->position);
      if (!takes_over) continue;
      anchor = &member;
      group.anchor_lane = i;
    }
    group.anchor = anchor->value;
    groups_.push_back(std::move(group));
  }

  void visit(Value value, const Instruction& in) override {
    if (value.index >= group_of_.size() || group_of_[value.index] == kNone) return keep(value);
    const Group& group = groups_[group_of_[value.index]];
    if (value != group.anchor) return;  // done, or still to be done, at the anchor
    is_load(in.op) ? merge_loads(group, in) : merge_stores(group, in);
  }

  void merge_loads(const Group& group, Instruction in) {
    const ir::Type element = in.type;
    // The first lane's own index may not be computed yet; the anchor's is.
    if (group.anchor_lane > 0) in.operands[0] = index_before(in.operands[0], group.anchor_lane);
    in.type.lanes = static_cast<uint8_t>(group.lanes.size());
    const Value vector = emit(in);
    for (uint32_t lane = 0; lane < group.lanes.size(); ++lane) {
      replace(group.lanes[lane], emit(Op::extract, element, {vector}, lane));
    }
  }
  Value index_before(Value index, uint32_t lanes) {
    uint32_t bits = 0;
    if (is_constant(kernel_, index, &bits)) return constant(ir::kU32, bits - lanes);
    return emit(Op::add, ir::kU32, {index, constant(ir::kU32, 0u - lanes)});
  }

  void merge_stores(const Group& group, Instruction in) {
    Instruction vector;
    vector.op = Op::make_vector;
    vector.num_operands = static_cast<uint8_t>(group.lanes.size());
    for (uint32_t lane = 0; lane < group.lanes.size(); ++lane) {
      vector.operands[lane] = resolve(kernel_.at(group.lanes[lane]).operands[1]);
    }
    vector.type = kernel_.at(vector.operands[0]).type;
    vector.type.lanes = vector.num_operands;
    in.operands[0] = resolve(kernel_.at(group.lanes[0]).operands[0]);
    in.operands[1] = emit(vector);
    emit(in);
  }

  std::vector<Run> runs_;
  std::vector<Group> groups_;
  std::vector<uint32_t> group_of_;  // by instruction
};

}  // namespace

void vectorise_memory(ir::Kernel& kernel, const PassContext&) {
  Vectoriser(kernel).run();
}

}  // namespace tattletale::compiler

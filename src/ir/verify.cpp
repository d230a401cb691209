#include "ir/verify.h"

#include <bit>

#include "ir/describe.h"
#include "ir/uniformity.h"
#include "ir/verify_types.h"

namespace tattletale::ir {
namespace {

bool is_identifier(const std::string& name) {
  if (name.empty() || name.size() > 128) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return true;
}

class Verifier {
 public:
  Verifier(const Kernel& kernel, const TargetInfo& target) : kernel_(kernel), target_(target) {}

  Result<void> run() {
    TT_TRY(names());
    TT_TRY(tables());
    TT_TRY(limits());
    listed_.assign(kernel_.instructions.size(), false);
    visible_.assign(kernel_.instructions.size(), false);
    owned_.assign(kernel_.regions.size(), false);
    if (kernel_.regions.empty()) return invalid("has no body: regions is empty");
    owned_[kRootRegion] = true;
    return region(kRootRegion, 0);
  }

 private:
  Error invalid(std::string what) const {
    return make_error(ErrorKind::invalid_argument, kernel_.name, std::move(what));
  }
  Error too_much(std::string what, uint64_t has, uint64_t limit) const {
    return make_error(ErrorKind::limit_exceeded, kernel_.name,
                      std::move(what) + ": " + std::to_string(has) + ", target " + target_.name + " allows " +
                          std::to_string(limit));
  }
  Error too_deep() const {
    return make_error(ErrorKind::limit_exceeded, kernel_.name,
                      "more than " + std::to_string(kMaxNesting) + " regions inside each other");
  }
  Error at(Value value, ErrorKind kind, const std::string& reason) const {
    return make_error(kind, kernel_.name, describe(kernel_, value) + ": " + reason);
  }

  /// Names become names in printed programs, so nothing but identifiers may pass.
  Result<void> names() const {
    if (!is_identifier(kernel_.name)) return invalid("the kernel's name is not an identifier");
    const auto check = [&](const auto& table, const char* what) -> Result<void> {
      for (size_t i = 0; i < table.size(); ++i) {
        if (table[i].name.empty() || is_identifier(table[i].name)) continue;
        return invalid(std::string(what) + " " + std::to_string(i) + ": its name is not an identifier");
      }
      return {};
    };
    TT_TRY(check(kernel_.bindings, "binding"));
    TT_TRY(check(kernel_.params, "parameter"));
    TT_TRY(check(kernel_.locals, "local"));
    return check(kernel_.shared, "shared array");
  }

  Result<void> tables() const {
    for (const Param& param : kernel_.params) {
      if (param.scalar == Scalar::u32 || param.scalar == Scalar::i32 || param.scalar == Scalar::f32) continue;
      return invalid("parameter " + param.name + " must be u32, i32 or f32");
    }
    for (const Local& local : kernel_.locals) {
      const Type t = local.type;
      const bool plain = t == kBool || t == kI32 || t == kU32 || t == kF32;
      const bool accumulator = t.use == FragmentUse::accumulator && t.element == Storage::f32;
      const bool input =
          t.use != FragmentUse::accumulator && (t.element == Storage::f16 || t.element == Storage::bf16);
      const bool fragment = t.scalar == Scalar::fragment && t.lanes == 1 && (accumulator || input);
      if (!plain && !fragment) return invalid("local " + local.name + " cannot be " + type_name(t));
    }
    for (const SharedArray& array : kernel_.shared) {
      if (array.num_words == 0) return invalid("shared array " + array.name + " is empty");
    }
    if (kernel_.locations.empty()) return invalid("has no table of locations");
    return {};
  }

  Result<void> limits() const {
    const uint32_t subgroup = kernel_.subgroup_size;
    if (!std::has_single_bit(subgroup)) return invalid("subgroup size must be a power of two");
    if (subgroup != 1 && subgroup != target_.subgroup_size) {
      return invalid("made for subgroups of " + std::to_string(subgroup) + ", target " + target_.name +
                     " has " + std::to_string(target_.subgroup_size));
    }
    if (kernel_.workgroup_threads == 0 || kernel_.workgroup_threads % subgroup != 0) {
      return invalid("a workgroup of " + std::to_string(kernel_.workgroup_threads) +
                     " threads is not a multiple of the subgroup size " + std::to_string(subgroup));
    }
    if (kernel_.workgroup_threads > target_.max_workgroup_threads) {
      return too_much("threads of a workgroup", kernel_.workgroup_threads, target_.max_workgroup_threads);
    }
    const uint32_t max_bindings =
        target_.max_bindings < 32 ? target_.max_bindings : 32;  // writes_mask has 32
    if (kernel_.bindings.size() > max_bindings)
      return too_much("bindings", kernel_.bindings.size(), max_bindings);
    if (kernel_.params.size() > kMaxParamWords) {
      return too_much("parameter words", kernel_.params.size(), kMaxParamWords);
    }
    uint64_t shared_bytes = 0;
    for (const SharedArray& array : kernel_.shared) shared_bytes += (uint64_t{array.num_words} + 3) / 4 * 16;
    if (shared_bytes > target_.max_shared_bytes) {
      return too_much("bytes of shared memory", shared_bytes, target_.max_shared_bytes);
    }
    return {};
  }

  Result<void> region(RegionId id, uint32_t depth) {
    if (depth > kMaxNesting) return too_deep();
    for (Value value : kernel_.regions[id]) TT_TRY(instruction(value, depth));
    for (Value value : kernel_.regions[id]) visible_[value.index] = false;
    return {};
  }

  Result<void> instruction(Value value, uint32_t depth) {
    if (value.index >= kernel_.instructions.size()) {
      return invalid("a region lists instruction " + std::to_string(value.index) + ", which does not exist");
    }
    const Instruction& in = kernel_.at(value);
    if (static_cast<size_t>(in.op) >= all_ops().size())
      return invalid("an instruction has no known operation");
    if (in.location >= kernel_.locations.size()) return invalid("an instruction's location does not exist");
    if (listed_[value.index]) return at(value, ErrorKind::invalid_argument, "is listed twice");
    listed_[value.index] = true;
    TT_TRY(operands(value, in));
    if (auto fault = fault_of_instruction(kernel_, target_, value))
      return at(value, fault->kind, fault->reason);
    if (op_info(in.op).kind == OpKind::structure) return structure(value, in, depth);
    if (in.regions[0] != kNoRegion || in.regions[1] != kNoRegion) {
      return at(value, ErrorKind::invalid_argument, "cannot have regions");
    }
    visible_[value.index] = true;
    return {};
  }

  Result<void> operands(Value value, const Instruction& in) const {
    if (in.num_operands > in.operands.size())
      return at(value, ErrorKind::invalid_argument, "has too many operands");
    for (uint32_t i = 0; i < in.num_operands; ++i) {
      const Value operand = in.operands[i];
      if (operand.index >= kernel_.instructions.size() || !visible_[operand.index]) {
        const bool exists = operand.index < kernel_.instructions.size();
        return at(value, ErrorKind::invalid_argument,
                  "operand " + std::to_string(i) + ", " + (exists ? describe_operand(operand) : "missing") +
                      ", is not defined here: a value lives from its instruction to the end of its region");
      }
    }
    return {};
  }

  std::string describe_operand(Value operand) const {
    const bool sound = static_cast<size_t>(kernel_.at(operand).op) < all_ops().size();
    return sound ? describe(kernel_, operand) : "damaged";
  }

  Result<void> structure(Value value, const Instruction& in, uint32_t depth) {
    const auto wrong = [&](const char* reason) { return at(value, ErrorKind::invalid_argument, reason); };
    for (RegionId id : in.regions) {
      if (id == kNoRegion) continue;
      if (id >= kernel_.regions.size()) return wrong("has a region that does not exist");
      if (owned_[id]) return wrong("shares a region with another instruction");
      owned_[id] = true;
    }
    const bool first = in.regions[0] != kNoRegion;
    const bool second = in.regions[1] != kNoRegion;
    switch (in.op) {
      case Op::yield: return wrong("belongs at the end of a while loop's condition only");
      case Op::if_:
        if (!first) return wrong("has no then region");
        TT_TRY(region(in.regions[0], depth + 1));
        return second ? region(in.regions[1], depth + 1) : Result<void>();
      case Op::for_:
        if (!first || second) return wrong("has one region, its body");
        visible_[value.index] = true;  // the counter
        TT_TRY(region(in.regions[0], depth + 1));
        visible_[value.index] = false;
        return {};
      default:
        if (!first || !second) return wrong("has two regions, condition and body");
        TT_TRY(condition(value, in.regions[0], depth + 1));
        return region(in.regions[1], depth + 1);
    }
  }

  /// A region that ends in a yield. Its values are not visible in the body: targets scope them apart.
  Result<void> condition(Value loop, RegionId id, uint32_t depth) {
    if (depth > kMaxNesting) return too_deep();
    const std::vector<Value>& values = kernel_.regions[id];
    const bool ends = !values.empty() && values.back().index < kernel_.instructions.size() &&
                      kernel_.at(values.back()).op == Op::yield;
    if (!ends) return at(loop, ErrorKind::invalid_argument, "its condition does not end in a yield");
    for (size_t i = 0; i + 1 < values.size(); ++i) TT_TRY(instruction(values[i], depth));
    const Value yield = values.back();
    const Instruction& in = kernel_.at(yield);
    if (in.location >= kernel_.locations.size()) return invalid("an instruction's location does not exist");
    if (listed_[yield.index]) return at(yield, ErrorKind::invalid_argument, "is listed twice");
    listed_[yield.index] = true;
    TT_TRY(operands(yield, in));
    if (auto fault = fault_of_instruction(kernel_, target_, yield))
      return at(yield, fault->kind, fault->reason);
    if (in.regions[0] != kNoRegion || in.regions[1] != kNoRegion) {
      return at(yield, ErrorKind::invalid_argument, "cannot have regions");
    }
    for (Value value : values) visible_[value.index] = false;
    return {};
  }

  const Kernel& kernel_;
  const TargetInfo& target_;
  std::vector<bool> listed_;
  std::vector<bool> visible_;
  std::vector<bool> owned_;
};

}  // namespace

Result<void> verify_form(const Kernel& kernel, const TargetInfo& target) {
  return Verifier(kernel, target).run();
}

Result<void> verify(const Kernel& kernel, const TargetInfo& target) {
  TT_TRY(verify_form(kernel, target));
  return verify_uniformity(kernel);
}

}  // namespace tattletale::ir

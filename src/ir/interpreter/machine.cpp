// Launches, workgroups, control flow, and what the reports say.
#include "ir/interpreter/machine.h"

#include <algorithm>

#include "base/check.h"
#include "ir/describe.h"
#include "ir/verify.h"

namespace tattletale::ir {

uint32_t Machine::words_of(Type type, uint32_t subgroup_size) {
  switch (type.scalar) {
    case Scalar::none: return 0;
    case Scalar::offset: return 2;  // low words, then high words
    case Scalar::fragment: return 256 / subgroup_size;
    default: return type.lanes;
  }
}

Machine::Machine(const Kernel& kernel, const InterpreterOptions& options)
    : kernel_(kernel),
      options_(options),
      threads_(kernel.workgroup_threads),
      subgroup_size_(kernel.subgroup_size),
      subgroup_shift_(static_cast<uint32_t>(std::countr_zero(kernel.subgroup_size))),
      num_subgroups_(threads_ / subgroup_size_),
      shadow_(subgroup_size_) {
  uint64_t words = 0;
  for (const Instruction& in : kernel.instructions) {
    slots_.push_back(static_cast<uint32_t>(words));
    words += uint64_t{words_of(in.type, subgroup_size_)} * threads_;
  }
  CHECK(words < UINT32_MAX);
  words_.resize(words);
  for (size_t i = 0; i < kernel.instructions.size(); ++i) {
    const Instruction& in = kernel.instructions[i];
    if (in.op == Op::constant) std::fill_n(words_.begin() + slots_[i], threads_, in.attr0);
  }
  for (const Local& local : kernel.locals) {
    locals_.emplace_back(size_t{words_of(local.type, subgroup_size_)} * threads_);
    local_set_.emplace_back(threads_);
  }
  uint32_t first = 0;
  for (const SharedArray& array : kernel.shared) {
    shared_first_.push_back(first);
    first += (array.num_words + 3) / 4 * 4;
  }
  shared_.resize(first);
  shared_shadow_.resize(first);
  copies_.resize(threads_);
  masks_.resize(kMaxNesting + 2);
  scratch_.resize(threads_);
  sub_epochs_.resize(num_subgroups_);
  global_shadows_.resize(kernel.bindings.size());
}

bool Machine::fail_launch(const std::string& reason) {
  error_ = make_error(ErrorKind::invalid_argument, kernel_.name, reason);
  return false;
}

std::string Machine::thread_name(uint32_t thread) const {
  return "thread " + std::to_string(thread) + " of workgroup (" + std::to_string(group_id_[0]) + ", " +
         std::to_string(group_id_[1]) + ", " + std::to_string(group_id_[2]) + ")";
}

bool Machine::fail(Value value, const std::string& reason, uint32_t thread) {
  error_ = make_error(ErrorKind::invalid_argument, kernel_.name,
                      describe(kernel_, value) + ": " + reason + " (" + thread_name(thread) + ")");
  return false;
}

bool Machine::fail_race(Value value, uint32_t thread, const Access& other, const std::string& place) {
  std::string who = "thread " + std::to_string(other.thread);
  if (other.group != group_) {
    const auto& size = launch_->workgroups;
    const uint32_t linear = other.group - 1;
    who += " of workgroup (" + std::to_string(linear % size[0]) + ", " +
           std::to_string(linear / size[0] % size[1]) + ", " + std::to_string(linear / size[0] / size[1]) +
           ")";
  }
  return fail(value,
              "races with " + describe(kernel_, {other.instruction}) + " by " + who + " at " + place +
                  ": nothing orders the two",
              thread);
}

bool Machine::fit(const Launch& launch) {
  if (launch.bindings.size() != kernel_.bindings.size()) {
    return fail_launch("takes " + std::to_string(kernel_.bindings.size()) + " bindings, the launch has " +
                       std::to_string(launch.bindings.size()));
  }
  if (launch.params.size() < kernel_.params.size()) {
    return fail_launch("takes " + std::to_string(kernel_.params.size()) +
                       " parameter words, the launch has " + std::to_string(launch.params.size()));
  }
  uint64_t groups = 1;
  for (const uint32_t axis : launch.workgroups) groups = axis > 65535 ? UINT64_MAX >> 32 : groups * axis;
  if (groups >= UINT32_MAX) return fail_launch("a grid has at most 65535 workgroups an axis, 2^32 in all");
  for (size_t i = 0; i < launch.bindings.size(); ++i) {
    const std::span<std::byte> a = launch.bindings[i];
    if (reinterpret_cast<uintptr_t>(a.data()) % 4 != 0)
      return fail_launch("a binding is not aligned to 4 bytes");
    for (size_t j = 0; j < i; ++j) {
      const std::span<std::byte> b = launch.bindings[j];
      const bool apart =
          a.empty() || b.empty() || a.data() + a.size() <= b.data() || b.data() + b.size() <= a.data();
      if (apart || !(kernel_.bindings[i].written || kernel_.bindings[j].written)) continue;
      return fail_launch("bindings " + kernel_.bindings[j].name + " and " + kernel_.bindings[i].name +
                         " overlap, and one of them is written");
    }
  }
  return true;
}

Result<InterpreterStats> Machine::run(const Launch& launch) {
  launch_ = &launch;
  stats_ = {};
  if (!fit(launch)) return error_;
  for (size_t i = 0; i < kernel_.bindings.size(); ++i) {
    if (kernel_.bindings[i].written) global_shadows_[i].reset((launch.bindings[i].size() + 3) / 4);
  }
  for (SharedWord& word : shared_shadow_) word.owner = 0;
  group_ = 0;
  const auto& size = launch.workgroups;
  for (uint32_t z = 0; z < size[2]; ++z) {
    for (uint32_t y = 0; y < size[1]; ++y) {
      for (uint32_t x = 0; x < size[0]; ++x) {
        group_id_ = {x, y, z};
        ++group_;
        if (!workgroup()) return error_;
      }
    }
  }
  return stats_;
}

bool Machine::workgroup() {
  epoch_ = 0;
  group_operations_ = 0;
  std::fill(sub_epochs_.begin(), sub_epochs_.end(), 0u);
  for (auto& set : local_set_) std::fill(set.begin(), set.end(), 0u);
  for (Copies& copies : copies_) copies = {};
  Mask& mask = mask_at(0);
  std::fill(mask.on.begin(), mask.on.end(), ~0u);
  mask.active = threads_;
  const bool done = region(kRootRegion, mask, 1);
  stats_.operations += group_operations_;
  return done;
}

Mask& Machine::mask_at(uint32_t depth) {
  Mask& mask = masks_[depth];
  mask.on.resize(threads_);
  return mask;
}

bool Machine::region(RegionId id, const Mask& mask, uint32_t depth) {
  for (const Value value : kernel_.regions[id]) {
    const Instruction& in = kernel_.at(value);
    if (in.op == Op::constant) continue;  // filled once
    ++stats_.instructions;
    group_operations_ += mask.active;
    if (!execute(value, in, mask, depth)) return false;
  }
  return true;
}

/// Loops charge each turn, so that none is endless.
bool Machine::charge(const Mask& mask) {
  group_operations_ += mask.active;
  if (group_operations_ <= options_.max_operations) return true;
  error_ = make_error(ErrorKind::limit_exceeded, kernel_.name,
                      "workgroup (" + std::to_string(group_id_[0]) + ", " + std::to_string(group_id_[1]) +
                          ", " + std::to_string(group_id_[2]) + ") does more than " +
                          std::to_string(options_.max_operations) + " operations; an endless loop?");
  return false;
}

bool Machine::execute(Value value, const Instruction& in, const Mask& mask, uint32_t depth) {
  switch (in.op) {
    case Op::param:
    case Op::workgroup_id:
    case Op::num_workgroups:
    case Op::local_id:
    case Op::lane_id:
    case Op::subgroup_id: return builtin(value, in);
    case Op::local_get:
    case Op::local_set: return local(value, in, mask);
    case Op::load: return global_load(value, in, mask);
    case Op::store: return global_store(value, in, mask);
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas: return global_atomic(value, in, mask);
    case Op::shared_load:
    case Op::shared_store:
    case Op::shared_atomic_add: return shared_access(value, in, mask);
    case Op::copy_async: return copy_async(value, in, mask);
    case Op::copy_commit:
    case Op::copy_wait: return copy_group(in, mask);
    case Op::barrier:
      if (mask.active != threads_) {
        const auto absent = std::find(mask.on.begin(), mask.on.end(), 0u) - mask.on.begin();
        return fail(
            value,
            "only " + std::to_string(mask.active) + " of " + std::to_string(threads_) + " threads are here",
            static_cast<uint32_t>(absent));
      }
      ++epoch_;
      return true;
    case Op::subgroup_barrier:
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
    case Op::shuffle_xor:
    case Op::shuffle:
    case Op::subgroup_any:
    case Op::subgroup_all: return subgroup(value, in, mask);
    case Op::fragment_fill:
    case Op::fragment_load:
    case Op::fragment_load_rows:
    case Op::fragment_mma:
    case Op::fragment_store_shared:
    case Op::fragment_store:
    case Op::fragment_get:
    case Op::fragment_set:
    case Op::fragment_row:
    case Op::fragment_column:
    case Op::fragment_from_pairs: return fragments(value, in, mask);
    case Op::if_:
    case Op::for_:
    case Op::while_:
    case Op::yield: return structure(value, in, mask, depth);
    default: return scalar(value, in, mask);
  }
}

namespace {

/// to = from where the condition holds (or, inverted, where it does not).
void narrow(Mask& to, const Mask& from, const uint32_t* condition, bool inverted) {
  const uint32_t flip = inverted ? 1 : 0;
  uint32_t active = 0;
  for (size_t i = 0; i < from.on.size(); ++i) {
    const uint32_t on = from.on[i] & (0u - (condition[i] ^ flip));
    to.on[i] = on;
    active += on & 1;
  }
  to.active = active;
}

}  // namespace

bool Machine::structure(Value value, const Instruction& in, const Mask& mask, uint32_t depth) {
  switch (in.op) {
    case Op::if_:
      for (uint32_t which = 0; which < 2; ++which) {
        if (in.regions[which] == kNoRegion) continue;
        Mask& inside = mask_at(depth);
        narrow(inside, mask, operand(in, 0), which == 1);
        if (inside.active > 0 && !region(in.regions[which], inside, depth + 1)) return false;
      }
      return true;
    case Op::for_: return for_loop(value, in, mask, depth);
    case Op::while_: return while_loop(in, mask, depth);
    default: return true;  // yield: the loop reads its operand
  }
}

bool Machine::for_loop(Value value, const Instruction& in, const Mask& mask, uint32_t depth) {
  uint32_t* i = out(value);
  const uint32_t *first = operand(in, 0), *end = operand(in, 1), *step = operand(in, 2);
  Mask& inside = mask_at(depth);
  for (uint32_t t = 0; t < threads_; ++t) {
    i[t] = first[t];
    inside.on[t] = mask.on[t];
    if (mask.on[t] != 0 && step[t] == 0) return fail(value, "the step is zero", t);
  }
  while (true) {
    uint32_t active = 0;
    for (uint32_t t = 0; t < threads_; ++t) {
      inside.on[t] &= 0u - static_cast<uint32_t>(i[t] < end[t]);
      active += inside.on[t] & 1;
    }
    inside.active = active;
    if (active == 0) return true;
    if (!charge(inside) || !region(in.regions[0], inside, depth + 1)) return false;
    for (uint32_t t = 0; t < threads_; ++t) {
      const uint32_t next = i[t] + step[t];
      if (inside.on[t] != 0 && next < i[t]) {
        return fail(value, "the counter wraps: " + std::to_string(i[t]) + " + " + std::to_string(step[t]), t);
      }
      i[t] = next;
    }
  }
}

bool Machine::while_loop(const Instruction& in, const Mask& mask, uint32_t depth) {
  Mask& inside = mask_at(depth);
  inside = mask;
  const Value yield = kernel_.regions[in.regions[0]].back();
  const Value condition = kernel_.at(yield).operands[0];
  while (true) {
    if (!region(in.regions[0], inside, depth + 1)) return false;
    narrow(inside, inside, out(condition), false);
    if (inside.active == 0) return true;
    if (!charge(inside) || !region(in.regions[1], inside, depth + 1)) return false;
  }
}

bool Machine::builtin(Value value, const Instruction& in) {
  uint32_t* to = out(value);
  switch (in.op) {
    case Op::param: std::fill_n(to, threads_, launch_->params[in.attr0]); return true;
    case Op::workgroup_id: std::fill_n(to, threads_, group_id_[in.attr0]); return true;
    case Op::num_workgroups: std::fill_n(to, threads_, launch_->workgroups[in.attr0]); return true;
    case Op::lane_id:
      for (uint32_t t = 0; t < threads_; ++t) to[t] = t % subgroup_size_;
      return true;
    case Op::subgroup_id:
      for (uint32_t t = 0; t < threads_; ++t) to[t] = t / subgroup_size_;
      return true;
    default:
      for (uint32_t t = 0; t < threads_; ++t) to[t] = t;
      return true;
  }
}

Interpreter::Interpreter(std::unique_ptr<Kernel> kernel, std::unique_ptr<Machine> machine)
    : kernel_(std::move(kernel)), machine_(std::move(machine)) {}
Interpreter::Interpreter(Interpreter&&) noexcept = default;
Interpreter& Interpreter::operator=(Interpreter&&) noexcept = default;
Interpreter::~Interpreter() = default;

Result<Interpreter> Interpreter::create(Kernel kernel, InterpreterOptions options) {
  TargetInfo target;
  target.name = "interpreter";
  target.subgroup_size = kernel.subgroup_size;
  target.max_workgroup_threads = 4096;
  target.max_shared_bytes = 1u << 24;
  target.max_bindings = 32;
  target.f16x2 = true;
  target.f16_fragments = target.bf16_fragments = FragmentTier::transparent;
  TT_TRY(verify_form(kernel, target));
  auto owned = std::make_unique<Kernel>(std::move(kernel));
  auto machine = std::make_unique<Machine>(*owned, options);
  return Interpreter(std::move(owned), std::move(machine));
}

Result<InterpreterStats> Interpreter::run(const Launch& launch) {
  return machine_->run(launch);
}

}  // namespace tattletale::ir

// Subgroups: every lane of a subgroup is here, or none.
#include <algorithm>

#include "ir/interpreter/machine.h"

namespace tattletale::ir {

bool Machine::together(Value value, const Mask& mask) {
  if (mask.active == threads_ || subgroup_size_ == 1) return true;
  for (uint32_t s = 0; s < num_subgroups_; ++s) {
    const uint32_t* on = mask.on.data() + s * subgroup_size_;
    uint32_t active = 0;
    for (uint32_t l = 0; l < subgroup_size_; ++l) active += on[l] & 1;
    if (active == 0 || active == subgroup_size_) continue;
    uint32_t absent = 0;
    while (on[absent] != 0) ++absent;
    return fail(value,
                "only " + std::to_string(active) + " of " + std::to_string(subgroup_size_) +
                    " lanes of subgroup " + std::to_string(s) + " are here",
                s * subgroup_size_ + absent);
  }
  return true;
}

/// A butterfly, so that every lane ends with the same bits.
template <class T>
void Machine::reduce(Value value, const Instruction& in, const Mask& mask) {
  const auto combine = [op = in.op](T a, T b) -> T {
    if (op == Op::subgroup_max) return a < b ? b : a;
    if (op == Op::subgroup_min) return b < a ? b : a;
    return a + b;
  };
  uint32_t* to = out(value);
  const uint32_t* from = operand(in, 0);
  for (uint32_t s = 0; s < num_subgroups_; ++s) {
    const uint32_t first = s * subgroup_size_;
    if (mask.on[first] == 0) continue;
    uint32_t* lanes = to + first;
    std::copy_n(from + first, subgroup_size_, lanes);
    for (uint32_t m = subgroup_size_ / 2; m > 0; m /= 2) {
      for (uint32_t l = 0; l < subgroup_size_; ++l) {
        if ((l & m) != 0) continue;
        const T both = combine(std::bit_cast<T>(lanes[l]), std::bit_cast<T>(lanes[l + m]));
        lanes[l] = lanes[l + m] = std::bit_cast<uint32_t>(both);
      }
    }
  }
}

bool Machine::subgroup(Value value, const Instruction& in, const Mask& mask) {
  if (!together(value, mask)) return false;
  const uint32_t last = subgroup_size_ - 1;
  switch (in.op) {
    case Op::subgroup_barrier:
      for (uint32_t s = 0; s < num_subgroups_; ++s) sub_epochs_[s] += mask.on[s * subgroup_size_] & 1;
      return true;
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
      if (in.type == kF32) {
        reduce<float>(value, in, mask);
      } else if (in.type == kI32 && in.op != Op::subgroup_add) {
        reduce<int32_t>(value, in, mask);
      } else {
        reduce<uint32_t>(value, in, mask);  // sums wrap alike for both signs
      }
      return true;
    case Op::shuffle_xor:
    case Op::shuffle: {
      const uint32_t *x = operand(in, 0), *lane = operand(in, 1);
      uint32_t* to = out(value);
      for (uint32_t t = 0; t < threads_; ++t) {
        const uint32_t from = in.op == Op::shuffle_xor ? (t & last) ^ lane[t] : lane[t];
        if (mask.on[t] == 0) continue;
        if (from > last) return fail(value, "lane " + std::to_string(from) + " does not exist", t);
        to[t] = x[(t & ~last) | from];
      }
      return true;
    }
    default: {
      const uint32_t* x = operand(in, 0);
      uint32_t* to = out(value);
      for (uint32_t s = 0; s < num_subgroups_; ++s) {
        uint32_t any = 0, all = 1;
        for (uint32_t l = 0; l < subgroup_size_; ++l) {
          any |= x[s * subgroup_size_ + l];
          all &= x[s * subgroup_size_ + l];
        }
        std::fill_n(to + s * subgroup_size_, subgroup_size_, in.op == Op::subgroup_any ? any : all);
      }
      return true;
    }
  }
}

}  // namespace tattletale::ir

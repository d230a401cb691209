// Matrix fragments, held as plain row-major matrices: a is [16 rows][16 k], b [16 k][16 columns].
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ir/interpreter/machine.h"
#include "tensor/float16.h"

namespace tattletale::ir {
namespace {

constexpr uint32_t kDim = kFragmentDim;

float element_of(uint16_t bits, Storage storage) {
  return storage == Storage::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

}  // namespace

/// Lanes of 32 hold what m16n8k16 instructions give them, twice. Others: pairs, row by row.
FragmentPlace fragment_place(uint32_t subgroup_size, uint32_t lane, uint32_t number) {
  if (subgroup_size == 32) {
    return {lane / 4 + ((number & 2) != 0 ? 8 : 0),
            2 * (lane % 4) + (number & 1) + ((number & 4) != 0 ? 8 : 0)};
  }
  const uint32_t numbers = 256 / subgroup_size;
  const uint32_t at = numbers == 1 ? lane : (number / 2 * subgroup_size + lane) * 2 + number % 2;
  return {at / kDim, at % kDim};
}

bool Machine::fragments(Value value, const Instruction& in, const Mask& mask) {
  switch (in.op) {
    case Op::fragment_load:
    case Op::fragment_load_rows: return together(value, mask) && fragment_load(value, in, mask);
    case Op::fragment_store_shared:
    case Op::fragment_store: return together(value, mask) && fragment_store(value, in, mask);
    case Op::fragment_mma:
      if (!together(value, mask)) return false;
      fragment_mma(value, in, mask);
      return true;
    case Op::fragment_fill: {
      for (uint32_t t = 0; t < threads_; ++t) {
        float* to = fragment(out(value), t / subgroup_size_);
        for (uint32_t number = 0; number < 256 / subgroup_size_; ++number) {
          const FragmentPlace at = fragment_place(subgroup_size_, t % subgroup_size_, number);
          to[at.row * kDim + at.column] = std::bit_cast<float>(operand(in, 0)[t]);
        }
      }
      return true;
    }
    default: return fragment_numbers(value, in);
  }
}

/// The transparent operations: each lane on its own numbers.
bool Machine::fragment_numbers(Value value, const Instruction& in) {
  uint32_t* to = out(value);
  if (in.op == Op::fragment_set) std::memcpy(to, operand(in, 0), size_t{num_subgroups_} * 1024);
  for (uint32_t t = 0; t < threads_; ++t) {
    const uint32_t s = t / subgroup_size_, lane = t % subgroup_size_;
    const FragmentPlace at = fragment_place(subgroup_size_, lane, in.attr0);
    switch (in.op) {
      case Op::fragment_row: to[t] = at.row; break;
      case Op::fragment_column: to[t] = at.column; break;
      case Op::fragment_get:
        to[t] = std::bit_cast<uint32_t>(fragment(operand(in, 0), s)[at.row * kDim + at.column]);
        break;
      case Op::fragment_set:
        fragment(to, s)[at.row * kDim + at.column] = std::bit_cast<float>(operand(in, 1)[t]);
        break;
      default:  // from_pairs
        for (uint32_t number = 0; number < 8; ++number) {
          const FragmentPlace place = fragment_place(subgroup_size_, lane, number);
          const uint32_t pair = operand(in, number / 2)[t];
          const auto bits = static_cast<uint16_t>(number % 2 == 0 ? pair : pair >> 16);
          fragment(to, s)[place.row * kDim + place.column] = element_of(bits, in.type.element);
        }
    }
  }
  return true;
}

bool Machine::same_in_subgroup(Value value, const Instruction& in, uint32_t i, uint32_t subgroup) {
  const uint32_t* x = operand(in, i) + subgroup * subgroup_size_;
  for (uint32_t l = 1; l < subgroup_size_; ++l) {
    if (x[l] == x[0]) continue;
    return fail(value, "operand " + std::to_string(i) + " differs within the subgroup",
                subgroup * subgroup_size_ + l);
  }
  return true;
}

bool Machine::fragment_load(Value value, const Instruction& in, const Mask& mask) {
  const bool by_columns = in.type.use == FragmentUse::b && in.op == Op::fragment_load;
  const uint32_t* shared = shared_.data() + shared_first_[in.attr0];
  for (uint32_t s = 0; s < num_subgroups_; ++s) {
    const uint32_t first = s * subgroup_size_;
    if (mask.on[first] == 0) continue;
    if (!same_in_subgroup(value, in, 0, s) || !same_in_subgroup(value, in, 1, s)) return false;
    const uint32_t index = operand(in, 0)[first], stride = operand(in, 1)[first];
    if (index % 8 != 0 || stride % 8 != 0) {
      return fail(value,
                  "index " + std::to_string(index) + " or stride " + std::to_string(stride) +
                      " is not a multiple of 16 bytes",
                  first);
    }
    float* to = fragment(out(value), s);
    for (uint32_t outer = 0; outer < kDim; ++outer) {
      for (uint32_t inner = 0; inner < kDim; ++inner) {
        const uint64_t at = index + uint64_t{outer} * stride + inner;
        if (inner % 2 == 0 && !touch_shared(value, in.attr0, at / 2, first, Touch::read, true)) return false;
        const auto bits = static_cast<uint16_t>(shared[at / 2] >> (at % 2 * 16));
        to[by_columns ? inner * kDim + outer : outer * kDim + inner] = element_of(bits, in.type.element);
      }
    }
  }
  return true;
}

bool Machine::fragment_store(Value value, const Instruction& in, const Mask& mask) {
  const bool shared = in.op == Op::fragment_store_shared;
  const uint32_t* base = in.num_operands > 3 ? operand(in, 3) : nullptr;
  for (uint32_t s = 0; s < num_subgroups_; ++s) {
    const uint32_t first = s * subgroup_size_;
    if (mask.on[first] == 0) continue;
    for (const uint32_t i : {0u, 1u}) {
      if (!same_in_subgroup(value, in, i, s)) return false;
    }
    if (base != nullptr && !same_in_subgroup(value, in, 3, s)) return false;
    const uint32_t index = operand(in, 0)[first], stride = operand(in, 1)[first];
    const float* from = fragment(operand(in, 2), s);
    for (uint32_t i = 0; i < 256; ++i) {
      const uint64_t at = index + uint64_t{i / kDim} * stride + i % kDim;
      if (at > UINT32_MAX) return fail(value, "index " + std::to_string(at) + " does not fit 32 bits", first);
      if (shared) {
        if (!touch_shared(value, in.attr0, at, first, Touch::write, true)) return false;
        shared_[shared_first_[in.attr0] + at] = std::bit_cast<uint32_t>(from[i]);
      } else {
        Address to;
        if (!address(value, in, first, static_cast<uint32_t>(at), base, 4, 1, to)) return false;
        if (!touch_global(value, in.attr0, to.word, first, Touch::write, true)) return false;
        std::memcpy(to.at, &from[i], sizeof(float));
      }
    }
  }
  return true;
}

void Machine::fragment_mma(Value value, const Instruction& in, const Mask& mask) {
  for (uint32_t s = 0; s < num_subgroups_; ++s) {
    if (mask.on[s * subgroup_size_] == 0) continue;
    const float *a = fragment(operand(in, 0), s), *b = fragment(operand(in, 1), s),
                *c = fragment(operand(in, 2), s);
    float* to = fragment(out(value), s);
    for (uint32_t row = 0; row < kDim; ++row) {
      float sums[kDim];
      std::copy_n(c + row * kDim, kDim, sums);
      for (uint32_t k = 0; k < kDim; ++k) {
        for (uint32_t column = 0; column < kDim; ++column) {
          sums[column] = std::fma(a[row * kDim + k], b[k * kDim + column], sums[column]);
        }
      }
      std::copy_n(sums, kDim, to + row * kDim);
    }
  }
}

}  // namespace tattletale::ir

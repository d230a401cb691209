// Global and shared memory: bounds, alignment, races, words not yet written, copies under way.
#include <algorithm>
#include <cstring>

#include "ir/interpreter/machine.h"
#include "tensor/float16.h"

namespace tattletale::ir {
namespace {

uint32_t load_word(const std::byte* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
void store_word(std::byte* at, uint32_t word) {
  std::memcpy(at, &word, sizeof word);
}

uint32_t load_element(const std::byte* at, Storage storage) {
  uint16_t two = 0;
  uint8_t one = 0;
  if (storage_bytes(storage) == 2) std::memcpy(&two, at, 2);
  if (storage_bytes(storage) == 1) std::memcpy(&one, at, 1);
  switch (storage) {
    case Storage::f16: return std::bit_cast<uint32_t>(f16_to_f32(two));
    case Storage::bf16: return uint32_t{two} << 16;
    case Storage::u16: return two;
    case Storage::i16: return static_cast<uint32_t>(int32_t{static_cast<int16_t>(two)});
    case Storage::u8: return one;
    case Storage::i8: return static_cast<uint32_t>(int32_t{static_cast<int8_t>(one)});
    default: return load_word(at);
  }
}

}  // namespace

Accessor Machine::accessor(Value value, uint32_t thread, bool collective) const {
  return {group_, epoch_, sub_epochs_[thread >> subgroup_shift_], value.index, thread, collective};
}

/// The place of `count` elements of `bytes` each; base as an operand stores it, or null.
bool Machine::address(Value value, const Instruction& in, uint32_t thread, uint32_t index,
                      const uint32_t* base, uint32_t bytes, uint32_t count, Address& found) {
  const uint64_t from = base == nullptr ? 0 : base[thread] | uint64_t{base[threads_ + thread]} << 32;
  const uint64_t first = from + uint64_t{index} * bytes;
  const std::span<std::byte> binding = launch_->bindings[in.attr0];
  const uint64_t length = uint64_t{bytes} * count;
  if (first > binding.size() || length > binding.size() - first || first < from) {
    return fail(value,
                "index " + std::to_string(index) +
                    (base == nullptr ? "" : " from byte " + std::to_string(from)) + " is outside: bytes " +
                    std::to_string(first) + " to " + std::to_string(first + length - 1) +
                    " of a binding of " + std::to_string(binding.size()) + " bytes",
                thread);
  }
  if (from % 4 != 0)
    return fail(value, "the base, byte " + std::to_string(from) + ", is not a multiple of 4", thread);
  if ((index & (count - 1)) != 0 || (first & (length - 1)) != 0) {  // both are powers of two
    return fail(value,
                "index " + std::to_string(index) + ", byte " + std::to_string(first) +
                    ", is not a multiple of " + std::to_string(count) + " elements",
                thread);
  }
  found = {binding.data() + first, first / 4};
  return true;
}

bool Machine::touch_global(Value value, uint32_t binding, uint64_t word, uint32_t thread, Touch touch,
                           bool collective) {
  if (!kernel_.bindings[binding].written) return true;
  WordShadow& shadow = global_shadows_[binding].at(word);
  const Accessor now = accessor(value, thread, collective);
  const Access* other = touch == Touch::read    ? shadow_.read(shadow, now)
                        : touch == Touch::write ? shadow_.write(shadow, now)
                                                : shadow_.atomic(shadow, now);
  if (other == nullptr) return true;
  return fail_race(value, thread, *other, "word " + std::to_string(word));
}

bool Machine::touch_shared(Value value, uint32_t array, uint64_t index, uint32_t thread, Touch touch,
                           bool collective) {
  const SharedArray& declared = kernel_.shared[array];
  if (index >= declared.num_words) {
    return fail(value,
                "index " + std::to_string(index) + " is outside shared array " + declared.name + " of " +
                    std::to_string(declared.num_words) + " words",
                thread);
  }
  SharedWord& word = shared_shadow_[shared_first_[array] + index];
  if (word.owner != group_) {
    word = {};
    word.owner = group_;
  }
  const auto place = [&] { return "word " + std::to_string(index); };
  if (word.pending) {
    return fail(value,
                place() + " is touched before its asynchronous copy has arrived: copy_wait, then a barrier",
                thread);
  }
  if (touch != Touch::write && !word.written) return fail(value, place() + " has not been written", thread);
  const Accessor now = accessor(value, thread, collective);
  const Access* other = touch == Touch::read    ? shadow_.read(word.shadow, now)
                        : touch == Touch::write ? shadow_.write(word.shadow, now)
                                                : shadow_.atomic(word.shadow, now);
  if (other != nullptr) return fail_race(value, thread, *other, place());
  word.written = true;
  return true;
}

bool Machine::global_load(Value value, const Instruction& in, const Mask& mask) {
  uint32_t* to = out(value);
  const uint32_t* index = operand(in, 0);
  const uint32_t* base = in.num_operands > 1 ? operand(in, 1) : nullptr;
  const uint32_t bytes = storage_bytes(in.storage), lanes = in.type.lanes;
  const bool written = kernel_.bindings[in.attr0].written;
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    Address from;
    if (!address(value, in, t, index[t], base, bytes, lanes, from)) return false;
    for (uint32_t i = 0; i < lanes; ++i) {
      if (written && !touch_global(value, in.attr0, from.word + i, t, Touch::read, false)) return false;
      to[i * threads_ + t] = load_element(from.at + i * bytes, in.storage);
    }
  }
  return true;
}

bool Machine::global_store(Value value, const Instruction& in, const Mask& mask) {
  const uint32_t *index = operand(in, 0), *from = operand(in, 1);
  const uint32_t* base = in.num_operands > 2 ? operand(in, 2) : nullptr;
  const uint32_t lanes = kernel_.at(in.operands[1]).type.lanes;
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    Address to;
    if (!address(value, in, t, index[t], base, 4, lanes, to)) return false;
    for (uint32_t i = 0; i < lanes; ++i) {
      if (!touch_global(value, in.attr0, to.word + i, t, Touch::write, false)) return false;
      store_word(to.at + i * 4, from[i * threads_ + t]);
    }
  }
  return true;
}

bool Machine::global_atomic(Value value, const Instruction& in, const Mask& mask) {
  uint32_t* old = out(value);
  const bool cas = in.op == Op::atomic_cas;
  const uint32_t *index = operand(in, 0), *x = operand(in, 1), *y = cas ? operand(in, 2) : nullptr;
  const uint32_t* base = in.num_operands > (cas ? 3 : 2) ? operand(in, cas ? 3 : 2) : nullptr;
  const uint32_t flip = in.type == kI32 ? 0x80000000u : 0;  // makes the order of i32 that of u32
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    Address place;
    if (!address(value, in, t, index[t], base, 4, 1, place)) return false;
    if (!touch_global(value, in.attr0, place.word, t, Touch::atomic, false)) return false;
    const uint32_t before = load_word(place.at);
    const bool less = (x[t] ^ flip) < (before ^ flip);
    uint32_t after = before + x[t];
    if (in.op == Op::atomic_min) after = less ? x[t] : before;
    if (in.op == Op::atomic_max) after = less ? before : x[t];
    if (cas) after = before == x[t] ? y[t] : before;
    store_word(place.at, after);
    old[t] = before;
  }
  return true;
}

bool Machine::shared_access(Value value, const Instruction& in, const Mask& mask) {
  uint32_t* shared = shared_.data() + shared_first_[in.attr0];
  const uint32_t* index = operand(in, 0);
  const uint32_t* from = in.op == Op::shared_load ? nullptr : operand(in, 1);
  const uint32_t lanes = in.op == Op::shared_load ? in.type.lanes : kernel_.at(in.operands[1]).type.lanes;
  const Touch touch = in.op == Op::shared_load    ? Touch::read
                      : in.op == Op::shared_store ? Touch::write
                                                  : Touch::atomic;
  uint32_t* to = in.op == Op::shared_store ? nullptr : out(value);
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    if ((index[t] & (lanes - 1)) != 0) {
      return fail(value,
                  "index " + std::to_string(index[t]) + " is not a multiple of " + std::to_string(lanes), t);
    }
    for (uint32_t i = 0; i < lanes; ++i) {
      if (!touch_shared(value, in.attr0, uint64_t{index[t]} + i, t, touch, false)) return false;
      uint32_t& word = shared[index[t] + i];
      if (touch != Touch::write) to[i * threads_ + t] = word;
      if (touch == Touch::write) word = from[i * threads_ + t];
      if (touch == Touch::atomic) word += from[t];
    }
  }
  return true;
}

bool Machine::copy_async(Value value, const Instruction& in, const Mask& mask) {
  const uint32_t *to = operand(in, 0), *from = operand(in, 1);
  const uint32_t* base = in.num_operands > 2 ? operand(in, 2) : nullptr;
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    Address source;
    if (!address(value, in, t, from[t], base, 4, 4, source)) return false;
    if (to[t] % 4 != 0)
      return fail(value, "the shared index " + std::to_string(to[t]) + " is not a multiple of 4", t);
    for (uint32_t i = 0; i < 4; ++i) {
      if (!touch_global(value, in.attr0, source.word + i, t, Touch::read, false)) return false;
      if (!touch_shared(value, in.attr1, uint64_t{to[t]} + i, t, Touch::write, false)) return false;
      const uint32_t word = shared_first_[in.attr1] + to[t] + i;
      shared_[word] = load_word(source.at + i * 4);
      shared_shadow_[word].pending = true;
      copies_[t].open.push_back(word);
    }
  }
  return true;
}

bool Machine::copy_group(const Instruction& in, const Mask& mask) {
  for (uint32_t t = 0; t < threads_; ++t) {
    if (mask.on[t] == 0) continue;
    Copies& copies = copies_[t];
    if (in.op == Op::copy_commit) {
      copies.groups.push_back(std::move(copies.open));
      copies.open.clear();
    } else if (copies.groups.size() > in.attr0) {
      arrive(copies, copies.groups.size() - in.attr0, t);
    }
  }
  return true;
}

/// The oldest `count` groups arrive: as if the thread wrote the words now, so others still need a barrier.
void Machine::arrive(Copies& copies, size_t count, uint32_t thread) {
  for (size_t i = 0; i < count; ++i) {
    for (const uint32_t at : copies.groups[i]) {
      SharedWord& word = shared_shadow_[at];
      word.pending = false;
      word.shadow.write.epoch = epoch_;
      word.shadow.write.sub_epoch = sub_epochs_[thread / subgroup_size_];
    }
  }
  copies.groups.erase(copies.groups.begin(), copies.groups.begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace tattletale::ir

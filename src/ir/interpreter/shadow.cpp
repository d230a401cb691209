#include "ir/interpreter/shadow.h"

namespace tattletale::ir {

Access Shadow::fresh(const Accessor& now) {
  Access access;
  access.group = now.group;
  access.epoch = now.epoch;
  access.sub_epoch = now.sub_epoch;
  access.instruction = now.instruction;
  access.thread = static_cast<uint16_t>(now.thread);
  access.any_thread = now.collective;
  return access;
}

bool Shadow::unordered(const Access& past, const Accessor& now) const {
  if (past.group == 0) return false;
  if (past.any_group || past.group != now.group) return true;
  if (past.epoch != now.epoch) return false;
  if (past.any_subgroup || past.thread / subgroup_size_ != now.thread / subgroup_size_) return true;
  if (past.sub_epoch != now.sub_epoch) return false;
  return past.any_thread || now.collective || past.thread != now.thread;
}

/// Adds an access to those of its kind. What an earlier one of the epoch says about threads that the latest
/// does not stand for stays behind in the any_ flags.
void Shadow::merge(Access& past, const Accessor& now) const {
  Access next = fresh(now);
  if (past.group != 0) {
    next.any_group = past.any_group || past.group != now.group;
    if (past.group == now.group && past.epoch == now.epoch) {
      const bool same_subgroup = past.thread / subgroup_size_ == now.thread / subgroup_size_;
      next.any_subgroup = past.any_subgroup || !same_subgroup;
      if (same_subgroup && past.sub_epoch == now.sub_epoch) {
        next.any_thread = next.any_thread || past.any_thread || past.thread != now.thread;
      }
    }
  }
  past = next;
}

const Access* Shadow::read(WordShadow& word, const Accessor& now) const {
  if (unordered(word.write, now)) return &word.write;
  merge(word.read, now);
  return nullptr;
}

const Access* Shadow::write(WordShadow& word, const Accessor& now) const {
  if (unordered(word.write, now)) return &word.write;
  if (unordered(word.read, now)) return &word.read;
  word.write = fresh(now);
  return nullptr;
}

const Access* Shadow::atomic(WordShadow& word, const Accessor& now) const {
  if (!word.write.atomic && unordered(word.write, now)) return &word.write;
  if (unordered(word.read, now)) return &word.read;
  // A plain write of this epoch, then of this very thread, still races with atomics of others.
  const bool after_plain =
      word.write.group == now.group && word.write.epoch == now.epoch && !word.write.atomic;
  if (word.write.atomic) {
    merge(word.write, now);
  } else {
    word.write = fresh(now);
  }
  word.write.atomic = !after_plain;
  return nullptr;
}

}  // namespace tattletale::ir

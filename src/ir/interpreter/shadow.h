// Who touched a word last, and whether two touches are ordered. Two accesses to one word, one of them a write
// and not both atomic, must be by one thread, or have a workgroup barrier between them, or be of one subgroup
// with a subgroup barrier between them; nothing orders workgroups. Inline: every word touched comes by.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

namespace tattletale::ir {

/// An access as it happens.
struct Accessor {
  uint32_t group = 0;      // workgroup, counted from 1
  uint32_t epoch = 0;      // barriers that the workgroup has passed
  uint32_t sub_epoch = 0;  // subgroup barriers that the subgroup has passed
  uint32_t instruction = 0;
  uint32_t thread = 0;
  bool collective = false;  // a fragment: any lane of the subgroup may be the one
};

/// What is remembered of the latest accesses of one kind to a word.
struct Access {
  uint32_t group = 0;  // 0: none yet
  uint32_t epoch = 0;
  uint32_t sub_epoch = 0;
  uint32_t instruction = 0;
  uint16_t thread = 0;
  bool atomic = false;
  bool any_thread = false;    // of this epoch: also by other lanes of the subgroup,
  bool any_subgroup = false;  // by other subgroups,
  bool any_group = false;     // by other workgroups
};

struct WordShadow {
  Access write;
  Access read;
};

class Shadow {
 public:
  explicit Shadow(uint32_t subgroup_size)
      : subgroup_shift_(static_cast<uint32_t>(std::countr_zero(subgroup_size))) {}

  /// Each notes an access and returns the earlier one that it races with, or null.
  const Access* read(WordShadow& word, const Accessor& now) const;
  const Access* write(WordShadow& word, const Accessor& now) const;
  const Access* atomic(WordShadow& word, const Accessor& now) const;

 private:
  bool unordered(const Access& past, const Accessor& now) const;
  void merge(Access& past, const Accessor& now) const;
  static Access fresh(const Accessor& now);

  bool same_subgroup(const Access& past, const Accessor& now) const {
    return past.thread >> subgroup_shift_ == now.thread >> subgroup_shift_;
  }

  uint32_t subgroup_shift_;  // sizes are powers of two, and this is looked at for every word touched
};

/// Shadows of a written binding; pages appear when touched, for bindings may be large and touched sparsely.
class ShadowPages {
 public:
  void reset(uint64_t num_words) {
    pages_.clear();
    pages_.resize((num_words + kPageWords - 1) / kPageWords);
  }
  WordShadow& at(uint64_t word) {
    auto& page = pages_[word / kPageWords];
    if (!page) page = std::make_unique<WordShadow[]>(kPageWords);
    return page[word % kPageWords];
  }

 private:
  static constexpr uint64_t kPageWords = 256;
  std::vector<std::unique_ptr<WordShadow[]>> pages_;
};

inline Access Shadow::fresh(const Accessor& now) {
  Access access;
  access.group = now.group;
  access.epoch = now.epoch;
  access.sub_epoch = now.sub_epoch;
  access.instruction = now.instruction;
  access.thread = static_cast<uint16_t>(now.thread);
  access.any_thread = now.collective;
  return access;
}

inline bool Shadow::unordered(const Access& past, const Accessor& now) const {
  if (past.group == 0) return false;
  if (past.any_group || past.group != now.group) return true;
  if (past.epoch != now.epoch) return false;
  if (past.any_subgroup || !same_subgroup(past, now)) return true;
  if (past.sub_epoch != now.sub_epoch) return false;
  return past.any_thread || now.collective || past.thread != now.thread;
}

/// Adds an access to those of its kind. What an earlier one of the epoch says about threads that the latest
/// does not stand for stays behind in the any_ flags.
inline void Shadow::merge(Access& past, const Accessor& now) const {
  Access next = fresh(now);
  if (past.group != 0) {
    next.any_group = past.any_group || past.group != now.group;
    if (past.group == now.group && past.epoch == now.epoch) {
      const bool same = same_subgroup(past, now);
      next.any_subgroup = past.any_subgroup || !same;
      if (same && past.sub_epoch == now.sub_epoch) {
        next.any_thread = next.any_thread || past.any_thread || past.thread != now.thread;
      }
    }
  }
  past = next;
}

inline const Access* Shadow::read(WordShadow& word, const Accessor& now) const {
  if (unordered(word.write, now)) return &word.write;
  merge(word.read, now);
  return nullptr;
}

inline const Access* Shadow::write(WordShadow& word, const Accessor& now) const {
  if (unordered(word.write, now)) return &word.write;
  if (unordered(word.read, now)) return &word.read;
  word.write = fresh(now);
  return nullptr;
}

inline const Access* Shadow::atomic(WordShadow& word, const Accessor& now) const {
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

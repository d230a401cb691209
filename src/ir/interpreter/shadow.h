// Who touched a word last, and whether two touches are ordered. Two accesses to one word, one of them a write
// and not both atomic, must be by one thread, or have a workgroup barrier between them, or be of one subgroup
// with a subgroup barrier between them; nothing orders workgroups.
#pragma once

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
  explicit Shadow(uint32_t subgroup_size) : subgroup_size_(subgroup_size) {}

  /// Each notes an access and returns the earlier one that it races with, or null.
  const Access* read(WordShadow& word, const Accessor& now) const;
  const Access* write(WordShadow& word, const Accessor& now) const;
  const Access* atomic(WordShadow& word, const Accessor& now) const;

 private:
  bool unordered(const Access& past, const Accessor& now) const;
  void merge(Access& past, const Accessor& now) const;
  static Access fresh(const Accessor& now);

  uint32_t subgroup_size_;
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

}  // namespace tattletale::ir

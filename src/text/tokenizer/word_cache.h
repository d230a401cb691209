// Remembers the ids of recent words, so that most words of a text cost one look-up. Bounded: two-way sets,
// the older entry of a set makes way. Used by one encode call at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/flat_hash.h"

namespace tattletale {

class WordCache {
 public:
  static constexpr size_t kMaxShortBytes = 15, kMaxShortIds = 3;
  static constexpr size_t kMaxLongBytes = 48, kMaxLongIds = 18;

  WordCache() : short_(kShortEntries), long_(kLongEntries) {}

  struct Key {
    uint64_t low, high;
  };

  /// The word's bytes as a number with the length on top; `readable` bytes from its start may be loaded.
  static Key short_key(std::string_view word, size_t readable) {
    uint64_t low, high;
    if (readable >= 16) {
      low = load_u64(word.data());
      high = load_u64(word.data() + 8);
    } else {
      char bytes[16] = {};
      std::memcpy(bytes, word.data(), word.size());
      low = load_u64(bytes);
      high = load_u64(bytes + 8);
    }
    const size_t size = word.size();
    if (size < 8) {
      low &= (uint64_t{1} << (8 * size)) - 1;
      high = 0;
    } else {
      high &= (uint64_t{1} << (8 * (size - 8))) - 1;
    }
    return {low, high | static_cast<uint64_t>(size) << 56};
  }

  /// The ids of a word of at most kMaxShortBytes bytes; empty when not known (a word never has no ids here).
  std::span<const uint32_t> find_short(Key key) {
    ShortEntry* set = &short_[short_set(key)];
    for (size_t way = 0; way < 2; ++way) {
      if (set[way].key.low == key.low && set[way].key.high == key.high) return {set[way].ids, set[way].count};
    }
    return {};
  }

  void put_short(Key key, std::span<const uint32_t> ids) {
    if (ids.empty() || ids.size() > kMaxShortIds) return;
    ShortEntry* set = &short_[short_set(key)];
    set[1] = set[0];
    set[0].key = key;
    set[0].count = static_cast<uint32_t>(ids.size());
    std::memcpy(set[0].ids, ids.data(), ids.size_bytes());
  }

  std::span<const uint32_t> find_long(std::string_view word, uint64_t hash) const {
    const LongEntry& entry = long_[hash % kLongEntries];
    if (entry.size != word.size() || std::memcmp(entry.bytes, word.data(), word.size()) != 0) return {};
    return {entry.ids, entry.count};
  }

  void put_long(std::string_view word, uint64_t hash, std::span<const uint32_t> ids) {
    if (ids.empty() || ids.size() > kMaxLongIds) return;
    LongEntry& entry = long_[hash % kLongEntries];
    entry.size = static_cast<uint16_t>(word.size());
    entry.count = static_cast<uint16_t>(ids.size());
    std::memcpy(entry.bytes, word.data(), word.size());
    std::memcpy(entry.ids, ids.data(), ids.size_bytes());
  }

 private:
  static constexpr size_t kShortEntries = 1 << 16, kLongEntries = 1 << 13;
  struct ShortEntry {
    Key key{0, 0};
    uint32_t count = 0;
    uint32_t ids[kMaxShortIds] = {};
  };
  struct LongEntry {
    uint16_t size = 0;
    uint16_t count = 0;
    char bytes[kMaxLongBytes] = {};
    uint32_t ids[kMaxLongIds] = {};
  };
  static size_t short_set(Key key) {
    return (fold_multiply(key.low ^ 0x9E3779B97F4A7C15u, key.high ^ 0xD6E8FEB86659FD93u) &
            (kShortEntries / 2 - 1)) *
           2;
  }
  std::vector<ShortEntry> short_;
  std::vector<LongEntry> long_;
};

}  // namespace tattletale

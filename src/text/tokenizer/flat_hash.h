// The two hash tables of a tokenizer: token text -> id and (left id, right id) -> merge. Open addressing with
// linear probing in one flat array, filled once while building, read without locks after. No deletion.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace tattletale {

/// A 64-bit hash by folded multiplication; not keyed, so only for tables whose load is bounded.
inline uint64_t fold_multiply(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t load_u64(const char* at) {
  uint64_t value;
  std::memcpy(&value, at, 8);
  return value;
}

inline uint64_t load_up_to_7(const char* at, size_t count) {
  uint64_t value = 0;
  if (count >= 4) {
    uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + count - 4, 4);
    return low | static_cast<uint64_t>(high) << 32;
  }
  for (size_t i = 0; i < count; ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(at[i])) << (8 * i);
  return value;
}

inline uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kFirst = 0x9E3779B97F4A7C15u, kSecond = 0xD6E8FEB86659FD93u;
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint64_t hash = kFirst ^ left;
  while (left > 16) {
    hash = fold_multiply(load_u64(at) ^ kSecond ^ hash, load_u64(at + 8) ^ kFirst);
    at += 16;
    left -= 16;
  }
  if (left >= 8) return fold_multiply(load_u64(at) ^ hash, load_u64(at + left - 8) ^ kSecond);
  return fold_multiply(load_up_to_7(at, left) ^ hash, kSecond);
}

/// Token text -> id. The texts themselves stay where `tokens` points.
class TokenIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Takes the first id of a repeated text. `tokens` must outlive the index and not move.
  void build(std::span<const std::string_view> tokens) {
    tokens_ = tokens;
    const size_t capacity = std::bit_ceil(tokens.size() * 2 + 16);
    mask_ = capacity - 1;
    slots_.assign(capacity, Slot{kNone, 0});
    for (uint32_t id = 0; id < tokens.size(); ++id) {
      if (!tokens[id].empty()) insert(id);
    }
  }

  uint32_t find(std::string_view text) const {
    const uint64_t hash = hash_bytes(text);
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot slot = slots_[at];
      if (slot.id == kNone) return kNone;
      if (slot.tag == tag && tokens_[slot.id] == text) return slot.id;
    }
  }

 private:
  struct Slot {
    uint32_t id;
    uint32_t tag;
  };
  void insert(uint32_t id) {
    const uint64_t hash = hash_bytes(tokens_[id]);
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    size_t at = hash & mask_;
    for (; slots_[at].id != kNone; at = (at + 1) & mask_) {
      if (slots_[at].tag == tag && tokens_[slots_[at].id] == tokens_[id]) return;
    }
    slots_[at] = Slot{id, tag};
  }
  std::span<const std::string_view> tokens_;
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

/// (left, right) -> (rank, result).
class MergeTable {
 public:
  struct Merge {
    uint32_t rank = UINT32_MAX;  // UINT32_MAX: the pair does not merge
    uint32_t result = 0;
  };

  void reserve(size_t num_merges) {
    const size_t capacity = std::bit_ceil(num_merges * 2 + 16);
    mask_ = capacity - 1;
    slots_.assign(capacity, Slot{kEmpty, Merge{}});
  }

  /// A repeated pair keeps its last rank, as the reference tables do.
  void insert(uint32_t left, uint32_t right, Merge merge) {
    const uint64_t key = static_cast<uint64_t>(left) << 32 | right;
    size_t at = hash(key) & mask_;
    while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask_;
    slots_[at] = Slot{key, merge};
  }

  Merge find(uint32_t left, uint32_t right) const {
    const uint64_t key = static_cast<uint64_t>(left) << 32 | right;
    for (size_t at = hash(key) & mask_;; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].merge;
      if (slots_[at].key == kEmpty) return Merge{};
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  static uint64_t hash(uint64_t key) { return fold_multiply(key ^ 0xD6E8FEB86659FD93u, 0x9E3779B97F4A7C15u); }
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

}  // namespace tattletale

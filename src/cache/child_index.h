// The children of a node, found by first token. Few children form one WAVL tree. Where that tree grows deep
// it becomes a fan: 64 trees chosen by six bits of the token, each of which may become a fan on the next six
// bits. A fan is exact (no hash, no collision), converts a few dozen nodes at a time, and leaves O(log n) as
// the worst case.
#pragma once

#include <bit>
#include <cstdint>

#include "cache/trie_node.h"

namespace tattletale {

class ChildIndex {
 public:
  /// Fans are an aid: when max_fans are in use, trees simply stay trees.
  bool allocate(uint64_t max_fans, bool touch_now);

  /// The child of `owner` whose first token is `key`, or kNoNode.
  NodeIndex find(const NodeArena& nodes, NodeIndex owner, uint32_t key) const {
    uint32_t at = nodes[owner].children;
    for (uint32_t bits = key; at & kFanBit; bits >>= kFanBits) {
      at = fans_[at & ~kFanBit].slots[bits & (kFanWidth - 1)];
    }
    while (at != kNoNode) {
      const TrieNode& node = nodes[at];
      if (node.key == key) return at;
      at = key < node.key ? node.left : node.right;
    }
    return kNoNode;
  }

  /// nodes[child].key is set and new among the owner's children.
  void insert(NodeArena& nodes, NodeIndex owner, NodeIndex child);
  void erase(NodeArena& nodes, NodeIndex owner, NodeIndex child);
  /// Puts `fresh`, which has the same key, in the place of `old`.
  void replace(NodeArena& nodes, NodeIndex owner, NodeIndex old, NodeIndex fresh);

  bool empty(const NodeArena& nodes, NodeIndex owner) const { return nodes[owner].children == 0; }
  /// The only child, or kNoNode if there are none or several.
  NodeIndex only_child(const NodeArena& nodes, NodeIndex owner) const {
    const TrieNode& node = nodes[owner];
    if ((node.children & kFanBit) || node.children == kNoNode) return kNoNode;
    const TrieNode& root = nodes[node.children];
    return root.left == kNoNode && root.right == kNoNode ? node.children : kNoNode;
  }
  /// Some child, or kNoNode.
  NodeIndex any_child(const NodeArena& nodes, NodeIndex owner) const;

  /// Calls visit(root) for the root of every WAVL tree that holds children of `owner`.
  template <class Visit>
  void for_each_tree(const NodeArena& nodes, NodeIndex owner, Visit visit) const {
    if (nodes[owner].children != 0) visit_slot(nodes[owner].children, visit);
  }
  uint64_t num_fans() const { return num_fans_; }
  static constexpr uint64_t kFanBytes = 64 * 4 + 16;

 private:
  friend class TrieVerifier;
  friend struct TrieTamper;
  static constexpr uint32_t kFanBits = 6;
  static constexpr uint32_t kFanWidth = 1u << kFanBits;
  static constexpr uint32_t kFanDepth = 4;   // a tree becomes a fan when a node arrives this deep
  static constexpr uint32_t kMinInFan = 4;   // and a fan becomes a tree again below this many children
  static constexpr uint32_t kMaxLevels = 6;  // 6 * 6 bits cover a token
  static constexpr uint32_t kFanBit = 1u << 31;

  struct Fan {
    uint32_t slots[kFanWidth];  // 0, a tree's root, or kFanBit | fan
  };
  struct FanInfo {
    uint64_t occupied;
    uint32_t num_children;  // all levels below included
    uint32_t next_free;
  };

  template <class Visit>
  void visit_slot(uint32_t slot, Visit& visit) const {
    if (!(slot & kFanBit)) return visit(slot);
    const uint32_t fan = slot & ~kFanBit;
    for (uint64_t left = info_[fan].occupied; left != 0; left &= left - 1) {
      visit_slot(fans_[fan].slots[std::countr_zero(left)], visit);
    }
  }
  uint32_t take_fan();
  void give_back_fan(uint32_t fan);
  void tree_to_fan(NodeArena& nodes, uint32_t& slot, uint32_t level);
  void fan_to_tree(NodeArena& nodes, uint32_t& slot);

  LazyArray<Fan> fans_;
  LazyArray<FanInfo> info_;
  uint32_t free_fan_ = 0;
  uint32_t high_water_ = 1;
  uint64_t num_fans_ = 0;
};

}  // namespace tattletale

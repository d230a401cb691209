// ChildIndex: insertion and removal, and the change between a WAVL tree and a fan of them.
#include "cache/child_index.h"

#include <array>

namespace tattletale {
namespace {

using Tree = WavlTree<SiblingLinks>;

void insert_by_key(NodeArena& nodes, NodeIndex& root, NodeIndex x, uint32_t& depth) {
  depth = Tree::insert(SiblingLinks{nodes.data()}, root, x,
                       [&](NodeIndex a, NodeIndex b) { return nodes[a].key < nodes[b].key; });
}

}  // namespace

bool ChildIndex::allocate(uint64_t max_fans, bool touch_now) {
  return fans_.allocate(max_fans + 1, touch_now) && info_.allocate(max_fans + 1, touch_now);
}

uint32_t ChildIndex::take_fan() {
  uint32_t fan = free_fan_;
  if (fan != 0) {
    free_fan_ = info_[fan].next_free;
  } else {
    if (high_water_ >= fans_.size()) return 0;
    fan = high_water_++;
  }
  fans_[fan] = Fan{};
  info_[fan] = FanInfo{};
  ++num_fans_;
  return fan;
}

void ChildIndex::give_back_fan(uint32_t fan) {
  info_[fan].next_free = free_fan_;
  free_fan_ = fan;
  --num_fans_;
}

void ChildIndex::insert(NodeArena& nodes, NodeIndex owner, NodeIndex child) {
  uint32_t* slot = &nodes[owner].children;
  uint32_t level = 0;
  const uint32_t key = nodes[child].key;
  for (; *slot & kFanBit; ++level) {
    const uint32_t fan = *slot & ~kFanBit;
    const uint32_t way = (key >> (level * kFanBits)) & (kFanWidth - 1);
    ++info_[fan].num_children;
    info_[fan].occupied |= uint64_t{1} << way;
    slot = &fans_[fan].slots[way];
  }
  uint32_t depth = 0;
  insert_by_key(nodes, *slot, child, depth);
  // A tree much deeper than kFanDepth grew while no fan was to be had; it stays, so that the work here is
  // bounded.
  if (depth >= kFanDepth && depth < 2 * kFanDepth && level < kMaxLevels) tree_to_fan(nodes, *slot, level);
}

void ChildIndex::tree_to_fan(NodeArena& nodes, uint32_t& slot, uint32_t level) {
  std::array<NodeIndex, 256> members;
  uint32_t num = 0;
  const SiblingLinks links{nodes.data()};
  for (NodeIndex x = Tree::first(links, slot); x != kNoNode; x = Tree::next(links, x)) {
    if (num == members.size()) return;
    members[num++] = x;
  }
  const uint32_t fan = take_fan();
  if (fan == 0) return;
  for (uint32_t i = 0; i < num; ++i) {
    const uint32_t way = (nodes[members[i]].key >> (level * kFanBits)) & (kFanWidth - 1);
    uint32_t depth = 0;
    insert_by_key(nodes, fans_[fan].slots[way], members[i], depth);
    info_[fan].occupied |= uint64_t{1} << way;
  }
  info_[fan].num_children = num;
  slot = kFanBit | fan;
}

void ChildIndex::erase(NodeArena& nodes, NodeIndex owner, NodeIndex child) {
  uint32_t* slot = &nodes[owner].children;
  uint32_t* sparse = nullptr;  // the highest fan that has become too empty
  const uint32_t key = nodes[child].key;
  uint32_t fan = 0;
  uint32_t way = 0;
  for (uint32_t level = 0; *slot & kFanBit; ++level) {
    fan = *slot & ~kFanBit;
    way = (key >> (level * kFanBits)) & (kFanWidth - 1);
    if (--info_[fan].num_children < kMinInFan && sparse == nullptr) sparse = slot;
    slot = &fans_[fan].slots[way];
  }
  Tree::erase(SiblingLinks{nodes.data()}, *slot, child);
  if (*slot == 0 && fan != 0) info_[fan].occupied &= ~(uint64_t{1} << way);
  if (sparse != nullptr) fan_to_tree(nodes, *sparse);
}

void ChildIndex::fan_to_tree(NodeArena& nodes, uint32_t& slot) {
  std::array<NodeIndex, kMinInFan> members;
  uint32_t num = 0;
  const SiblingLinks links{nodes.data()};
  auto collect = [&](NodeIndex root) {
    for (NodeIndex x = Tree::first(links, root); x != kNoNode; x = Tree::next(links, x)) members[num++] = x;
  };
  visit_slot(slot, collect);
  // Fewer than kMinInFan children lie below, so at most one nested fan a level remains, each with all of
  // them.
  for (uint32_t at = slot; at & kFanBit;) {
    const uint32_t fan = at & ~kFanBit;
    at = 0;
    for (uint64_t left = info_[fan].occupied; left != 0; left &= left - 1) {
      const uint32_t below = fans_[fan].slots[std::countr_zero(left)];
      if (below & kFanBit) at = below;
    }
    give_back_fan(fan);
  }
  slot = 0;
  uint32_t depth = 0;
  for (uint32_t i = 0; i < num; ++i) insert_by_key(nodes, slot, members[i], depth);
}

void ChildIndex::replace(NodeArena& nodes, NodeIndex owner, NodeIndex old, NodeIndex fresh) {
  uint32_t* slot = &nodes[owner].children;
  for (uint32_t bits = nodes[old].key; *slot & kFanBit; bits >>= kFanBits) {
    slot = &fans_[*slot & ~kFanBit].slots[bits & (kFanWidth - 1)];
  }
  Tree::replace(SiblingLinks{nodes.data()}, *slot, old, fresh);
}

NodeIndex ChildIndex::any_child(const NodeArena& nodes, NodeIndex owner) const {
  uint32_t at = nodes[owner].children;
  while (at & kFanBit) {
    const uint32_t fan = at & ~kFanBit;
    at = fans_[fan].slots[std::countr_zero(info_[fan].occupied)];
  }
  return at;
}

}  // namespace tattletale

// The trie's node, one cache line, and the arena and the two tree hooks that it carries: its place among its
// siblings and its place in the eviction order.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "cache/lazy_array.h"
#include "cache/wavl_tree.h"

namespace tattletale {

/// One edge of the trie: tokens [start, end) of every sequence that passes, and the pages whose last token is
/// among them. A node whose end is not page aligned reads its last tokens from a page that it does not own,
/// the next in the chain (a child's), unless it has a tail page of its own.
struct alignas(64) TrieNode {
  uint32_t key;                 // the node's first token; siblings differ in it
  NodeIndex left, right, up;    // among its siblings
  NodeIndex parent;             // in the trie
  uint32_t children;            // ChildIndex: 0, a tree's root or a fan
  uint32_t start, end;          // tokens from the root
  uint32_t first_page;          // page that holds token `start`
  uint32_t last_page;           // last owned page; 0 if none
  uint32_t num_busy : 26;       // children that are held or have held nodes below
  uint32_t sibling_parity : 1;  // WAVL ranks
  uint32_t order_parity : 1;
  uint32_t in_order : 1;  // stands in the eviction order
  uint32_t pinned : 1;    // counts as one hold
  uint32_t has_checkpoint : 1;
  uint32_t has_tail : 1;             // the last page is owned and unfilled
  NodeIndex older, newer, order_up;  // in the eviction order
  uint64_t last_use : 44;            // ticks; at a million operations a second it lasts 200 days
  uint64_t num_holds : 20;           // leases, copy sources, pin

  bool is_busy() const { return num_holds != 0 || num_busy != 0; }
  uint32_t num_tokens() const { return end - start; }
};
static_assert(sizeof(TrieNode) == 64);

inline constexpr uint64_t kMaxHolds = (uint64_t{1} << 20) - 1;
inline constexpr NodeIndex kRootNode = 1;

struct SiblingLinks {
  TrieNode* nodes;
  NodeIndex& left(NodeIndex i) const { return nodes[i].left; }
  NodeIndex& right(NodeIndex i) const { return nodes[i].right; }
  NodeIndex& up(NodeIndex i) const { return nodes[i].up; }
  bool parity(NodeIndex i) const { return nodes[i].sibling_parity; }
  void flip(NodeIndex i) const { nodes[i].sibling_parity ^= 1; }
  void clear(NodeIndex i) const {
    nodes[i].left = nodes[i].right = nodes[i].up = kNoNode;
    nodes[i].sibling_parity = 0;
  }
};

struct OrderLinks {
  TrieNode* nodes;
  NodeIndex& left(NodeIndex i) const { return nodes[i].older; }
  NodeIndex& right(NodeIndex i) const { return nodes[i].newer; }
  NodeIndex& up(NodeIndex i) const { return nodes[i].order_up; }
  bool parity(NodeIndex i) const { return nodes[i].order_parity; }
  void flip(NodeIndex i) const { nodes[i].order_parity ^= 1; }
  void clear(NodeIndex i) const {
    nodes[i].older = nodes[i].newer = nodes[i].order_up = kNoNode;
    nodes[i].order_parity = 0;
  }
};

/// Nodes with stable indices and a free list. Entry 0 stands for "no node", entry 1 is the root.
class NodeArena {
 public:
  bool allocate(uint64_t max_nodes, bool touch_now) {
    if (!nodes_.allocate(max_nodes + 2, touch_now)) return false;
    nodes_[kNoNode].sibling_parity = nodes_[kNoNode].order_parity = 1;  // rank -1
    return true;
  }
  TrieNode& operator[](NodeIndex i) { return nodes_[i]; }
  const TrieNode& operator[](NodeIndex i) const { return nodes_[i]; }
  TrieNode* data() { return nodes_.data(); }
  uint64_t num_used() const { return num_used_; }
  uint32_t high_water() const { return high_water_; }

  /// A zeroed node.
  NodeIndex take() {
    NodeIndex i = free_;
    if (i != kNoNode) {
      free_ = nodes_[i].parent;
      nodes_[i] = TrieNode{};
    } else {
      CHECK(high_water_ < nodes_.size());
      i = high_water_++;
    }
    ++num_used_;
    return i;
  }
  void give_back(NodeIndex i) {
    nodes_[i] = TrieNode{};
    nodes_[i].parent = free_;
    free_ = i;
    --num_used_;
  }

 private:
  LazyArray<TrieNode> nodes_;
  NodeIndex free_ = kNoNode;
  NodeIndex high_water_ = 1;
  uint64_t num_used_ = 0;
};

/// Leaves by last use, oldest first: the second WAVL tree. A held leaf may still stand in it; evict() takes
/// it out when it comes first, and the end of the hold puts it in as the newest.
class EvictionOrder {
 public:
  NodeIndex oldest() const { return oldest_; }
  NodeIndex newest() const { return newest_; }
  NodeIndex root() const { return root_; }

  void insert(NodeArena& nodes, NodeIndex x) {
    const OrderLinks links{nodes.data()};
    const bool is_newest = newest_ == kNoNode || before(nodes, newest_, x);
    if (is_newest) {  // the usual case needs no search
      Tree::attach(links, root_, newest_, false, x);
      newest_ = x;
      if (oldest_ == kNoNode) oldest_ = x;
    } else {
      Tree::insert(links, root_, x, [&](NodeIndex a, NodeIndex b) { return before(nodes, a, b); });
      if (before(nodes, x, oldest_)) oldest_ = x;
    }
    nodes[x].in_order = 1;
  }

  void erase(NodeArena& nodes, NodeIndex x) {
    const OrderLinks links{nodes.data()};
    if (x == oldest_) oldest_ = Tree::next(links, x);
    if (x == newest_) newest_ = Tree::prev(links, x);
    Tree::erase(links, root_, x);
    nodes[x].in_order = 0;
  }

  static bool before(const NodeArena& nodes, NodeIndex a, NodeIndex b) {
    if (nodes[a].last_use != nodes[b].last_use) return nodes[a].last_use < nodes[b].last_use;
    return a < b;
  }

 private:
  using Tree = WavlTree<OrderLinks>;
  NodeIndex root_ = kNoNode;
  NodeIndex oldest_ = kNoNode;
  NodeIndex newest_ = kNoNode;
};

}  // namespace tattletale

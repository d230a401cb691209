// An intrusive WAVL tree (weak AVL): links are 32-bit indices inside the nodes and a node's rank is kept as
// one parity bit. Search, insert and erase take O(log n) comparisons at worst; rebalancing makes at most two
// rotations. It owns nothing and allocates nothing. Source: Haeupler, Sen, Tarjan, "Rank-Balanced Trees",
// TALG 11(4), 2015.
#pragma once

#include <cstdint>

namespace tattletale {

/// Index of a node in its arena. 0 is no node.
using NodeIndex = uint32_t;
inline constexpr NodeIndex kNoNode = 0;

/// Tree operations over `Links`, which says where a node keeps its hook:
///   NodeIndex& left(NodeIndex), right(NodeIndex), up(NodeIndex); bool parity(NodeIndex); void
///   flip(NodeIndex); void clear(NodeIndex) sets left, right, up to kNoNode and the parity to 0.
/// parity(kNoNode) must be true: a missing node has rank -1. Along an edge the rank falls by 1 or 2 and a
/// leaf has rank 0; parities that differ mean 1, equal ones 2. While rebalancing, 0 reads like 2 and 3 like
/// 1, and the place in the algorithm says which is meant. `root` is the caller's variable; several trees may
/// share one arena.
template <class Links>
class WavlTree {
 public:
  /// Hangs x as the left or right child of `parent`, which has none there, or as the root if parent is
  /// kNoNode.
  static void attach(Links links, NodeIndex& root, NodeIndex parent, bool as_left, NodeIndex x) {
    links.clear(x);
    if (parent == kNoNode) {
      root = x;
      return;
    }
    const bool was_leaf = links.left(parent) == kNoNode && links.right(parent) == kNoNode;
    (as_left ? links.left(parent) : links.right(parent)) = x;
    links.up(x) = parent;
    if (was_leaf) rebalance_after_attach(links, root, x);
  }

  /// Inserts x by `less(a, b)`, a strict order on nodes; equal nodes must not both be inserted. Returns x's
  /// depth.
  template <class Less>
  static uint32_t insert(Links links, NodeIndex& root, NodeIndex x, Less less) {
    NodeIndex parent = kNoNode;
    bool as_left = false;
    uint32_t depth = 0;
    for (NodeIndex at = root; at != kNoNode; ++depth) {
      parent = at;
      as_left = less(x, at);
      at = as_left ? links.left(at) : links.right(at);
    }
    attach(links, root, parent, as_left, x);
    return depth;
  }

  /// Takes x out; no search. Its hook is left as it was.
  static void erase(Links links, NodeIndex& root, NodeIndex x) {
    if (links.left(x) != kNoNode && links.right(x) != kNoNode) swap_with_next(links, root, x);
    const NodeIndex child = links.left(x) != kNoNode ? links.left(x) : links.right(x);
    const NodeIndex parent = links.up(x);
    put_below(links, root, parent, x, child);
    if (child != kNoNode) links.up(child) = parent;
    if (parent != kNoNode) rebalance_after_erase(links, root, parent, child);
  }

  /// Puts `fresh` in the place of `old`; both compare alike against all others.
  static void replace(Links links, NodeIndex& root, NodeIndex old, NodeIndex fresh) {
    links.clear(fresh);
    if (links.parity(old)) links.flip(fresh);
    links.left(fresh) = links.left(old);
    links.right(fresh) = links.right(old);
    links.up(fresh) = links.up(old);
    if (links.left(old) != kNoNode) links.up(links.left(old)) = fresh;
    if (links.right(old) != kNoNode) links.up(links.right(old)) = fresh;
    put_below(links, root, links.up(old), old, fresh);
  }

  static NodeIndex first(Links links, NodeIndex root) {
    if (root == kNoNode) return kNoNode;
    while (links.left(root) != kNoNode) root = links.left(root);
    return root;
  }
  static NodeIndex last(Links links, NodeIndex root) {
    if (root == kNoNode) return kNoNode;
    while (links.right(root) != kNoNode) root = links.right(root);
    return root;
  }
  static NodeIndex next(Links links, NodeIndex x) {
    if (links.right(x) != kNoNode) return first(links, links.right(x));
    NodeIndex up = links.up(x);
    while (up != kNoNode && links.right(up) == x) {
      x = up;
      up = links.up(up);
    }
    return up;
  }
  static NodeIndex prev(Links links, NodeIndex x) {
    if (links.left(x) != kNoNode) return last(links, links.left(x));
    NodeIndex up = links.up(x);
    while (up != kNoNode && links.left(up) == x) {
      x = up;
      up = links.up(up);
    }
    return up;
  }

 private:
  static void put_below(Links links, NodeIndex& root, NodeIndex parent, NodeIndex old, NodeIndex fresh) {
    if (parent == kNoNode) {
      root = fresh;
    } else if (links.left(parent) == old) {
      links.left(parent) = fresh;
    } else {
      links.right(parent) = fresh;
    }
  }

  /// Lifts x above its parent; ranks are the caller's business.
  static void rotate_up(Links links, NodeIndex& root, NodeIndex x) {
    const NodeIndex parent = links.up(x);
    const NodeIndex top = links.up(parent);
    put_below(links, root, top, parent, x);
    links.up(x) = top;
    const bool x_is_left = links.left(parent) == x;
    const NodeIndex inner = x_is_left ? links.right(x) : links.left(x);
    (x_is_left ? links.left(parent) : links.right(parent)) = inner;
    (x_is_left ? links.right(x) : links.left(x)) = parent;
    if (inner != kNoNode) links.up(inner) = parent;
    links.up(parent) = x;
  }

  /// x and its parent have equal rank. Promote upwards while the sibling allows, then at most one (double)
  /// rotation.
  static void rebalance_after_attach(Links links, NodeIndex& root, NodeIndex x) {
    for (NodeIndex p = links.up(x); p != kNoNode && links.parity(p) == links.parity(x); p = links.up(x)) {
      const bool x_is_left = links.left(p) == x;
      const NodeIndex sibling = x_is_left ? links.right(p) : links.left(p);
      if (links.parity(p) != links.parity(sibling)) {  // sibling one below: promote p, look above
        links.flip(p);
        x = p;
        continue;
      }
      const NodeIndex inner = x_is_left ? links.right(x) : links.left(x);
      if (links.parity(x) == links.parity(inner)) {  // inner grandchild two below: one rotation
        rotate_up(links, root, x);
        links.flip(p);
      } else {
        rotate_up(links, root, inner);
        rotate_up(links, root, inner);
        links.flip(inner);
        links.flip(x);
        links.flip(p);
      }
      return;
    }
  }

  /// x, possibly no node, has just sunk by one below p. Demote upwards, then at most one (double) rotation.
  static void rebalance_after_erase(Links links, NodeIndex& root, NodeIndex p, NodeIndex x) {
    if (links.left(p) == kNoNode && links.right(p) == kNoNode && links.parity(p)) {  // a leaf of rank 1
      links.flip(p);
      x = p;
      p = links.up(p);
    }
    while (p != kNoNode && links.parity(p) != links.parity(x)) {  // x is three below p
      const bool x_is_left = links.left(p) == x;
      const NodeIndex sibling = x_is_left ? links.right(p) : links.left(p);
      if (links.parity(p) == links.parity(sibling)) {  // sibling two below: demote p
        links.flip(p);
      } else {
        const NodeIndex inner = x_is_left ? links.left(sibling) : links.right(sibling);
        const NodeIndex outer = x_is_left ? links.right(sibling) : links.left(sibling);
        const bool inner_two = links.parity(sibling) == links.parity(inner);
        const bool outer_two = links.parity(sibling) == links.parity(outer);
        if (!(inner_two && outer_two)) {
          rotate_after_erase(links, root, p, sibling, inner, outer_two);
          return;
        }
        links.flip(p);  // demote both
        links.flip(sibling);
      }
      x = p;
      p = links.up(p);
    }
  }

  static void rotate_after_erase(Links links, NodeIndex& root, NodeIndex p, NodeIndex sibling,
                                 NodeIndex inner, bool outer_two) {
    if (!outer_two) {
      rotate_up(links, root, sibling);
      links.flip(sibling);
      links.flip(p);
      if (links.left(p) == kNoNode && links.right(p) == kNoNode) links.flip(p);  // no leaf of rank 1
    } else {  // inner rises by two, p sinks by two, sibling sinks by one
      rotate_up(links, root, inner);
      rotate_up(links, root, inner);
      links.flip(sibling);
    }
  }

  /// Exchanges x, which has two children, with its successor, ranks included.
  static void swap_with_next(Links links, NodeIndex& root, NodeIndex x) {
    const NodeIndex y = first(links, links.right(x));
    const NodeIndex y_up = links.up(y);
    const NodeIndex y_right = links.right(y);
    const NodeIndex x_up = links.up(x);
    const bool y_parity = links.parity(y);
    replace(links, root, x, y);  // y now has x's links; x's own still read as before
    links.up(y) = x_up;          // where y was x's child, replace has set it to y
    if (y_parity != links.parity(x)) links.flip(x);
    if (y_up == x) {
      links.right(y) = x;
      links.up(x) = y;
    } else {
      links.left(y_up) = x;
      links.up(x) = y_up;
    }
    links.left(x) = kNoNode;
    links.right(x) = y_right;
    if (y_right != kNoNode) links.up(y_right) = x;
  }
};

}  // namespace tattletale

// Checks every invariant of a RadixTrie from the ground up, trusting no count that the trie keeps. For tests,
// fuzzing and debug builds: it costs O(everything).
#pragma once

#include <vector>

#include "base/error.h"
#include "cache/radix_trie.h"

namespace tattletale {

class TrieVerifier {
 public:
  /// Errors: internal, naming the node or page and the invariant that does not hold:
  /// - both kinds of WAVL tree: ranks rebuilt from the leaves, strict order, parent links; fans: counts and
  /// bits;
  /// - the path: runs join, siblings differ in their first token, every page holds exactly the path's tokens;
  /// - pages: each in exactly one of free, trie, one lease; all counts equal to what is found;
  /// - holds equal to leases, copy sources and pins; busy counts; nothing held stands where it could be
  /// evicted;
  /// - age: the eviction order is sorted, has every free leaf, and no node is younger than its parent.
  static Result<void> verify(const RadixTrie& trie);

 private:
  explicit TrieVerifier(const RadixTrie& trie) : trie_(trie) {}
  Result<void> run();
  Result<void> count_holds();
  Result<void> check_node(NodeIndex node, std::vector<TokenId>& path);
  Result<void> check_pages(NodeIndex node, std::vector<TokenId>& path);
  Result<void> check_children(NodeIndex node);
  Result<void> check_slot(NodeIndex owner, uint32_t slot, uint32_t level, uint32_t bits, uint32_t& num_found);
  template <class Links>
  Result<int> check_tree(Links links, NodeIndex at, NodeIndex up, std::vector<NodeIndex>& in_order);
  Result<void> check_eviction_order();
  Result<void> check_conservation();
  Result<void> claim(uint32_t page, uint8_t owner);

  const RadixTrie& trie_;
  std::vector<uint32_t> holds_;      // by node
  std::vector<uint8_t> page_owner_;  // by page index: 0 nobody yet
  std::vector<NodeIndex> children_;  // of the node being checked
  std::vector<NodeIndex> to_visit_;
  uint64_t num_nodes_ = 0;
  uint64_t trie_pages_ = 0;
  uint64_t protected_pages_ = 0;
  uint64_t num_in_order_ = 0;
};

}  // namespace tattletale

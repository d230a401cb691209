// The two rival designs, small and honest: they keep the same promises to a caller (find the longest cached
// prefix in whole pages, hold it, publish, evict least recently used) in their own way. Prefixes and pages
// only, as the originals.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <queue>
#include <span>
#include <unordered_map>
#include <vector>

namespace tattletale::bench {

/// A chain of block hashes in one hash map (the way of vLLM): block i's key is the 128-bit hash of its tokens
/// and of block i-1's key. Blocks nobody uses stand in one list, oldest first. Hash collisions are taken not
/// to happen.
class HashChainCache {
 public:
  struct Held {
    std::vector<uint32_t> blocks;
    uint64_t matched_tokens = 0;
  };
  HashChainCache(uint64_t num_pages, uint32_t page_tokens);

  void match(std::span<const uint32_t> tokens, Held& held);
  void release(Held& held);
  /// Publishes the full pages after those held; false if no page is free.
  bool insert(std::span<const uint32_t> tokens, Held& held);
  uint64_t evict(uint64_t num_pages);
  uint64_t num_cached() const { return map_.size(); }
  uint64_t memory_bytes() const;

 private:
  struct Key {
    uint64_t low = 0, high = 0;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const { return key.low; }
  };
  struct Block {
    Key key;
    uint32_t num_holds = 0;
    uint32_t older = 0, newer = 0;  // list of blocks nobody holds; 0 ends it
  };
  static Key chain(Key before, const uint32_t* tokens, uint32_t num);
  void unlink(uint32_t block);
  void append(uint32_t block);

  uint32_t page_tokens_;
  std::unordered_map<Key, uint32_t, KeyHash> map_;
  std::vector<Block> blocks_;  // [0] is the list's head
  std::vector<uint32_t> free_;
};

/// A radix tree whose nodes keep their children in a hash map by first page, and a heap built for each
/// eviction (the way of SGLang): eviction gathers the leaves, makes a heap by last use, pops.
class HashRadixCache {
 public:
  struct Node {
    std::unordered_map<uint64_t, std::unique_ptr<Node>> children;  // by hash of the first page's tokens
    std::vector<uint32_t> tokens;
    std::vector<uint32_t> pages;
    Node* parent = nullptr;
    uint64_t key = 0;
    uint64_t last_use = 0;
    uint32_t num_locks = 0;
  };
  struct Held {
    Node* node = nullptr;
    uint64_t matched_tokens = 0;
    std::vector<uint32_t> pages;
  };
  HashRadixCache(uint64_t num_pages, uint32_t page_tokens);

  void match(std::span<const uint32_t> tokens, Held& held);
  void release(Held& held);
  bool insert(std::span<const uint32_t> tokens, Held& held);
  uint64_t evict(uint64_t num_pages);
  uint64_t memory_bytes() const;

 private:
  uint64_t page_key(const uint32_t* tokens) const;
  Node* split(Node* node, uint64_t num_tokens);

  uint32_t page_tokens_;
  Node root_;
  uint64_t clock_ = 0;
  uint64_t num_nodes_ = 0, num_pages_used_ = 0;
  std::vector<uint32_t> free_;
};

}  // namespace tattletale::bench

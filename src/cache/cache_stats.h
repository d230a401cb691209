// What the cache publishes about itself to other threads: plain counts, each exact on its own, not one
// snapshot.
#pragma once

#include <atomic>
#include <cstdint>

namespace tattletale {

struct CacheStats {
  uint64_t num_pages = 0;  // in the pool
  uint64_t free_pages = 0;
  uint64_t trie_pages = 0;       // published
  uint64_t evictable_pages = 0;  // published and held by nobody
  uint64_t num_nodes = 0;
  uint64_t num_leases = 0;
  uint64_t num_matches = 0;
  uint64_t queried_tokens = 0;
  uint64_t matched_tokens = 0;
  uint64_t published_pages = 0;  // ever
  uint64_t duplicate_pages = 0;  // ever freed because another request had published the same tokens
  uint64_t evicted_pages = 0;    // ever
};

/// The writer's side: one thread stores, any thread loads, no ordering between counts.
class CacheStatsWriter {
 public:
  using Count = std::atomic<uint64_t>;
  Count num_pages{0}, free_pages{0}, trie_pages{0}, evictable_pages{0}, num_nodes{0}, num_leases{0},
      num_matches{0}, queried_tokens{0}, matched_tokens{0}, published_pages{0}, duplicate_pages{0},
      evicted_pages{0};

  static void set(Count& count, uint64_t value) { count.store(value, std::memory_order_relaxed); }
  /// Not a read-modify-write: there is one writer.
  static void add(Count& count, uint64_t more) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }

  CacheStats read() const {
    const auto get = [](const Count& count) { return count.load(std::memory_order_relaxed); };
    return {get(num_pages),      get(free_pages),      get(trie_pages),      get(evictable_pages),
            get(num_nodes),      get(num_leases),      get(num_matches),     get(queried_tokens),
            get(matched_tokens), get(published_pages), get(duplicate_pages), get(evicted_pages)};
  }
};

}  // namespace tattletale

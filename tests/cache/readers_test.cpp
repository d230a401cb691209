// One writer works while readers take the published facts; run under -fsanitize=thread to check the rule.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "lockstep.h"

namespace tattletale::testing {
namespace {

TEST(CacheReaders, StatsAreReadWhileOneThreadWrites) {
  Lockstep lockstep({.num_pages = 40, .verify_every = 64});
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  std::atomic<uint64_t> num_reads{0};
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        const CacheStats stats = lockstep.trie().stats();
        if (stats.free_pages > stats.num_pages || stats.matched_tokens > stats.queried_tokens + 1000)
          std::abort();
        num_reads.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  RandomChoices choices(99);
  bool sound = true;
  for (int i = 0; (i < 20'000 || num_reads.load() < 100) && sound; ++i) sound = lockstep.step(choices);
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_TRUE(sound) << lockstep.failure();
  const CacheStats stats = lockstep.trie().stats();
  EXPECT_EQ(stats.free_pages, lockstep.trie().num_free_pages());
  EXPECT_EQ(stats.evictable_pages, lockstep.trie().num_evictable_pages());
}

}  // namespace
}  // namespace tattletale::testing

// The trie against the obviously right model over random operations. TATTLETALE_CACHE_OPERATIONS sets how
// many in all (default 300,000; ten million is the long run).
#include "lockstep.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace tattletale::testing {
namespace {

uint64_t num_operations() {
  const char* text = std::getenv("TATTLETALE_CACHE_OPERATIONS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 300'000;
}

/// Every operation of a short run is verified, every 64th of a long one.
const uint32_t kVerifyEvery = num_operations() > 1'000'000 ? 64 : 1;

/// Fails too if the run met next to nothing of what it is for.
void run(LockstepOptions options, uint64_t seed, uint64_t num_steps, bool expect_fans = false) {
  Lockstep::Coverage sum;
  const uint64_t first_seed = seed;
  for (uint64_t done = 0; done < num_steps; ++seed) {
    Lockstep lockstep(options);
    RandomChoices choices(seed);
    for (uint64_t i = 0; i < 20'000 && done < num_steps; ++i, ++done) {
      ASSERT_TRUE(lockstep.step(choices)) << "seed " << seed << ": " << lockstep.failure();
    }
    const Lockstep::Coverage& met = lockstep.coverage();
    sum.trie_pages += met.trie_pages;
    sum.matched_pages += met.matched_pages;
    sum.copies += met.copies;
    sum.replaced += met.replaced;
    sum.evicted += met.evicted;
    sum.refused += met.refused;
    sum.tails += met.tails;
    sum.max_fans = std::max(sum.max_fans, met.max_fans);
    ASSERT_TRUE(lockstep.drain()) << "seed " << seed << ": " << lockstep.failure();
  }
  std::printf(
      "%llu steps from seed %llu: on average %.1f pages cached; %llu pages matched, %llu copies, %llu "
      "replaced, "
      "%llu evicted, %llu refused, %llu tails, %llu fans\n",
      static_cast<unsigned long long>(num_steps), static_cast<unsigned long long>(first_seed),
      static_cast<double>(sum.trie_pages) / static_cast<double>(num_steps),
      static_cast<unsigned long long>(sum.matched_pages), static_cast<unsigned long long>(sum.copies),
      static_cast<unsigned long long>(sum.replaced), static_cast<unsigned long long>(sum.evicted),
      static_cast<unsigned long long>(sum.refused), static_cast<unsigned long long>(sum.tails),
      static_cast<unsigned long long>(sum.max_fans));
  EXPECT_GT(sum.trie_pages, num_steps * options.num_pages / 5);
  EXPECT_GT(sum.copies, num_steps / (expect_fans ? 500 : 50));
  EXPECT_GT(sum.evicted, num_steps / 100);
  EXPECT_GT(sum.tails, num_steps / 100);
  EXPECT_TRUE(!expect_fans || sum.max_fans > 0);
}

TEST(CacheLockstep, RoomyPool) {
  run({.num_pages = 64, .verify_every = kVerifyEvery}, 1, num_operations() / 4);
}
TEST(CacheLockstep, TightPool) {
  run({.num_pages = 16, .max_leases = 8, .alphabet = 2, .verify_every = kVerifyEvery}, 1000,
      num_operations() / 4);
}
TEST(CacheLockstep, PagesPast32Bits) {
  run({.num_pages = 40, .first_page = uint64_t{1} << 40, .verify_every = kVerifyEvery}, 2000,
      num_operations() / 4);
}
TEST(CacheLockstep, LargePages) {
  run({.num_pages = 24, .page_tokens = 64, .alphabet = 2, .max_tokens = 300, .verify_every = kVerifyEvery},
      3000, num_operations() / 8);
}
TEST(CacheLockstep, WideFanOut) {
  for (const uint32_t stride : {1u, 64u, 1u << 12}) {
    run({.num_pages = 120,
         .max_leases = 12,
         .alphabet = 700,
         .max_tokens = 24,
         .token_stride = stride,
         .unrelated = 5,
         .verify_every = kVerifyEvery},
        4000, num_operations() / 24, true);
  }
}

}  // namespace
}  // namespace tattletale::testing

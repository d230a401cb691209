// The trie against the obviously right model over random operations. TATTLETALE_CACHE_OPERATIONS sets how many in all
// (default 300,000; ten million is the long run).
#include "lockstep.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tattletale::testing {
namespace {

uint64_t num_operations() {
  const char* text = std::getenv("TATTLETALE_CACHE_OPERATIONS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 300'000;
}

/// Every operation of a short run is verified, every 64th of a long one.
const uint32_t kVerifyEvery = num_operations() > 1'000'000 ? 64 : 1;

void run(LockstepOptions options, uint64_t seed, uint64_t num_steps) {
  for (uint64_t done = 0; done < num_steps; ++seed) {
    Lockstep lockstep(options);
    RandomChoices choices(seed);
    for (uint64_t i = 0; i < 20'000 && done < num_steps; ++i, ++done) {
      ASSERT_TRUE(lockstep.step(choices)) << "seed " << seed << ": " << lockstep.failure();
    }
    ASSERT_TRUE(lockstep.drain()) << "seed " << seed << ": " << lockstep.failure();
  }
}

TEST(CacheLockstep, RoomyPool) { run({.num_pages = 64, .verify_every = kVerifyEvery}, 1, num_operations() / 4); }
TEST(CacheLockstep, TightPool) {
  run({.num_pages = 16, .max_leases = 8, .alphabet = 2, .verify_every = kVerifyEvery}, 1000, num_operations() / 4);
}
TEST(CacheLockstep, PagesPast32Bits) {
  run({.num_pages = 40, .first_page = uint64_t{1} << 40, .verify_every = kVerifyEvery}, 2000, num_operations() / 4);
}
TEST(CacheLockstep, LargePages) {
  run({.num_pages = 24, .page_tokens = 64, .alphabet = 2, .max_tokens = 300, .verify_every = kVerifyEvery}, 3000,
      num_operations() / 8);
}
TEST(CacheLockstep, WideAlphabet) {
  run({.num_pages = 200, .max_leases = 20, .alphabet = 4000, .max_tokens = 40, .verify_every = kVerifyEvery}, 4000,
      num_operations() / 8);
}

}  // namespace
}  // namespace tattletale::testing

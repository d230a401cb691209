// The fuzzer's bytes choose operations, lengths and tokens; trie and model must agree after each, and
// everything must come back at the end. An input whose first byte is 0xff is read as a snapshot file instead.
#include <sstream>

#include "cache/lockstep.h"
#include "cache/trie_snapshot.h"

using namespace tattletale;

namespace {

void restore(std::span<const uint8_t> bytes) {
  auto trie = RadixTrie::create({.pool = {.num_pages = 32, .touch_memory_now = false}});
  std::istringstream in(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const auto write_page = [](PageId, uint32_t, std::span<const std::byte>) -> Result<void> { return {}; };
  const auto result = TrieSnapshot::restore(**trie, "m", write_page, in);
  const auto verdict = TrieVerifier::verify(**trie);
  if (!verdict || (!result && (*trie)->num_free_pages() != 32)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && data[0] == 0xff) {
    restore(std::span(data + 1, size - 1));
    return 0;
  }
  testing::ByteChoices choices(std::span(data, size));
  testing::Lockstep lockstep({.num_pages = 20, .max_leases = 4, .alphabet = 2});
  while (!choices.exhausted()) {
    if (!lockstep.step(choices)) __builtin_trap();
  }
  if (!lockstep.drain()) __builtin_trap();
  return 0;
}

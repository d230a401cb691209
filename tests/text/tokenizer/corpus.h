// The seeded test corpus, equal to tools/fixtures/tokenizer_corpus.py; both must change together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tattletale::test {

class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint32_t below(uint32_t n) {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return static_cast<uint32_t>(((z ^ z >> 31) >> 33) % n);
  }

 private:
  uint64_t state_;
};

/// `count` byte strings of mixed text, not always valid UTF-8.
std::vector<std::string> corpus_records(std::string_view phrases, uint64_t seed, size_t count);

/// FNV-1a over the little-endian ids, folded to 32 bits.
uint32_t ids_hash(std::span<const uint32_t> ids);

/// A whole file below tests/data/tokenizer/; fails the test when it cannot be read.
std::string read_data(std::string_view name);

}  // namespace tattletale::test

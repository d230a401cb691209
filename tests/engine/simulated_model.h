// A model and its KV pages as plain numbers, to test scheduling without a device: a row of a page holds the
// hash of the exact prefix it stands for, the next token is a function of the whole prefix, and every row
// that a token would attend to is checked before the token is computed.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/scheduler.h"

namespace tattletale::testing {

class SimulatedModel {
 public:
  SimulatedModel(uint64_t num_pages, uint32_t page_tokens, uint32_t vocab)
      : page_tokens_(page_tokens), vocab_(vocab), rows_(num_pages * page_tokens, 0) {}

  static uint64_t extend_hash(uint64_t prefix, uint32_t token) {
    uint64_t x = (prefix + 0x9e3779b97f4a7c15u) ^ (uint64_t{token} + 1) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 30)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  uint32_t next_token(uint64_t prefix) const { return static_cast<uint32_t>((prefix >> 20) % vocab_); }

  /// The answer that a prompt gets, whatever else happens.
  std::vector<uint32_t> answer(std::span<const uint32_t> prompt, uint64_t length) const {
    uint64_t prefix = 0;
    for (const uint32_t token : prompt) prefix = extend_hash(prefix, token);
    std::vector<uint32_t> tokens;
    while (tokens.size() < length) {
      tokens.push_back(next_token(prefix));
      prefix = extend_hash(prefix, tokens.back());
    }
    return tokens;
  }

  void copy(const PageCopy& copy) {
    for (uint32_t r = 0; r < copy.num_rows; ++r) row(copy.to, r) = row(copy.from, r);
  }

  /// Computes the sequence's next tokens into its pages; the hash of the prefix that then is computed.
  /// False, with a test failure, if a row before them is not what it should be.
  bool compute(const Sequence& sequence, uint64_t num_tokens, uint64_t& prefix) {
    prefix = 0;
    for (uint64_t i = 0; i < sequence.computed + num_tokens; ++i) {
      prefix = extend_hash(prefix, sequence.tokens[i]);
      uint64_t& held = row(sequence.pages.at(i / page_tokens_), i % page_tokens_);
      if (i >= sequence.computed) {
        held = prefix;
      } else if (held != prefix) {
        ADD_FAILURE() << "row " << i << " of " << sequence.computed << " holds another prefix";
        return false;
      }
    }
    return true;
  }

 private:
  uint64_t& row(PageId page, uint64_t offset) { return rows_.at(page * page_tokens_ + offset); }

  uint32_t page_tokens_;
  uint32_t vocab_;
  std::vector<uint64_t> rows_;
};

}  // namespace tattletale::testing

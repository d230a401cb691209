// One request as the scheduler sees it: its tokens, and which of them have keys and values in which pages.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/radix_trie.h"

namespace tattletale {

/// Owned by the engine's session; the scheduler fills what is below `tokens`. Idle: no lease, no pages.
struct Sequence {
  enum class State : uint8_t { idle, waiting, running };

  std::vector<uint32_t> tokens;        // prompt and answer so far
  uint64_t final_tokens = UINT64_MAX;  // it will not have more tokens than this
  uint64_t arrival = 0;                // orders requests: the smaller one came first and keeps its rights

  State state = State::idle;
  Lease lease;                 // while running
  std::vector<PageId> pages;   // entry i holds tokens [i * page_tokens, ...); while running
  uint64_t computed = 0;       // leading tokens whose keys and values are in `pages`
  uint64_t admitted_step = 0;  // the plan that let it in last
  uint64_t last_step = 0;      // the last plan that had a part of it

  uint64_t cached_tokens = 0;     // found in the cache when it was first admitted
  uint64_t forwarded_tokens = 0;  // rows computed for it, drafts and recomputed ones included
  uint32_t preemptions = 0;

  bool running() const { return state == State::running; }
  /// Tokens still without keys and values; the last of them yields the next token.
  uint64_t pending() const { return tokens.size() - computed; }
};

/// Rows 0 .. num_rows-1 of one page to be copied to another before the step computes.
struct PageCopy {
  PageId from = 0;
  PageId to = 0;
  uint32_t num_rows = 0;
};

/// What one step computes of a sequence: tokens [computed, computed + num_tokens), then num_drafts guessed
/// tokens behind them.
struct StepPart {
  Sequence* sequence = nullptr;
  uint32_t num_tokens = 0;
  uint32_t num_drafts = 0;

  /// The part reaches the sequence's end, so its last rows yield tokens.
  bool wants_logits() const { return num_tokens == sequence->pending(); }
};

}  // namespace tattletale

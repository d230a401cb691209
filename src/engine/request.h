// What a caller asks of the engine and what it hears about it: token ids in, token ids out.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampling/sampling_options.h"

namespace tattletale {

inline constexpr uint32_t kMaxTopLogprobs = 128;

enum class SessionId : uint32_t {};

enum class Finish : uint8_t { running, stop, stop_string, length, cancelled, error, deadline };

/// Where guesses of the next tokens come from; they change how long an answer takes and nothing else.
enum class Speculation : uint8_t { none, prompt_lookup, draft_model };

struct TokenRequest {
  std::vector<uint32_t> prompt;  // not empty
  uint64_t max_new_tokens = 0;   // 0: up to the end of the context
  SamplingOptions sampling;
  std::vector<uint32_t> end_ids;  // tokens that end the answer; they are not reported
  bool wants_logprobs = false;
  uint32_t top_logprobs = 0;  // alternatives reported with each token, at most kMaxTopLogprobs
  Speculation speculation = Speculation::none;
  uint32_t max_drafts = 8;  // tokens guessed at once
  uint64_t timeout_us = 0;  // after its submission the request ends with Finish::deadline; 0: never
};

struct RequestProgress {
  Finish finish = Finish::stop;  // of the last request; `stop` before the first
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;    // of the prompt, found in the cache when the request was let in
  uint64_t computed_tokens = 0;  // of the prompt, cached ones included
  uint64_t generated_tokens = 0;
  uint64_t forwarded_tokens = 0;  // rows the model computed for this request, repeated ones included
  uint64_t drafts = 0;            // tokens guessed
  uint64_t accepted_drafts = 0;   // guesses that were right
  uint32_t preemptions = 0;       // how often it was put back for want of pages
};

}  // namespace tattletale

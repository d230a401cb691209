// What the engine keeps of one session: the scheduler's view of its request, and everything else.
#pragma once

#include <vector>

#include "engine/request.h"
#include "engine/sampling/logprobs.h"
#include "engine/schedule/sequence.h"
#include "engine/speculate/draft_length.h"

namespace tattletale {

struct Session : Sequence {
  TokenRequest request;
  RequestProgress progress;
  std::vector<uint32_t> ready;  // generated, not yet taken
  std::vector<TokenLogprobs> ready_logprobs;
  uint64_t deadline_us = 0;  // 0: none

  // Choices of one prompt: the leader computes it, its followers are not scheduled until it has.
  Session* leader = nullptr;
  std::vector<Session*> followers;

  // Speculation.
  DraftLength draft_length;
  std::vector<uint32_t> drafts;  // guessed for this step
  uint64_t draft_computed = 0;   // leading tokens whose rows the draft model has

  bool answering() const { return progress.finish == Finish::running; }
};

}  // namespace tattletale

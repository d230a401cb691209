// Request traces as small text files, reproducible by seed. One line a request: `prompt [@N] SEED:LENGTH ...
// answer SEED:LENGTH`. Each SEED:LENGTH is a run of tokens computed from its seed, so shared text is a shared
// run; @N stands for prompt and answer of the N-th request (counted from 0), which this one goes on from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace tattletale::bench {

struct TraceRequest {
  std::optional<size_t> after;  // an earlier request, whose prompt and answer stand before `prompt`
  std::vector<uint32_t> prompt;
  std::vector<uint32_t> answer;
};

/// kind: chat (multi-turn conversations), system (one shared system prompt), agents (a tree of tool calls
/// over a shared plan), documents (questions to long documents). Errors: invalid_argument for another kind.
Result<std::string> make_trace(const std::string& kind, uint64_t num_requests, uint64_t seed);
/// Token ids are below 128,000. Errors: io, bad_file with the line.
Result<std::vector<TraceRequest>> read_trace(const std::string& path);

}  // namespace tattletale::bench

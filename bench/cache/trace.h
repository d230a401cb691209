// Request traces as small text files, reproducible by seed. One line a request: `prompt SEED:LENGTH ...
// answer SEED:LENGTH`; each SEED:LENGTH is a run of tokens computed from its seed, so shared text is a shared
// run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace tattletale::bench {

struct TraceRequest {
  std::vector<uint32_t> prompt;
  std::vector<uint32_t> answer;
};

/// kind: chat (multi-turn conversations), system (one shared system prompt), agents (a tree of tool calls
/// over a shared plan), documents (questions to long documents). Errors: invalid_argument for another kind.
Result<std::string> make_trace(const std::string& kind, uint64_t num_requests, uint64_t seed);
/// Errors: io, bad_file with the line.
Result<std::vector<TraceRequest>> read_trace(const std::string& path);

}  // namespace tattletale::bench

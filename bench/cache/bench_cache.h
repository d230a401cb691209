// `tattletale bench-cache`: latencies of the prefix cache beside two rival designs, in one process on one
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace tattletale::bench {

struct BenchCacheOptions {
  uint64_t children = 100'000;  // cached requests that differ in their first token
  uint64_t query_tokens = 16;   // tokens of a request
  uint32_t page_tokens = 16;
  bool cold = false;  // queries at random over all requests, instead of 256 of them in turn
  uint64_t seed = 1;
  uint64_t samples = 200'000;  // timed operations of a kind
  bool rivals = true;
  std::string trace;              // replay this file instead (see trace.h)
  uint64_t trace_pages = 20'000;  // pool of a replay
};

/// Keys: children, query_tokens, page_tokens, cold, seed, and per cache hit_ns, miss_ns, insert_ns, evict_ns,
/// release_ns (p50, p99, p999, max), bytes_per_request; `rivals` has the same for each rival. Nanoseconds;
/// the cost of reading the clock is measured (timer_ns) and taken off. Errors: invalid_argument; bad_file or
/// io for the trace.
Result<Json> run_bench_cache(const BenchCacheOptions& options);

}  // namespace tattletale::bench

// One set of requests, run through the trie and both rivals by the same code, operation by operation.
#include "bench_cache.h"

#include <numeric>
#include <random>

#include "cache/radix_trie.h"
#include "cache/token_compare.h"
#include "latency.h"
#include "rivals.h"
#include "trace.h"

namespace tattletale::bench {
namespace {

using Tokens = std::span<const uint32_t>;

/// The trie in the shape in which all three are driven.
class Trie {
 public:
  struct Held {
    Lease lease;
    std::vector<PageId> pages;
    uint64_t matched_tokens = 0;
  };
  Trie(uint64_t num_pages, uint32_t page_tokens)
      : trie_(std::move(*RadixTrie::create({.pool = {.num_pages = num_pages, .page_tokens = page_tokens}}))) {
  }

  void match(Tokens tokens, Held& held) {
    held.lease = trie_->match(tokens, held.pages, {.recompute_last_token = false});
    held.matched_tokens = held.lease.matched_tokens();
  }
  void release(Held& held) { held.lease.release(); }
  bool insert(Tokens tokens, Held& held) {
    const uint64_t needed = tokens.size() / trie_->page_tokens();
    if (needed - held.pages.size() > trie_->num_free_pages()) return false;
    trie_->allocate_pages(held.lease, needed - held.pages.size(), held.pages);
    trie_->extend(held.lease, tokens, held.pages);
    return true;
  }
  uint64_t evict(uint64_t num_pages) { return trie_->evict(num_pages).num_freed; }
  uint64_t peek(Tokens tokens) const { return trie_->peek(tokens); }
  uint64_t memory_bytes() const { return trie_->memory_bytes_in_use(); }

 private:
  std::unique_ptr<RadixTrie> trie_;
};

/// Requests of equal length; no two share their first token. Tokens come in one block, in random order of
/// first token.
class Requests {
 public:
  Requests(uint64_t num, uint64_t length, uint64_t seed) : length_(length), tokens_(num * length) {
    std::mt19937_64 random(seed);
    std::vector<uint32_t> first(num);
    std::iota(first.begin(), first.end(), 0u);
    std::shuffle(first.begin(), first.end(), random);
    for (uint64_t i = 0; i < num; ++i) {
      for (uint64_t k = 0; k < length; ++k) {
        tokens_[i * length + k] = k == 0 ? first[i] : static_cast<uint32_t>(random() >> 47);
      }
    }
  }
  Tokens operator[](uint64_t i) const { return Tokens(tokens_).subspan(i * length_, length_); }

 private:
  uint64_t length_;
  std::vector<uint32_t> tokens_;
};

template <class Cache>
Json measure(const BenchCacheOptions& options, const Clock& clock, const Requests& requests,
             uint64_t max_evictions) {
  const uint64_t num = options.children;
  const uint64_t num_fresh = num / 4 + 16;  // requests[num ..) are misses, then inserted
  const uint64_t pages_each = options.query_tokens / options.page_tokens;
  Cache cache((num + num_fresh) * pages_each, options.page_tokens);
  typename Cache::Held held;
  Latencies build(clock), hit(clock), release(clock), miss(clock), insert(clock), evict(clock);
  for (uint64_t i = 0; i < num; ++i) {
    build.time([&] {
      cache.match(requests[i], held);
      cache.insert(requests[i], held);
      cache.release(held);
    });
  }
  Json result;
  result["bytes_per_request"] = static_cast<double>(cache.memory_bytes()) / static_cast<double>(num);

  std::mt19937_64 random(options.seed + 7);
  std::vector<uint32_t> order(options.cold ? options.samples : 256);
  for (uint32_t& i : order) i = static_cast<uint32_t>(random() % num);
  uint64_t matched = 0;
  for (uint64_t i = 0; i < options.samples; ++i) {
    const Tokens query = requests[order[i % order.size()]];
    if (options.cold)
      __builtin_prefetch(query.data());  // the request itself is in the cache: it has just arrived
    hit.time([&] { cache.match(query, held); });
    matched += held.matched_tokens;
    release.time([&] { cache.release(held); });
  }
  if (matched != options.samples * options.query_tokens) result["wrong"] = "a hit did not match";
  for (uint32_t& i : order) i = static_cast<uint32_t>(num + random() % num_fresh);
  for (uint64_t i = 0; i < options.samples; ++i) {
    const Tokens query = requests[order[i % order.size()]];
    if (options.cold) __builtin_prefetch(query.data());
    miss.time([&] { cache.match(query, held); });
    cache.release(held);
  }
  for (uint64_t i = 0; i < num_fresh; ++i) {
    cache.match(requests[num + i], held);
    insert.time([&] { cache.insert(requests[num + i], held); });
    cache.release(held);
  }
  for (uint64_t i = 0; i < std::min(num_fresh, max_evictions); ++i) {  // the pool is full now
    evict.time([&] { cache.evict(1); });
  }
  result["hit_ns"] = hit.summary();
  result["miss_ns"] = miss.summary();
  result["insert_ns"] = insert.summary();
  result["evict_ns"] = evict.summary();
  result["release_ns"] = release.summary();
  result["whole_request_ns"] = Latencies(build).summary();
  if constexpr (requires { cache.peek(requests[0]); }) {
    for (int again = 0; again < 2;
         ++again) {  // the same operations: what is slow each time is the cache's doing
      Cache other((num + num_fresh) * pages_each, options.page_tokens);
      Latencies once(clock);
      for (uint64_t i = 0; i < num; ++i) {
        once.time([&] {
          other.match(requests[i], held);
          other.insert(requests[i], held);
          other.release(held);
        });
      }
      build.keep_least(once);
    }
    result["worst_request_ns"] = build.summary();
    Latencies lookup_hit(clock), lookup_miss(clock);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < options.samples; ++i) {
      const Tokens present = requests[order[i % order.size()] % (num / 2) + num / 4];
      lookup_hit.time([&] { sum += cache.peek(present); });
    }
    std::vector<uint32_t> query(options.query_tokens, 0);
    for (uint64_t i = 0; i < options.samples; ++i) {
      query[0] = static_cast<uint32_t>(4 * (num + num_fresh) + i % 256);
      lookup_miss.time([&] { sum += cache.peek(query); });
    }
    result["lookup_hit_ns"] = lookup_hit.summary();
    result["lookup_miss_ns"] = lookup_miss.summary();
    result["lookup_check"] = sum;
  }
  return result;
}

template <class Cache>
Json replay(const BenchCacheOptions& options, const Clock& clock, const std::vector<TraceRequest>& trace) {
  Cache cache(options.trace_pages, options.page_tokens);
  typename Cache::Held held;
  Latencies match(clock), insert(clock), evict(clock), release(clock);
  uint64_t queried = 0, matched = 0, refused = 0;
  std::vector<std::vector<uint32_t>> whole(trace.size());  // prompt and answer, for those that go on from it
  for (size_t i = 0; i < trace.size(); ++i) {
    const TraceRequest& request = trace[i];
    std::vector<uint32_t> all;
    if (request.after) all = whole[*request.after];
    all.insert(all.end(), request.prompt.begin(), request.prompt.end());
    match.time([&] { cache.match(all, held); });
    queried += all.size();
    matched += held.matched_tokens;
    all.insert(all.end(), request.answer.begin(), request.answer.end());
    whole[i] = all;
    all.resize(all.size() - all.size() % options.page_tokens);
    bool done = false;
    insert.time([&] { done = cache.insert(all, held); });
    if (!done) {
      evict.time([&] { cache.evict(all.size() / options.page_tokens); });
      insert.time([&] { done = cache.insert(all, held); });
      refused += !done;
    }
    release.time([&] { cache.release(held); });
  }
  return {{"requests", trace.size()},
          {"hit_share", static_cast<double>(matched) / static_cast<double>(queried)},
          {"refused", refused},
          {"match_ns", match.summary()},
          {"insert_ns", insert.summary()},
          {"evict_ns", evict.summary()},
          {"release_ns", release.summary()}};
}

/// Bytes of one side compared a nanosecond, over runs that lie in the first-level cache.
double compare_gb_per_s(const Clock& clock) {
  std::vector<uint32_t> a(2048, 7), b(2048, 7);
  uint64_t best = UINT64_MAX;
  uint64_t sum = 0;
  for (int i = 0; i < 2000; ++i) {
    const uint64_t start = read_clock();
    for (int k = 0; k < 8; ++k) {
      a[2047] = b[2047] = static_cast<uint32_t>(k);
      sum += common_prefix(a.data(), b.data(), a.size());
    }
    best = std::min(best, read_clock() - start);
  }
  return sum == 0 ? 0 : 8.0 * 2048 * 4 / (static_cast<double>(best) * clock.ns_per_tick);
}

}  // namespace

Result<Json> run_bench_cache(const BenchCacheOptions& options) {
  if (options.query_tokens < options.page_tokens || options.query_tokens % options.page_tokens != 0) {
    return make_error(ErrorKind::invalid_argument, "--query-tokens",
                      "found " + std::to_string(options.query_tokens) +
                          ", expected a multiple of page_tokens (" + std::to_string(options.page_tokens) +
                          ")");
  }
  if (options.children == 0 || options.children > 100'000'000 || options.samples == 0) {
    return make_error(ErrorKind::invalid_argument, "--children", "expected 1 to 100000000");
  }
  const Clock clock = Clock::calibrate();
  Json result = {{"children", options.children},
                 {"query_tokens", options.query_tokens},
                 {"page_tokens", options.page_tokens},
                 {"cold", options.cold},
                 {"seed", options.seed},
                 {"timer_ns", static_cast<double>(clock.overhead_ticks) * clock.ns_per_tick},
                 {"compare_gb_per_s", compare_gb_per_s(clock)}};
  if (!options.trace.empty()) {
    TT_ASSIGN(const std::vector<TraceRequest> trace, read_trace(options.trace));
    result["trace"] = options.trace;
    result.update(replay<Trie>(options, clock, trace));
    if (options.rivals) {
      result["rivals"]["hash_chain"] = replay<HashChainCache>(options, clock, trace);
      result["rivals"]["hash_map_radix"] = replay<HashRadixCache>(options, clock, trace);
    }
    return result;
  }
  const Requests requests(options.children + options.children / 4 + 16, options.query_tokens, options.seed);
  result.update(measure<Trie>(options, clock, requests, UINT64_MAX));
  if (options.rivals) {
    result["rivals"]["hash_chain"] = measure<HashChainCache>(options, clock, requests, UINT64_MAX);
    // Its eviction walks all leaves each time; a thousand say enough.
    result["rivals"]["hash_map_radix"] =
        measure<HashRadixCache>(options, clock, requests, 100'000'000 / (options.children + 100'000) + 20);
  }
  return result;
}

}  // namespace tattletale::bench

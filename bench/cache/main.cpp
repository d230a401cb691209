// The benchmark as a program of its own: bench_cache [--children N] [--query-tokens N] [--cold] [--seed N]
// [--samples N] [--no-rivals] [--trace FILE] [--pages N], or --make-trace KIND --requests N --seed N to print
// a trace.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench_cache.h"
#include "trace.h"

int main(int argc, char** argv) {
  using namespace tattletale::bench;
  BenchCacheOptions options;
  std::string make;
  uint64_t num_requests = 1000;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--cold" || flag == "--no-rivals" || flag == "--json") {
      options.cold |= flag == "--cold";
      options.rivals &= flag != "--no-rivals";
      continue;
    }
    if (i + 1 == argc) {
      std::fprintf(stderr, "%s: expected a value\n", flag.c_str());
      return 2;
    }
    const char* value = argv[++i];
    const uint64_t number = std::strtoull(value, nullptr, 10);
    if (flag == "--children")
      options.children = number;
    else if (flag == "--query-tokens")
      options.query_tokens = number;
    else if (flag == "--page-tokens")
      options.page_tokens = static_cast<uint32_t>(number);
    else if (flag == "--seed")
      options.seed = number;
    else if (flag == "--samples")
      options.samples = number;
    else if (flag == "--pages")
      options.trace_pages = number;
    else if (flag == "--requests")
      num_requests = number;
    else if (flag == "--trace")
      options.trace = value;
    else if (flag == "--make-trace")
      make = value;
    else {
      std::fprintf(stderr, "%s: unknown flag\n", flag.c_str());
      return 2;
    }
  }
  if (!make.empty()) {
    const auto text = make_trace(make, num_requests, options.seed);
    if (!text) return std::fprintf(stderr, "%s\n", text.error().message().c_str()), 1;
    std::fputs(text->c_str(), stdout);
    return 0;
  }
  const auto result = run_bench_cache(options);
  if (!result) return std::fprintf(stderr, "%s\n", result.error().message().c_str()), 1;
  std::puts(result->dump(2).c_str());
}

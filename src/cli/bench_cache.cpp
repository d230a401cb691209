// tattletale bench-cache: latencies of the prefix cache. The measuring itself is bench/cache/.
#include "bench_cache.h"

#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

std::string row_text(const std::string& name, const Json& cache) {
  std::string text = formatted("%-16s", name.c_str());
  for (const char* key : {"hit_ns", "miss_ns", "insert_ns", "match_ns", "evict_ns", "release_ns"}) {
    if (!cache.contains(key)) continue;
    const Json& figures = cache[key];
    text += formatted("  %s %.0f / %.0f / %.0f / %.0f", key, figures.value("p50", 0.0),
                      figures.value("p99", 0.0), figures.value("p999", 0.0), figures.value("max", 0.0));
  }
  if (cache.contains("bytes_per_request"))
    text += formatted("  bytes_per_request %.0f", cache.value("bytes_per_request", 0.0));
  if (cache.contains("hit_share")) text += formatted("  hit share %.3f", cache.value("hit_share", 0.0));
  return text + "\n";
}

std::string figures_text(const Json& json) {
  std::string text = "p50 / p99 / p99.9 / max of each\n" + row_text("trie", json);
  if (json.contains("rivals")) {
    for (const auto& [name, rival] : json["rivals"].items()) text += row_text(name, rival);
  }
  return text;
}

}  // namespace

Outcome<ExitCode> bench_cache_command(const Options& options) {
  bench::BenchCacheOptions wanted;
  wanted.children = options.children;
  wanted.query_tokens = options.query_tokens;
  wanted.page_tokens = static_cast<uint32_t>(options.page_tokens);
  wanted.cold = options.cold;
  wanted.seed = options.seed.value_or(1);
  wanted.samples = options.samples;
  wanted.rivals = !options.no_rivals;
  wanted.trace = options.trace_path;
  wanted.trace_pages = options.trace_pages;
  const Result<tattletale::Json> measured = bench::run_bench_cache(wanted);
  if (!measured) {
    const bool usage = measured.error().kind == ErrorKind::invalid_argument;
    return fail(usage ? ExitCode::kUsage : ExitCode::kBadFile, measured.error().message());
  }
  const Json json = Json::parse(measured->dump());
  CLI_TRY(print(options.json ? json_text(json, 2) + "\n" : figures_text(json)));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

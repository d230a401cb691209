// tattletale bench: prefill and decode speed of a model with prompts of random tokens.
// Each run starts with empty sessions. Prefill ends when every session has its first token; decode is from
// there until every session has all of its tokens.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>

#include "cli/bench_requests.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/read_bandwidth.h"

namespace tattletale::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kPromptSeed = 1;
constexpr uint64_t kWarmUpPromptTokens = 16;
constexpr uint64_t kWarmUpGenerateTokens = 4;
constexpr double kBandwidthSeconds = 0.5;

struct Load {
  uint64_t prompt_tokens;
  uint64_t generate_tokens;
  uint64_t batch;
};

struct RunFigures {
  double ttft_ms = 0;  // until the first session has a token
  double prefill_tok_s = 0;
  double decode_tok_s = 0;
};

/// Random ids from the middle half of the vocabulary: special tokens are at its ends.
std::vector<uint32_t> random_prompt(uint64_t vocab_size, uint64_t count, std::mt19937_64& random) {
  std::vector<uint32_t> ids(count);
  for (uint32_t& id : ids)
    id = static_cast<uint32_t>(vocab_size / 4 + random() % std::max<uint64_t>(vocab_size / 2, 1));
  return ids;
}

Outcome<std::vector<Session>> submit_all(const LoadedModel& model, const Load& load,
                                         std::mt19937_64& random) {
  std::vector<Session> sessions;
  for (uint64_t i = 0; i < load.batch; ++i) {
    CLI_ASSIGN(Session session, create_session(model));
    std::vector<uint32_t> prompt =
        random_prompt(model.info.value("vocab_size", uint64_t{256}), load.prompt_tokens, random);
    tt_request request;
    tt_request_defaults(nullptr, &request);  // greedy: sampling is not what is measured
    request.tokens = prompt.data();
    request.num_tokens = prompt.size();
    request.max_new_tokens = static_cast<uint32_t>(load.generate_tokens);
    request.ignore_end = 1;
    tt_error error{};
    if (tt_status status = tt_submit(session.get(), &request, &error); status != TT_OK)
      return fail(status, error);
    sessions.push_back(std::move(session));
  }
  return sessions;
}

struct BatchProgress {
  uint64_t generated_tokens = 0;
  uint64_t with_first_token = 0;
  uint64_t finished = 0;
};

Outcome<BatchProgress> poll_all(const std::vector<Session>& sessions) {
  BatchProgress batch;
  for (const Session& session : sessions) {
    tt_error error{};
    tt_progress progress{};
    progress.struct_size = sizeof progress;
    if (tt_status status = tt_poll(session.get(), nullptr, &progress, &error); status != TT_OK) {
      return fail(status, error);
    }
    batch.generated_tokens += progress.generated_tokens;
    batch.with_first_token += progress.generated_tokens > 0;
    batch.finished += progress.finish != TT_RUNNING;
  }
  return batch;
}

Outcome<RunFigures> measure_run(const LoadedModel& model, const Load& load, std::mt19937_64& random) {
  RunFigures figures;
  auto seconds = [start = Clock::now()] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  CLI_ASSIGN(std::vector<Session> sessions, submit_all(model, load, random));
  double prefill_end = 0;
  uint64_t tokens_at_prefill_end = 0;
  while (true) {
    tt_error error{};
    int more = 0;
    if (tt_status status = tt_step(model.handle.get(), &more, &error); status != TT_OK)
      return fail(status, error);
    double now = seconds();
    CLI_ASSIGN(BatchProgress batch, poll_all(sessions));
    if (figures.ttft_ms == 0 && batch.with_first_token > 0) figures.ttft_ms = now * 1000;
    if (prefill_end == 0 && batch.with_first_token == load.batch) {
      prefill_end = now;
      tokens_at_prefill_end = batch.generated_tokens;
    }
    if (batch.finished == load.batch) {
      figures.prefill_tok_s = static_cast<double>(load.prompt_tokens * load.batch) / prefill_end;
      if (batch.generated_tokens > tokens_at_prefill_end) {
        figures.decode_tok_s =
            static_cast<double>(batch.generated_tokens - tokens_at_prefill_end) / (now - prefill_end);
      }
      return figures;
    }
    if (more == 0)
      return fail(ExitCode::kInternal, "the engine has no work left but a session has not ended");
  }
}

double median(const std::vector<RunFigures>& runs, double RunFigures::* figure) {
  std::vector<double> values;
  for (const RunFigures& run : runs) values.push_back(run.*figure);
  std::ranges::sort(values);
  size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The most memory this process has had resident, as the kernel counts it.
uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

/// Makes the peak start over, so that each thread count has its own. Linux only; elsewhere the peak grows.
void reset_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

Json figures_json(const LoadedModel& model, const Load& load, const std::vector<RunFigures>& runs) {
  double decode_tok_s = median(runs, &RunFigures::decode_tok_s);
  uint64_t weight_bytes = model.info.value("weight_bytes", uint64_t{0});
  uint64_t decode_weight_bytes = model.info.value("decode_weight_bytes", weight_bytes);
  double steps_per_s = decode_tok_s / static_cast<double>(load.batch);
  Json json = {{"device", model.info.value("device", "")},
               {"isa", model.info.value("isa", "")},
               {"model", model.path},
               {"arch", model.info.value("arch", "")},
               {"format", model.info.value("format", "")},
               {"threads", model.info.value("threads", uint64_t{0})},
               {"prompt_tokens", load.prompt_tokens},
               {"generated_tokens", load.generate_tokens},
               {"batch", load.batch},
               {"prefill_tok_s", median(runs, &RunFigures::prefill_tok_s)},
               {"decode_tok_s", decode_tok_s},
               {"ttft_ms", median(runs, &RunFigures::ttft_ms)},
               {"load_ms", model.load_ms},
               {"weight_bytes", weight_bytes},
               {"decode_weight_bytes", decode_weight_bytes},
               {"decode_bytes_per_s", static_cast<double>(decode_weight_bytes) * steps_per_s},
               {"peak_memory_bytes", peak_memory_bytes()},
               {"version", tt_version()}};
  json["runs"] = Json::array();
  for (const RunFigures& run : runs) {
    json["runs"].push_back(
        {{"prefill_tok_s", run.prefill_tok_s}, {"decode_tok_s", run.decode_tok_s}, {"ttft_ms", run.ttft_ms}});
  }
  return json;
}

std::string figures_text(const Json& json) {
  auto number = [&](const char* key) { return json.value(key, 0.0); };
  std::string text = formatted(
      "%s, %s, %s (%s), %.0f threads\n"
      "  prefill %10.1f tok/s   %.0f x %.0f tokens, first token after %.1f ms\n"
      "  decode  %10.1f tok/s   %.0f x %.0f tokens, %s of weights per second\n"
      "  load %.0f ms, weights %s, peak memory %s\n",
      json.value("model", "").c_str(), json.value("format", "").c_str(), json.value("device", "").c_str(),
      json.value("isa", "").c_str(), number("threads"), number("prefill_tok_s"), number("batch"),
      number("prompt_tokens"), number("ttft_ms"), number("decode_tok_s"), number("batch"),
      number("generated_tokens"), bytes_text(number("decode_bytes_per_s")).c_str(), number("load_ms"),
      bytes_text(number("weight_bytes")).c_str(), bytes_text(number("peak_memory_bytes")).c_str());
  if (json.contains("read_bytes_per_s")) {
    text += formatted("  read bandwidth %s per second, of which decode uses %.0f %%\n",
                      bytes_text(number("read_bytes_per_s")).c_str(),
                      100 * number("decode_bytes_per_s") / number("read_bytes_per_s"));
  }
  return text;
}

/// One model load, `repeat` runs, one result.
Outcome<Json> bench_threads(const std::string& path, const Options& options, uint64_t threads) {
  Load load{options.prompt_tokens, options.generate_tokens, options.batch};
  tt_model_options model_settings = model_options(options);
  constexpr uint64_t kLargestPageTokens = 256;  // each session may leave its last page partly empty
  model_settings.num_threads = static_cast<uint32_t>(threads);
  if (!options.context_tokens) {
    uint64_t used_tokens = std::max(load.prompt_tokens, kWarmUpPromptTokens) +
                           std::max(load.generate_tokens, kWarmUpGenerateTokens);
    model_settings.context_tokens = used_tokens;
  }
  uint64_t pages = (model_settings.context_tokens + kLargestPageTokens - 1) / kLargestPageTokens;
  model_settings.kv_tokens = load.batch * pages * kLargestPageTokens;
  reset_peak_memory();
  CLI_ASSIGN(LoadedModel model, load_model(path, model_settings));
  std::mt19937_64 random(kPromptSeed);
  CLI_TRY(measure_run(model, Load{kWarmUpPromptTokens, kWarmUpGenerateTokens, load.batch}, random));
  std::vector<RunFigures> runs;
  for (uint64_t i = 0; i < options.repeat; ++i) {
    CLI_ASSIGN(RunFigures run, measure_run(model, load, random));
    runs.push_back(run);
  }
  Json json = figures_json(model, load, runs);
  if (options.bandwidth) {
    json["read_bytes_per_s"] = measure_read_bandwidth(
        json["threads"].get<uint32_t>(), json["decode_weight_bytes"].get<uint64_t>(), kBandwidthSeconds);
  }
  return json;
}

}  // namespace

Outcome<ExitCode> bench_command(const Options& options) {
  if (!options.trace_kind.empty()) return print_trace(options);
  if (!options.requests_path.empty()) return bench_requests(options);
  if (!options.speculate.empty() || !options.draft_model.empty()) {
    return fail(ExitCode::kUsage, "--speculate: random prompts tell nothing about guesses; give --requests");
  }
  CLI_ASSIGN(std::string path, model_path(options));
  std::vector<uint64_t> thread_counts = options.threads;
  if (thread_counts.empty()) thread_counts.push_back(0);
  for (uint64_t threads : thread_counts) {
    CLI_ASSIGN(Json json, bench_threads(path, options, threads));
    CLI_TRY(print(options.json ? json_text(json, -1) + "\n" : figures_text(json)));
  }
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

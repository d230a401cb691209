// tattletale bench --requests: serves a trace, so many requests at once, and measures throughput, the time to
// the first token and between tokens, and how much of the prompts the cache had. A request that goes on from
// an earlier one waits for it and gets the answer that was generated in its prompt, as a conversation does.
#include "cli/bench_requests.h"

#include <algorithm>
#include <chrono>

#include "cli/model.h"
#include "cli/output.h"
#include "trace.h"

namespace tattletale::cli {
namespace {

using Clock = std::chrono::steady_clock;
using bench::TraceRequest;

/// What became of one request.
struct Outcomes {
  std::vector<double> ttft_ms, cached_ttft_ms, uncached_ttft_ms, between_ms;
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, forwarded_tokens = 0, preemptions = 0;
  uint64_t draft_tokens = 0, accepted_draft_tokens = 0;
  double seconds = 0;
};

struct Running {
  Session session;
  size_t index = 0;
  Clock::time_point submitted, last_token;
  bool has_token = false;
};

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Serves a trace on a loaded model.
class TraceRun {
 public:
  TraceRun(const LoadedModel& model, const std::vector<TraceRequest>& trace, const Options& options)
      : model_(model),
        trace_(trace),
        options_(options),
        concurrency_(options.concurrency),
        vocab_(model.info.value("vocab_size", uint64_t{256})),
        whole_(trace.size()),
        done_(trace.size()),
        started_(trace.size()) {}

  Outcome<Outcomes> serve() {
    const Clock::time_point start = Clock::now();
    while (num_done_ < trace_.size()) {
      CLI_TRY(start_ready());
      tt_error error{};
      if (tt_status status = tt_step(model_.handle.get(), nullptr, &error); status != TT_OK)
        return fail(status, error);
      CLI_TRY(poll_all(Clock::now()));
    }
    outcomes_.seconds = ms_between(start, Clock::now()) / 1000;
    return std::move(outcomes_);
  }

 private:
  /// Special tokens are at the ends of a vocabulary: ids of the trace are folded into its middle half.
  uint32_t fold(uint32_t id) const {
    return static_cast<uint32_t>(vocab_ / 4 + id % std::max<uint64_t>(vocab_ / 2, 1));
  }

  Outcome<void> start_ready() {
    for (size_t i = first_waiting_; i < trace_.size() && running_.size() < concurrency_; ++i) {
      if (started_[i] || (trace_[i].after && !done_[*trace_[i].after])) continue;
      CLI_TRY(submit(i));
    }
    while (first_waiting_ < trace_.size() && started_[first_waiting_]) ++first_waiting_;
    return {};
  }

  Outcome<void> submit(size_t index) {
    const TraceRequest& from = trace_[index];
    std::vector<uint32_t>& prompt = whole_[index];
    if (from.after) prompt = whole_[*from.after];
    for (const uint32_t id : from.prompt) prompt.push_back(fold(id));
    CLI_ASSIGN(Session session, create_session(model_));
    tt_request request;
    tt_request_defaults(nullptr, &request);
    request.tokens = prompt.data();
    request.num_tokens = prompt.size();
    request.max_new_tokens = static_cast<uint32_t>(std::max<size_t>(from.answer.size(), 1));
    request.ignore_end = 1;
    CLI_ASSIGN(request.speculation, speculation(options_));
    request.max_draft_tokens = static_cast<uint32_t>(options_.max_drafts.value_or(0));
    tt_error error{};
    const Clock::time_point now = Clock::now();
    if (tt_status status = tt_submit(session.get(), &request, &error); status != TT_OK)
      return fail(status, error);
    running_.push_back({std::move(session), index, now, now, false});
    started_[index] = true;
    return {};
  }

  Outcome<void> poll_all(Clock::time_point now) {
    for (size_t i = 0; i < running_.size();) {
      CLI_ASSIGN(const bool ended, poll(running_[i], now));
      if (ended) {
        running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
    return {};
  }

  Outcome<bool> poll(Running& request, Clock::time_point now) {
    tt_error error{};
    tt_tokens tokens{};
    tt_progress progress{};
    progress.struct_size = sizeof progress;
    const tt_status status = tt_poll_tokens(request.session.get(), &tokens, &progress, &error);
    std::vector<uint32_t>& whole = whole_[request.index];
    whole.insert(whole.end(), tokens.data, tokens.data + tokens.length);
    const size_t num_new = tokens.length;
    tt_tokens_free(&tokens);
    if (status != TT_OK) return fail(status, error);
    if (num_new > 0) {
      count_tokens(request, num_new, progress, now);
      request.last_token = now;
      request.has_token = true;
    }
    if (progress.finish == TT_RUNNING) return false;
    outcomes_.prompt_tokens += progress.prompt_tokens;
    outcomes_.cached_tokens += progress.cached_tokens;
    outcomes_.generated_tokens += progress.generated_tokens;
    outcomes_.forwarded_tokens += progress.forwarded_tokens;
    outcomes_.preemptions += progress.preemptions;
    outcomes_.draft_tokens += progress.draft_tokens;
    outcomes_.accepted_draft_tokens += progress.accepted_draft_tokens;
    done_[request.index] = true;
    ++num_done_;
    return true;
  }

  void count_tokens(const Running& request, size_t num_new, const tt_progress& progress,
                    Clock::time_point now) {
    const double ms = ms_between(request.last_token, now);
    if (request.has_token) {
      outcomes_.between_ms.insert(outcomes_.between_ms.end(), num_new, ms / static_cast<double>(num_new));
      return;
    }
    outcomes_.ttft_ms.push_back(ms);
    const bool cached = 2 * progress.cached_tokens >= progress.prompt_tokens;
    (cached ? outcomes_.cached_ttft_ms : outcomes_.uncached_ttft_ms).push_back(ms);
  }

  const LoadedModel& model_;
  const std::vector<TraceRequest>& trace_;
  const Options& options_;
  uint64_t concurrency_;
  uint64_t vocab_;
  std::vector<std::vector<uint32_t>> whole_;  // prompt and generated answer of each request
  std::vector<bool> done_, started_;
  std::vector<Running> running_;
  size_t first_waiting_ = 0, num_done_ = 0;
  Outcomes outcomes_;
};

Json percentiles(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double share) {
    return values.empty() ? 0.0 : values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"samples", values.size()}};
}

Json figures_json(const LoadedModel& model, const Options& options, const Outcomes& outcomes,
                  size_t requests) {
  const auto per_second = [&](uint64_t count) { return static_cast<double>(count) / outcomes.seconds; };
  return {{"device", model.info.value("device", "")},
          {"isa", model.info.value("isa", "")},
          {"model", model.path},
          {"threads", model.info.value("threads", uint64_t{0})},
          {"trace", options.requests_path},
          {"requests", requests},
          {"concurrency", options.concurrency},
          {"seconds", outcomes.seconds},
          {"requests_per_s", per_second(requests)},
          {"generated_tok_s", per_second(outcomes.generated_tokens)},
          {"total_tok_s", per_second(outcomes.generated_tokens + outcomes.prompt_tokens)},
          {"ttft_ms", percentiles(outcomes.ttft_ms)},
          {"ttft_cached_ms", percentiles(outcomes.cached_ttft_ms)},
          {"ttft_uncached_ms", percentiles(outcomes.uncached_ttft_ms)},
          {"between_tokens_ms", percentiles(outcomes.between_ms)},
          {"prompt_tokens", outcomes.prompt_tokens},
          {"cached_tokens", outcomes.cached_tokens},
          {"cache_hit_share", static_cast<double>(outcomes.cached_tokens) /
                                  static_cast<double>(std::max<uint64_t>(outcomes.prompt_tokens, 1))},
          {"generated_tokens", outcomes.generated_tokens},
          {"forwarded_tokens", outcomes.forwarded_tokens},
          {"preemptions", outcomes.preemptions},
          {"draft_tokens", outcomes.draft_tokens},
          {"accepted_draft_tokens", outcomes.accepted_draft_tokens},
          {"version", tt_version()}};
}

std::string figures_text(const Json& json) {
  const auto pair = [&](const char* key) {
    return formatted("%.1f / %.1f ms (%.0f)", json[key].value("p50", 0.0), json[key].value("p99", 0.0),
                     json[key].value("samples", 0.0));
  };
  return formatted(
      "%s, %.0f threads, %.0f requests, %.0f at once: %.2f s\n"
      "  generated      %10.1f tok/s, with prompts %.1f tok/s\n"
      "  cache hits     %10.1f %% of the prompts' tokens, %.0f preemptions\n"
      "  first token    %s p50 / p99 (samples); half cached or more %s; less %s\n"
      "  between tokens %s\n",
      json.value("model", "").c_str(), json.value("threads", 0.0), json.value("requests", 0.0),
      json.value("concurrency", 0.0), json.value("seconds", 0.0), json.value("generated_tok_s", 0.0),
      json.value("total_tok_s", 0.0), 100 * json.value("cache_hit_share", 0.0),
      json.value("preemptions", 0.0), pair("ttft_ms").c_str(), pair("ttft_cached_ms").c_str(),
      pair("ttft_uncached_ms").c_str(), pair("between_tokens_ms").c_str());
}

/// The longest prompt and answer of the trace.
uint64_t longest_request(const std::vector<TraceRequest>& trace) {
  std::vector<uint64_t> length(trace.size());
  uint64_t longest = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    length[i] = trace[i].prompt.size() + std::max<size_t>(trace[i].answer.size(), 1);
    if (trace[i].after) length[i] += length[*trace[i].after];
    longest = std::max(longest, length[i]);
  }
  return longest;
}

}  // namespace

Outcome<ExitCode> bench_requests(const Options& options) {
  CLI_ASSIGN(std::string path, model_path(options));
  const Result<std::vector<TraceRequest>> trace = bench::read_trace(options.requests_path);
  if (!trace) {
    return fail(trace.error().kind == ErrorKind::io ? ExitCode::kNotFound : ExitCode::kBadFile,
                trace.error().message());
  }
  tt_model_options settings = model_options(options);
  constexpr uint64_t kLargestPageTokens = 256;
  if (!options.context_tokens) settings.context_tokens = longest_request(*trace);
  settings.kv_tokens =
      options.kv_tokens.value_or(options.concurrency * (settings.context_tokens + kLargestPageTokens));
  settings.step_tokens = static_cast<uint32_t>(options.step_tokens.value_or(0));
  CLI_ASSIGN(LoadedModel model, load_model(path, settings));
  CLI_ASSIGN(const Outcomes outcomes, TraceRun(model, *trace, options).serve());
  const Json json = figures_json(model, options, outcomes, trace->size());
  CLI_TRY(print(options.json ? json_text(json, -1) + "\n" : figures_text(json)));
  return ExitCode::kOk;
}

Outcome<ExitCode> print_trace(const Options& options) {
  const Result<std::string> trace =
      bench::make_trace(options.trace_kind, options.num_requests, options.seed.value_or(1));
  if (!trace) return fail(ExitCode::kUsage, "--make-trace: " + trace.error().message());
  CLI_TRY(print(*trace));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

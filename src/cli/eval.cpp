// tattletale eval: perplexity of a model over a text, exp(-mean log P(token | tokens before it)).
// Which tokens are scored is in docs/cli.md. Without --stride the windows are those of llama.cpp's
// `perplexity` tool, so that figures compare: side by side, the first token replaced by BOS, the second half
// scored.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

constexpr uint64_t kDefaultWindowTokens = 512;
constexpr size_t kMaxTextBytes = size_t{1} << 30;

/// A piece of the text computed at once. Scored are the tokens [score_begin, end) of the text.
struct Window {
  size_t begin;
  size_t end;
  size_t score_begin;
};

/// Log probabilities summed up.
class Score {
 public:
  void add(double logprob) {
    ++count_;
    sum_ -= logprob;
    sum_squares_ += logprob * logprob;
  }
  uint64_t count() const { return count_; }
  double mean_nll() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  double perplexity() const { return std::exp(mean_nll()); }
  /// Standard error of the mean, taking tokens as independent.
  double nll_error() const {
    if (count_ < 2) return 0;
    double variance = sum_squares_ / static_cast<double>(count_) - mean_nll() * mean_nll();
    return std::sqrt(std::max(variance, 0.0) / static_cast<double>(count_ - 1));
  }

 private:
  uint64_t count_ = 0;
  double sum_ = 0;
  double sum_squares_ = 0;
};

/// Windows side by side; a last, shorter one is left out.
std::vector<Window> disjoint_windows(size_t num_tokens, size_t window_tokens) {
  std::vector<Window> windows;
  for (size_t begin = 0; begin + window_tokens <= num_tokens; begin += window_tokens) {
    windows.push_back({begin, begin + window_tokens, begin + window_tokens / 2 + 1});
  }
  return windows;
}

/// Windows every `stride` tokens; each scores what no window before it has scored.
std::vector<Window> sliding_windows(size_t num_tokens, size_t window_tokens, size_t stride) {
  std::vector<Window> windows;
  size_t scored = 1;  // nothing stands before the first token
  for (size_t begin = 0; scored < num_tokens; begin += stride) {
    size_t end = std::min(begin + window_tokens, num_tokens);
    windows.push_back({begin, end, scored});
    scored = end;
  }
  return windows;
}

/// The token that the model wants in front of every text, if any.
Outcome<std::vector<uint32_t>> first_special(tt_model* model) {
  CLI_ASSIGN(std::vector<uint32_t> with, tokenize(model, "a", TT_TOKENIZE_ADD_SPECIAL));
  CLI_ASSIGN(std::vector<uint32_t> without, tokenize(model, "a", 0));
  bool has = with.size() > without.size() && with[0] != without[0];
  return has ? std::vector<uint32_t>{with[0]} : std::vector<uint32_t>{};
}

class ProgressBar {
 public:
  explicit ProgressBar(size_t total) : total_(total), shown_(is_status_terminal()) {}
  void update(size_t done, double perplexity) const {
    if (!shown_) return;
    constexpr size_t kWidth = 30;
    double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    size_t filled = kWidth * done / total_;
    double left = seconds / static_cast<double>(done) * static_cast<double>(total_ - done);
    print_status(formatted("\r[%s%s] %zu/%zu windows, perplexity %.4f, %.0f s left \x1b[K",
                           std::string(filled, '=').c_str(), std::string(kWidth - filled, ' ').c_str(), done,
                           total_, perplexity, left));
  }
  void clear() const {
    if (shown_) print_status("\r\x1b[K");
  }

 private:
  using Clock = std::chrono::steady_clock;
  size_t total_;
  bool shown_;
  Clock::time_point start_ = Clock::now();
};

Outcome<void> score_window(tt_session* session, const std::vector<uint32_t>& tokens, const Window& window,
                           const std::vector<uint32_t>& bos, Score& score) {
  std::vector<uint32_t> ids(tokens.begin() + static_cast<ptrdiff_t>(window.begin),
                            tokens.begin() + static_cast<ptrdiff_t>(window.end));
  if (!bos.empty()) ids[0] = bos[0];
  std::vector<float> logprobs(ids.size() - 1);
  tt_error error{};
  tt_status status = tt_score(session, ids.data(), ids.size(), logprobs.data(), &error);
  if (status != TT_OK) return fail(status, error);
  for (size_t i = window.score_begin; i < window.end; ++i) score.add(logprobs[i - window.begin - 1]);
  return {};
}

Outcome<std::vector<Window>> plan_windows(const Options& options, size_t num_tokens, size_t window_tokens) {
  if (options.stride && *options.stride >= window_tokens) {
    return fail(ExitCode::kUsage,
                formatted("--stride: %zu leaves gaps between windows of %zu tokens",
                          static_cast<size_t>(*options.stride), window_tokens),
                "a stride below --context");
  }
  std::vector<Window> windows = options.stride ? sliding_windows(num_tokens, window_tokens, *options.stride)
                                               : disjoint_windows(num_tokens, window_tokens);
  if (windows.empty()) {
    return fail(ExitCode::kUsage,
                formatted("%s: the text has %zu tokens and one window needs %zu", options.text_path.c_str(),
                          num_tokens, options.stride ? size_t{2} : window_tokens),
                "a longer text, a smaller --context, or --stride");
  }
  return windows;
}

Outcome<void> print_result(const Options& options, const LoadedModel& model, const Json& json) {
  if (options.json) return print(json_text(json, -1) + "\n");
  return print(formatted(
      "perplexity %.4f +/- %.4f, nll %.5f, %llu tokens scored in %zu windows of %zu, %.1f tok/s (%s)\n",
      json["perplexity"].get<double>(), json["perplexity_error"].get<double>(), json["nll"].get<double>(),
      json["tokens"].get<unsigned long long>(), json["windows"].get<size_t>(), json["context"].get<size_t>(),
      json["tok_s"].get<double>(), printable(model.path, true).c_str()));
}

}  // namespace

Outcome<ExitCode> eval_command(const Options& options) {
  if (options.text_path.empty())
    return fail(ExitCode::kUsage, "--text: it is missing", "tattletale eval --text FILE");
  const size_t window_tokens = options.context_tokens.value_or(kDefaultWindowTokens);
  CLI_ASSIGN(std::string path, model_path(options));
  CLI_ASSIGN(std::string text, read_text_file(options.text_path, kMaxTextBytes));
  tt_model_options settings = model_options(options);
  settings.context_tokens = window_tokens;
  CLI_ASSIGN(LoadedModel model, load_model(path, settings));
  CLI_ASSIGN(std::vector<uint32_t> bos, first_special(model.handle.get()));
  CLI_ASSIGN(std::vector<uint32_t> tokens, tokenize(model.handle.get(), text, TT_TOKENIZE_ADD_SPECIAL));
  if (options.max_tokens && tokens.size() > *options.max_tokens) tokens.resize(*options.max_tokens);
  CLI_ASSIGN(std::vector<Window> windows, plan_windows(options, tokens.size(), window_tokens));
  CLI_ASSIGN(Session session, create_session(model));

  Score score;
  uint64_t computed_tokens = 0;
  ProgressBar progress(windows.size());
  auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < windows.size(); ++i) {
    CLI_TRY(score_window(session.get(), tokens, windows[i], bos, score));
    computed_tokens += windows[i].end - windows[i].begin;
    progress.update(i + 1, score.perplexity());
  }
  progress.clear();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Json json = {{"model", model.path},
               {"text", options.text_path},
               {"nll", score.mean_nll()},
               {"nll_error", score.nll_error()},
               {"perplexity", score.perplexity()},
               {"perplexity_error", score.nll_error() * score.perplexity()},
               {"tokens", score.count()},
               {"text_tokens", tokens.size()},
               {"computed_tokens", computed_tokens},
               {"windows", windows.size()},
               {"context", window_tokens},
               {"stride", options.stride ? Json(*options.stride) : Json()},
               {"seconds", seconds},
               {"tok_s", static_cast<double>(computed_tokens) / seconds}};
  CLI_TRY(print_result(options, model, json));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

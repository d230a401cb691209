#include "cli/answer.h"

#include <cctype>
#include <chrono>
#include <cstdlib>

#include "cli/output.h"

namespace tattletale::cli {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Takes what is ready from the session into the answer and the sink.
Outcome<void> take_ready(tt_session* session, Answer& answer, const AnswerSink& sink) {
  tt_error error{};
  tt_tokens tokens{};
  tt_string text{};
  answer.progress.struct_size = sizeof answer.progress;
  tt_status token_status = tt_poll_tokens(session, &tokens, nullptr, &error);
  tt_status status = token_status;
  if (status == TT_OK) status = tt_poll(session, &text, &answer.progress, &error);
  std::vector<uint32_t> new_tokens(tokens.data, tokens.data + tokens.length);
  std::string new_text(text.data != nullptr ? text.data : "", text.length);
  tt_tokens_free(&tokens);
  tt_string_free(&text);
  if (status != TT_OK) return fail(status, error);
  answer.tokens.insert(answer.tokens.end(), new_tokens.begin(), new_tokens.end());
  answer.text += new_text;
  if (new_text.empty() && new_tokens.empty()) return {};
  return sink(new_text, new_tokens);
}

}  // namespace

double Answer::prefill_tok_s() const {
  double computed = static_cast<double>(progress.prompt_tokens - progress.cached_tokens);
  return first_token_ms > 0 ? computed / first_token_ms * 1000 : 0;
}

double Answer::decode_tok_s() const {
  double ms = total_ms - first_token_ms;
  return progress.generated_tokens > 1 && ms > 0
             ? static_cast<double>(progress.generated_tokens - 1) / ms * 1000
             : 0;
}

std::vector<const char*> stop_strings(const Options& options) {
  std::vector<const char*> strings;
  for (const std::string& stop : options.stop) strings.push_back(stop.c_str());
  return strings;
}

Outcome<std::vector<tt_token_bias>> logit_biases(const Options& options) {
  std::vector<tt_token_bias> biases;
  for (const std::string& text : options.logit_bias) {
    tt_token_bias entry{};
    char* end = nullptr;
    entry.token = static_cast<uint32_t>(std::strtoul(text.c_str(), &end, 10));
    bool good = end != text.c_str() && *end == ':' && std::isdigit(static_cast<unsigned char>(text[0]));
    if (good) {
      const char* number = end + 1;
      entry.bias = std::strtof(number, &end);
      good = end != number && *end == '\0';
    }
    if (!good)
      return fail(ExitCode::kUsage, "--logit-bias: '" + text + "' is not ID:BIAS", "--logit-bias 42:-5");
    biases.push_back(entry);
  }
  return biases;
}

Outcome<tt_request> make_request(const LoadedModel& model, const Options& options,
                                 const std::vector<const char*>& stops,
                                 const std::vector<tt_token_bias>& biases) {
  tt_request request;
  tt_request_defaults(model.handle.get(), &request);
  const auto set_float = [](float& field, const std::optional<double>& given) {
    if (given) field = static_cast<float>(*given);
  };
  const auto set_whole = [](uint32_t& field, const std::optional<uint64_t>& given) {
    if (given) field = static_cast<uint32_t>(*given);
  };
  set_whole(request.max_new_tokens, options.max_tokens);
  set_float(request.temperature, options.temperature);
  set_whole(request.top_k, options.top_k);
  set_float(request.top_p, options.top_p);
  set_float(request.min_p, options.min_p);
  set_float(request.repetition_penalty, options.repetition_penalty);
  set_whole(request.repetition_window, options.repetition_window);
  set_float(request.typical_p, options.typical_p);
  set_float(request.presence_penalty, options.presence_penalty);
  set_float(request.frequency_penalty, options.frequency_penalty);
  set_float(request.dry_multiplier, options.dry_multiplier);
  set_float(request.dry_base, options.dry_base);
  set_whole(request.dry_allowed_length, options.dry_allowed_length);
  set_whole(request.max_draft_tokens, options.max_drafts);
  CLI_ASSIGN(request.speculation, speculation(options));
  if (options.seed) request.seed = *options.seed;
  request.stop = stops.data();
  request.num_stop = stops.size();
  request.logit_bias = biases.data();
  request.num_logit_bias = biases.size();
  return request;
}

Outcome<Json> chat_message(const char* role, const std::string& text, const std::string& where) {
  try {
    (void)Json(text).dump();  // strict: refuses what is not UTF-8, naming the byte
  } catch (const Json::exception& exception) {
    std::string reason = exception.what();
    reason = reason.substr(std::min(reason.find("invalid"), reason.size()));
    return fail(ExitCode::kUsage, where + ": the text is not UTF-8: " + reason,
                "the text in UTF-8 (iconv -f latin1 -t utf-8)");
  }
  return Json{{"role", role}, {"content", text}};
}

Outcome<Answer> stream_answer(const LoadedModel& model, tt_session* session, const tt_request& request,
                              InterruptGuard& interrupt, const AnswerSink& sink) {
  Answer answer;
  tt_error error{};
  auto start = Clock::now();
  if (tt_status status = tt_submit(session, &request, &error); status != TT_OK)
    return fail(status, error, model.path);
  while (true) {
    if (interrupt.take()) tt_cancel(session);
    int more = 0;
    if (tt_status status = tt_step(model.handle.get(), &more, &error); status != TT_OK)
      return fail(status, error);
    bool had_token = answer.progress.generated_tokens > 0;
    if (Outcome<void> taken = take_ready(session, answer, sink); !taken) {
      tt_cancel(session);
      return std::unexpected(std::move(taken.error()));
    }
    answer.total_ms = ms_since(start);
    if (!had_token && answer.progress.generated_tokens > 0) answer.first_token_ms = answer.total_ms;
    if (answer.progress.finish != TT_RUNNING) return answer;
    if (more == 0)
      return fail(ExitCode::kInternal, "the engine has no work left but the answer has not ended");
  }
}

const char* finish_name(tt_finish finish) {
  switch (finish) {
    case TT_RUNNING: return "running";
    case TT_FINISH_STOP: return "stop";
    case TT_FINISH_STOP_STRING: return "stop_string";
    case TT_FINISH_LENGTH: return "length";
    case TT_FINISH_CANCELLED: return "cancelled";
    case TT_FINISH_ERROR: return "error";
    case TT_FINISH_DEADLINE: return "deadline";
  }
  return "unknown";
}

std::string statistics_text(const LoadedModel& model, const Answer& answer) {
  return formatted(
      "[load %.0f ms | prompt %llu tokens, %llu of them cached, %.1f tok/s | first token %.0f ms | answer "
      "%llu tokens, "
      "%.1f tok/s | %s]\n",
      model.load_ms, static_cast<unsigned long long>(answer.progress.prompt_tokens),
      static_cast<unsigned long long>(answer.progress.cached_tokens), answer.prefill_tok_s(),
      answer.first_token_ms, static_cast<unsigned long long>(answer.progress.generated_tokens),
      answer.decode_tok_s(), finish_name(answer.progress.finish));
}

}  // namespace tattletale::cli

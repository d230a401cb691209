// tattletale run: one prompt, one answer.
#include "cli/answer.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

constexpr size_t kMaxPromptBytes = size_t{256} << 20;

Outcome<std::string> read_prompt(const Options& options) {
  const std::vector<std::string>& words = options.words;
  if (words.empty()) {
    return fail(ExitCode::kUsage, "no prompt given",
                "tattletale run \"Why is the sky blue?\", or - for standard input");
  }
  if (words.size() == 1 && words[0] == "-") {
    CLI_ASSIGN(std::string text, read_standard_input(kMaxPromptBytes));
    if (text.ends_with('\n')) text.pop_back();  // `echo hello | tattletale run -` means "hello"
    return text;
  }
  std::string prompt = words[0];
  for (size_t i = 1; i < words.size(); ++i) prompt += " " + words[i];
  return prompt;
}

/// What a request points to: token ids of a raw prompt, or the messages of a chat.
struct Prompt {
  std::vector<uint32_t> tokens;
  std::string messages;
};

Outcome<Prompt> make_prompt(const LoadedModel& model, const Options& options, const std::string& text) {
  Prompt prompt;
  if (options.raw || !model.has_chat_template()) {
    if (!options.system_text.empty()) {
      return fail(ExitCode::kUsage, options.raw ? "--system: it needs the chat template that --raw leaves out"
                                                : "--system: this model has no chat template");
    }
    // As tokens, since a request's text ends at its first NUL byte.
    CLI_ASSIGN(prompt.tokens,
               tokenize(model.handle.get(), text, TT_TOKENIZE_ADD_SPECIAL | TT_TOKENIZE_PARSE_SPECIAL));
    if (prompt.tokens.empty()) return fail(ExitCode::kUsage, "the prompt is empty");
    return prompt;
  }
  Json messages = Json::array();
  if (!options.system_text.empty()) {
    CLI_ASSIGN(Json message, chat_message("system", options.system_text, "--system"));
    messages.push_back(std::move(message));
  }
  CLI_ASSIGN(Json message, chat_message("user", text, "prompt"));
  messages.push_back(std::move(message));
  prompt.messages = messages.dump();
  return prompt;
}

Json answer_json(const LoadedModel& model, const Options& options, const Answer& answer) {
  Json json = {{"text", answer.text},
               {"finish", finish_name(answer.progress.finish)},
               {"prompt_tokens", answer.progress.prompt_tokens},
               {"cached_tokens", answer.progress.cached_tokens},
               {"generated_tokens", answer.progress.generated_tokens},
               {"draft_tokens", answer.progress.draft_tokens},
               {"accepted_draft_tokens", answer.progress.accepted_draft_tokens},
               {"load_ms", model.load_ms},
               {"ttft_ms", answer.first_token_ms},
               {"total_ms", answer.total_ms},
               {"prefill_tok_s", answer.prefill_tok_s()},
               {"decode_tok_s", answer.decode_tok_s()},
               {"model", model.path}};
  if (options.token_ids) json["tokens"] = answer.tokens;
  return json;
}

/// Ends the streamed answer with a newline, or prints the JSON object, and the statistics.
Outcome<void> print_end(const LoadedModel& model, const Options& options, const Answer& answer) {
  if (options.json) {
    CLI_TRY(print(json_text(answer_json(model, options, answer), -1) + "\n"));
  } else if (options.token_ids || !answer.text.ends_with('\n')) {
    CLI_TRY(print("\n"));
  }
  if (options.statistics || (is_status_terminal() && !options.json))
    print_status(statistics_text(model, answer));
  return {};
}

}  // namespace

Outcome<ExitCode> run_command(const Options& options) {
  CLI_ASSIGN(std::string path, model_path(options));
  CLI_ASSIGN(std::string text, read_prompt(options));
  CLI_ASSIGN(LoadedModel model, load_model(path, model_options(options)));
  CLI_ASSIGN(Prompt prompt, make_prompt(model, options, text));
  CLI_ASSIGN(Session session, create_session(model));

  std::vector<const char*> stops = stop_strings(options);
  CLI_ASSIGN(std::vector<tt_token_bias> biases, logit_biases(options));
  CLI_ASSIGN(tt_request request, make_request(model, options, stops, biases));
  if (prompt.messages.empty()) {
    request.tokens = prompt.tokens.data();
    request.num_tokens = prompt.tokens.size();
  } else {
    request.messages_json = prompt.messages.c_str();
  }
  InterruptGuard interrupt;
  auto sink = [&](std::string_view piece, std::span<const uint32_t> tokens) -> Outcome<void> {
    if (options.json) return {};
    return options.token_ids ? print(ids_text(tokens)) : print_untrusted(piece);
  };
  CLI_ASSIGN(Answer answer, stream_answer(model, session.get(), request, interrupt, sink));
  CLI_TRY(print_end(model, options, answer));
  return answer.progress.finish == TT_FINISH_CANCELLED ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace tattletale::cli

// tattletale chat: a conversation line by line. The whole history is rendered again for each turn; the
// session finds the part that it has already computed.
#include "cli/answer.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

constexpr const char* kChatHelp =
    "/reset         forget the conversation\n"
    "/system TEXT   start over with TEXT as the system message; without TEXT, with none\n"
    "/help          print this text\n"
    "/exit          leave\n"
    "A backslash at the end of a line continues the message. A message that begins with / is written with "
    "//.\n";

enum class Turn { kContinue, kLeave };

class Chat {
 public:
  Chat(LoadedModel model, Session session, const Options& options)
      : model_(std::move(model)),
        session_(std::move(session)),
        options_(options),
        interactive_(is_input_terminal()) {}

  Outcome<ExitCode> talk();
  Outcome<void> reset(const std::string& system_text);

 private:
  LineEnd read_message(std::string& message);
  Outcome<Turn> obey(const std::string& line);
  Outcome<Turn> handle(const std::string& message);
  Outcome<void> answer(const std::string& message);
  void note(std::string_view text) const {
    if (interactive_) print_status(text);
  }

  LoadedModel model_;
  Session session_;
  const Options& options_;
  bool interactive_;
  InterruptGuard interrupt_;
  LineReader reader_;
  std::string system_text_;
  Json messages_ = Json::array();
};

Outcome<void> Chat::reset(const std::string& system_text) {
  Json messages = Json::array();
  if (!system_text.empty()) {
    CLI_ASSIGN(Json message, chat_message("system", system_text, "system message"));
    messages.push_back(std::move(message));
  }
  system_text_ = system_text;
  messages_ = std::move(messages);
  return {};
}

/// Reads lines until one does not end in a backslash.
LineEnd Chat::read_message(std::string& message) {
  message.clear();
  note("> ");
  while (true) {
    std::string line;
    LineEnd end = reader_.read(interrupt_, line);
    if (end == LineEnd::kInterrupted) return end;
    if (line.ends_with('\r')) line.pop_back();
    bool continues = end == LineEnd::kNewline && line.ends_with('\\');
    if (continues) line.back() = '\n';
    message += line;
    if (!continues) return end;
    note(". ");
  }
}

Outcome<Turn> Chat::obey(const std::string& line) {
  size_t space = std::min(line.find(' '), line.size());
  std::string command = line.substr(0, space);
  if (command == "/exit" || command == "/quit") return Turn::kLeave;
  if (command == "/help") {
    print_status(kChatHelp);
  } else if (command == "/reset") {
    CLI_TRY(reset(system_text_));
    note("(the conversation starts over)\n");
  } else if (command == "/system") {
    CLI_TRY(reset(line.substr(std::min(space + 1, line.size()))));
    note("(the conversation starts over)\n");
  } else {
    static const std::string kCommands[] = {"/reset", "/system", "/help", "/exit"};
    std::string near = nearest(command, kCommands);
    return fail(ExitCode::kUsage, command + ": there is no such command" +
                                      (near.empty() ? "; /help lists them" : "; did you mean " + near + "?"));
  }
  return Turn::kContinue;
}

Outcome<void> Chat::answer(const std::string& message) {
  CLI_ASSIGN(Json user, chat_message("user", message, "message"));
  Json messages = messages_;
  messages.push_back(std::move(user));
  std::string messages_text = messages.dump();
  std::vector<const char*> stops = stop_strings(options_);
  CLI_ASSIGN(std::vector<tt_token_bias> biases, logit_biases(options_));
  CLI_ASSIGN(tt_request request, make_request(model_, options_, stops, biases));
  request.messages_json = messages_text.c_str();
  auto sink = [](std::string_view text, std::span<const uint32_t>) { return print_untrusted(text); };
  CLI_ASSIGN(Answer answer, stream_answer(model_, session_.get(), request, interrupt_, sink));
  CLI_TRY(print("\n"));
  if (answer.progress.finish == TT_FINISH_CANCELLED) note("(stopped)\n");
  if (answer.progress.finish == TT_FINISH_LENGTH)
    note("(cut off: the limit of --max-tokens or the context is reached)\n");
  if (options_.statistics) print_status(statistics_text(model_, answer));
  messages.push_back({{"role", "assistant"}, {"content", answer.text}});
  messages_ = std::move(messages);
  return {};
}

Outcome<Turn> Chat::handle(const std::string& message) {
  if (message.empty()) return Turn::kContinue;
  if (message.starts_with("//")) {
    CLI_TRY(answer(message.substr(1)));
  } else if (message.starts_with('/')) {
    return obey(message);
  } else {
    CLI_TRY(answer(message));
  }
  return Turn::kContinue;
}

Outcome<ExitCode> Chat::talk() {
  note("Chat with " + printable(model_.path, true) + ". /help lists the commands, Ctrl-D leaves.\n");
  bool interrupted_before = false;
  while (true) {
    std::string message;
    LineEnd end = read_message(message);
    if (end == LineEnd::kInterrupted) {
      if (interrupted_before || !interactive_) return ExitCode::kInterrupted;
      interrupted_before = true;
      note("\n(Ctrl-C again or Ctrl-D leaves)\n");
      continue;
    }
    interrupted_before = false;
    Outcome<Turn> turn = handle(message);
    if (!turn) {
      // A person can go on after a message that was refused; a script should learn of it.
      Failure failure = std::move(turn.error());
      if (!interactive_ || failure.silent) return std::unexpected(std::move(failure));
      if (failure.code == ExitCode::kLimitExceeded) failure.next_step = "/reset, or a larger --context";
      print_error(failure);
    }
    if (end == LineEnd::kEndOfInput || (turn && *turn == Turn::kLeave)) {
      if (end == LineEnd::kEndOfInput) note("\n");
      return ExitCode::kOk;
    }
  }
}

}  // namespace

Outcome<ExitCode> chat_command(const Options& options) {
  CLI_ASSIGN(std::string path, model_path(options));
  CLI_ASSIGN(LoadedModel model, load_model(path, model_options(options)));
  if (!model.has_chat_template()) {
    return fail(ExitCode::kUnsupported, path + ": the model has no chat template",
                "tattletale run --raw -m " + path);
  }
  CLI_ASSIGN(Session session, create_session(model));
  Chat chat(std::move(model), std::move(session), options);
  CLI_TRY(chat.reset(options.system_text));
  return chat.talk();
}

}  // namespace tattletale::cli

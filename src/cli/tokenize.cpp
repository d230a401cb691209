// tattletale tokenize: text to token ids and back, with only the tokenizer loaded.
#include <charconv>

#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;  // the tokenizer's own limit

Outcome<std::string> read_words(const std::vector<std::string>& words) {
  if (words.size() == 1 && words[0] == "-") return read_standard_input(kMaxTextBytes);
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : " ") + words[i];
  return text;
}

/// Ids separated by commas, spaces or brackets, so that the output of tokenize, with --json or without, is
/// input.
Outcome<std::vector<uint32_t>> parse_ids(const std::string& text) {
  constexpr const char* kSeparators = ", \t\r\n[]";
  std::vector<uint32_t> ids;
  for (size_t begin = text.find_first_not_of(kSeparators); begin != std::string::npos;
       begin = text.find_first_not_of(kSeparators, begin)) {
    size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    uint32_t id = 0;
    auto [stop, status] = std::from_chars(text.data() + begin, text.data() + end, id);
    if (status != std::errc() || stop != text.data() + end) {
      return fail(ExitCode::kUsage, "--decode: '" + text.substr(begin, std::min<size_t>(end - begin, 40)) +
                                        "' is not a token id, a whole number");
    }
    ids.push_back(id);
    begin = end;
  }
  return ids;
}

Outcome<ExitCode> decode(const Options& options, tt_model* model) {
  std::string text = options.decode_ids;
  if (text == "-") {
    CLI_ASSIGN(text, read_standard_input(kMaxTextBytes));
  }
  CLI_ASSIGN(std::vector<uint32_t> ids, parse_ids(text));
  CLI_ASSIGN(std::string decoded, detokenize(model, ids, options.no_special));
  if (options.json) {
    CLI_TRY(print(json_text(Json{{"text", decoded}, {"count", ids.size()}}, -1) + "\n"));
  } else {
    CLI_TRY(print_untrusted(decoded));
    CLI_TRY(print("\n"));
  }
  return ExitCode::kOk;
}

Outcome<ExitCode> encode(const Options& options, tt_model* model, const std::string& text) {
  uint32_t flags = options.no_special ? 0 : TT_TOKENIZE_ADD_SPECIAL | TT_TOKENIZE_PARSE_SPECIAL;
  CLI_ASSIGN(std::vector<uint32_t> ids, tokenize(model, text, flags));
  if (options.json) {
    CLI_TRY(print(json_text(Json{{"count", ids.size()}, {"tokens", ids}}, -1) + "\n"));
    return ExitCode::kOk;
  }
  std::string line = ids_text(ids);
  if (!line.empty()) line.back() = '\n';
  CLI_TRY(print(line));
  return ExitCode::kOk;
}

}  // namespace

Outcome<ExitCode> tokenize_command(const Options& options) {
  bool decoding = !options.decode_ids.empty();
  if (decoding == !options.words.empty()) {
    return fail(ExitCode::kUsage, "give either a text or --decode IDS", "tattletale tokenize --help");
  }
  CLI_ASSIGN(std::string path, model_path(options));
  std::string text;
  if (!decoding) {
    CLI_ASSIGN(text, read_words(options.words));
  }
  CLI_ASSIGN(Model model, load_tokenizer(path));
  return decoding ? decode(options, model.get()) : encode(options, model.get(), text);
}

}  // namespace tattletale::cli

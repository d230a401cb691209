#include "cli/model.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>

namespace tattletale::cli {
namespace {

constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf";

std::filesystem::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return cache;  // the XDG specification ignores relative paths
  const char* home = std::getenv("HOME");
  return home != nullptr ? std::filesystem::path(home) / ".cache" : std::filesystem::path();
}

}  // namespace

Outcome<std::string> model_path(const Options& options) {
  if (!options.model.empty()) return options.model;
  std::filesystem::path path = cache_folder() / "tattletale" / "models" / kDefaultModel;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return path.string();
  return fail(ExitCode::kNotFound, path.string() + ": no model was given and the default one is not there",
              "`make run` or tools/fetch_model.sh to fetch it, or -m MODEL");
}

tt_model_options model_options(const Options& options) {
  tt_model_options result;
  tt_model_options_defaults(&result);
  result.device = options.device.c_str();
  result.num_threads = options.threads.empty() ? 0 : static_cast<uint32_t>(options.threads.front());
  result.context_tokens = options.context_tokens.value_or(0);
  if (!options.draft_model.empty()) result.draft_model = options.draft_model.c_str();
  if (!options.kv_dtype.empty()) result.kv_dtype = options.kv_dtype.c_str();
  return result;
}

Outcome<int> speculation(const Options& options) {
  if (options.speculate == "lookup") return TT_SPECULATE_PROMPT_LOOKUP;
  if (options.speculate == "draft") return TT_SPECULATE_DRAFT_MODEL;
  if (options.speculate == "none") return TT_SPECULATE_NONE;
  if (!options.speculate.empty())
    return fail(ExitCode::kUsage,
                "--speculate: '" + options.speculate + "' is not one of: lookup, draft, none");
  return options.draft_model.empty() ? TT_SPECULATE_NONE : TT_SPECULATE_DRAFT_MODEL;
}

Outcome<LoadedModel> load_model(const std::string& path, const tt_model_options& options) {
  auto start = std::chrono::steady_clock::now();
  LoadedModel model;
  model.path = path;
  tt_error error{};
  tt_model* handle = nullptr;
  if (tt_status status = tt_model_load(path.c_str(), &options, &handle, &error); status != TT_OK) {
    return fail(status, error, path);
  }
  model.handle.reset(handle);
  model.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  tt_string info{};
  if (tt_status status = tt_model_info_json(handle, &info, &error); status != TT_OK)
    return fail(status, error);
  CLI_ASSIGN(model.info, take_json(info));
  return model;
}

Outcome<Model> load_tokenizer(const std::string& path) {
  tt_error error{};
  tt_model* handle = nullptr;
  if (tt_status status = tt_tokenizer_load(path.c_str(), &handle, &error); status != TT_OK) {
    return fail(status, error, path);
  }
  return Model(handle);
}

Outcome<Session> create_session(const LoadedModel& model) {
  tt_error error{};
  tt_session* handle = nullptr;
  if (tt_status status = tt_session_create(model.handle.get(), &handle, &error); status != TT_OK) {
    return fail(status, error);
  }
  return Session(handle);
}

Outcome<std::vector<uint32_t>> tokenize(tt_model* model, const std::string& text, uint32_t flags) {
  tt_error error{};
  tt_tokens tokens{};
  if (tt_status status = tt_tokenize(model, text.data(), text.size(), flags, &tokens, &error);
      status != TT_OK) {
    return fail(status, error);
  }
  std::vector<uint32_t> ids(tokens.data, tokens.data + tokens.length);
  tt_tokens_free(&tokens);
  return ids;
}

Outcome<std::string> detokenize(tt_model* model, const std::vector<uint32_t>& ids, bool skip_special) {
  tt_error error{};
  tt_string out{};
  if (tt_status status = tt_detokenize(model, ids.data(), ids.size(), skip_special, &out, &error);
      status != TT_OK) {
    return fail(status, error);
  }
  std::string text(out.data, out.length);
  tt_string_free(&out);
  return text;
}

Outcome<Json> take_json(tt_string text) {
  Json json = Json::parse(text.data, text.data + text.length, nullptr, /*allow_exceptions=*/false);
  tt_string_free(&text);
  if (json.is_discarded()) return fail(ExitCode::kInternal, "the library gave JSON that is not valid");
  return json;
}

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tattletale::cli

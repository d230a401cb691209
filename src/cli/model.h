// Owners of the library's handles, and loading a model as the options say.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/options.h"

namespace tattletale::cli {

using Json = nlohmann::ordered_json;

struct ModelDeleter {
  void operator()(tt_model* model) const { tt_model_free(model); }
};
struct SessionDeleter {
  void operator()(tt_session* session) const { tt_session_free(session); }
};
using Model = std::unique_ptr<tt_model, ModelDeleter>;
using Session = std::unique_ptr<tt_session, SessionDeleter>;

struct LoadedModel {
  Model handle;
  std::string path;
  Json info;  // of tt_model_info_json
  double load_ms = 0;

  bool has_chat_template() const { return info.value("chat_template", false); }
};

/// The model of --model, else the default model in the user's cache folder.
/// Failures: kNotFound when neither is there.
Outcome<std::string> model_path(const Options& options);

/// tt_model_options of the options; the strings live as long as `options`. Only the first of --threads
/// counts.
tt_model_options model_options(const Options& options);

/// The tt_speculation of --speculate and --draft-model. Failures: kUsage.
Outcome<int> speculation(const Options& options);

/// Loads the model for computing.
Outcome<LoadedModel> load_model(const std::string& path, const tt_model_options& options);

/// Loads only the tokenizer and the chat template.
Outcome<Model> load_tokenizer(const std::string& path);

Outcome<Session> create_session(const LoadedModel& model);

/// Failures: kUnsupported when the model has no tokenizer.
Outcome<std::vector<uint32_t>> tokenize(tt_model* model, const std::string& text, uint32_t flags);
Outcome<std::string> detokenize(tt_model* model, const std::vector<uint32_t>& ids, bool skip_special);

/// JSON from the library. Failures: kInternal when it is not valid.
Outcome<Json> take_json(tt_string text);

/// JSON as text; broken UTF-8 becomes U+FFFD. Negative `indent`: one line.
std::string json_text(const Json& json, int indent);

}  // namespace tattletale::cli

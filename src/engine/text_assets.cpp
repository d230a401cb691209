#include "engine/text_assets.h"

#include <algorithm>
#include <limits>

#include "base/file_map.h"
#include "text/tokenizer/load_tokenizer.h"

namespace tattletale {
namespace {

constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;
constexpr size_t kMaxTemplateBytes = size_t{4} << 20;

// ---- GGUF
// --------------------------------------------------------------------------------------------------

/// Reads an optional key: absent is fine, a wrong type is not.
template <class T, class Get>
Result<void> optional_key(const GgufFile& gguf, std::string_view key, T& out, Get get) {
  if (!gguf.has(key)) return {};
  TT_ASSIGN(out, (gguf.*get)(key));
  return {};
}

Result<void> optional_id(const GgufFile& gguf, std::string_view key, std::optional<uint32_t>& out) {
  if (!gguf.has(key)) return {};
  TT_ASSIGN(const int64_t value, gguf.get_i64(key));
  if (value == -1) return {};  // some writers mark an absent token so
  if (value < 0 || value > std::numeric_limits<uint32_t>::max()) {
    return make_error(ErrorKind::bad_file, gguf.path(),
                      std::string(key) + " is " + std::to_string(value) + "; a token id was expected");
  }
  out = static_cast<uint32_t>(value);
  return {};
}

Result<GgufTokenizerFields> tokenizer_fields(const ModelFiles& files) {
  const GgufFile& gguf = *files.gguf;
  GgufTokenizerFields fields;
  fields.owner = files.owner;
  fields.where = gguf.path();
  TT_ASSIGN(fields.model, gguf.get_string("tokenizer.ggml.model"));
  TT_TRY(optional_key(gguf, "tokenizer.ggml.pre", fields.pre, &GgufFile::get_string));
  TT_ASSIGN(const auto tokens, gguf.get_string_array("tokenizer.ggml.tokens"));
  fields.tokens.assign(tokens.begin(), tokens.end());
  TT_TRY(optional_key(gguf, "tokenizer.ggml.scores", fields.scores, &GgufFile::get_f32_array));
  if (gguf.has("tokenizer.ggml.token_type")) {
    TT_ASSIGN(const std::vector<int64_t> types, gguf.get_int_array("tokenizer.ggml.token_type"));
    fields.token_types.assign(types.begin(), types.end());
  }
  if (gguf.has("tokenizer.ggml.merges")) {
    TT_ASSIGN(const auto merges, gguf.get_string_array("tokenizer.ggml.merges"));
    fields.merges.assign(merges.begin(), merges.end());
  }
  TT_TRY(optional_id(gguf, "tokenizer.ggml.bos_token_id", fields.bos_id));
  TT_TRY(optional_id(gguf, "tokenizer.ggml.eos_token_id", fields.eos_id));
  TT_TRY(optional_id(gguf, "tokenizer.ggml.eot_token_id", fields.eot_id));
  TT_TRY(optional_id(gguf, "tokenizer.ggml.eom_token_id", fields.eom_id));
  TT_TRY(optional_id(gguf, "tokenizer.ggml.unknown_token_id", fields.unk_id));
  TT_TRY(optional_id(gguf, "tokenizer.ggml.padding_token_id", fields.pad_id));
  TT_TRY(optional_key(gguf, "tokenizer.ggml.add_bos_token", fields.add_bos, &GgufFile::get_bool));
  TT_TRY(optional_key(gguf, "tokenizer.ggml.add_eos_token", fields.add_eos, &GgufFile::get_bool));
  TT_TRY(optional_key(gguf, "tokenizer.ggml.add_space_prefix", fields.add_space_prefix, &GgufFile::get_bool));
  TT_TRY(optional_key(gguf, "tokenizer.ggml.remove_extra_whitespaces", fields.remove_extra_whitespaces,
                      &GgufFile::get_bool));
  if (const GgufValue* charsmap = gguf.find("tokenizer.ggml.precompiled_charsmap")) {
    fields.precompiled_charsmap = {reinterpret_cast<const uint8_t*>(charsmap->bytes.data()),
                                   charsmap->bytes.size()};
  }
  return fields;
}

Result<void> load_from_gguf(const ModelFiles& files, TextAssets& assets) {
  TT_ASSIGN(const GgufTokenizerFields fields, tokenizer_fields(files));
  TT_ASSIGN(assets.tokenizer, load_gguf_tokenizer(fields));
  constexpr std::string_view kTemplateKey = "tokenizer.chat_template";
  if (files.gguf->has(kTemplateKey)) {
    TT_ASSIGN(const std::string_view source, files.gguf->get_string(kTemplateKey));
    TT_ASSIGN(assets.chat_template, ChatTemplate::parse(source, kTemplateKey));
  }
  return {};
}

// ---- Hugging Face folders
// ----------------------------------------------------------------------------------

/// A special token in tokenizer_config.json: a string, or an object with "content".
std::string token_text(const Json& config, std::string_view key) {
  const auto found = config.find(key);
  if (found == config.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  return {};
}

/// The template's text: a string, or a list of {"name", "template"} of which "default" is taken.
std::string template_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return {};
  for (const Json& entry : value) {
    if (entry.is_object() && entry.value("name", Json()) == "default" && entry.contains("template") &&
        entry["template"].is_string()) {
      return entry["template"].get<std::string>();
    }
  }
  return {};
}

Result<std::string> find_template(const TokenizerPaths& paths, const Json& tokenizer_config) {
  if (!paths.chat_template.empty()) {
    TT_ASSIGN(std::string text, read_text_file(paths.chat_template, kMaxTemplateBytes));
    if (paths.chat_template.extension() != ".json") return text;
    TT_ASSIGN(const Json json, parse_json(text, paths.chat_template.string()));
    return json.is_object() && json.contains("chat_template") ? template_text(json["chat_template"])
                                                              : std::string();
  }
  const auto found = tokenizer_config.find("chat_template");
  return found == tokenizer_config.end() ? std::string() : template_text(*found);
}

Result<void> load_from_folder(const ModelFiles& files, TextAssets& assets) {
  const TokenizerPaths& paths = files.tokenizer;
  Json config = Json::object();
  if (!paths.tokenizer_config_json.empty()) {
    TT_ASSIGN(const std::string text, read_text_file(paths.tokenizer_config_json, kMaxTokenizerBytes));
    TT_ASSIGN(config, parse_json(text, paths.tokenizer_config_json.string()));
    if (!config.is_object()) {
      return make_error(ErrorKind::bad_file, paths.tokenizer_config_json.string(), "is not a JSON object");
    }
  }
  if (!paths.tokenizer_json.empty()) {
    TT_ASSIGN(const std::string text, read_text_file(paths.tokenizer_json, kMaxTokenizerBytes));
    TT_ASSIGN(assets.tokenizer, load_tokenizer_json(text, paths.tokenizer_json.string()));
  } else if (!paths.tokenizer_model.empty()) {
    TT_ASSIGN(const std::string proto, read_text_file(paths.tokenizer_model, kMaxTokenizerBytes));
    SentencePieceOptions options;
    if (config.contains("add_bos_token") && config["add_bos_token"].is_boolean())
      options.add_bos = config["add_bos_token"];
    if (config.contains("add_eos_token") && config["add_eos_token"].is_boolean())
      options.add_eos = config["add_eos_token"];
    TT_ASSIGN(assets.tokenizer, load_sentencepiece(proto, paths.tokenizer_model.string(), options));
  }
  assets.bos_token = token_text(config, "bos_token");
  assets.eos_token = token_text(config, "eos_token");
  TT_ASSIGN(const std::string source, find_template(paths, config));
  if (!source.empty()) {
    TT_ASSIGN(assets.chat_template, ChatTemplate::parse(source, "chat_template"));
  }
  return {};
}

/// Token ids under a key that holds one id or a list of them.
Result<void> append_ids(const Json& config, std::string_view where, std::string_view key,
                        std::vector<TokenId>& ids) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {};
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() > std::numeric_limits<TokenId>::max()) {
      return make_error(ErrorKind::bad_file, std::string(where),
                        std::string(key) + " is " + id.dump() + "; a token id was expected");
    }
    ids.push_back(static_cast<TokenId>(id.get<int64_t>()));
  }
  return {};
}

}  // namespace

Result<TextAssets> load_text_assets(const ModelFiles& files) {
  TextAssets assets;
  if (files.source == ModelSource::gguf) {
    TT_TRY(load_from_gguf(files, assets));
  } else {
    TT_TRY(load_from_folder(files, assets));
  }
  for (const Json* config : {&files.config, &files.generation_config}) {
    if (config->is_object()) TT_TRY(append_ids(*config, files.path.string(), "eos_token_id", assets.end_ids));
  }
  if (assets.tokenizer != nullptr) {
    const Tokenizer& tokenizer = *assets.tokenizer;
    assets.end_ids.insert(assets.end_ids.end(), tokenizer.end_ids().begin(), tokenizer.end_ids().end());
    if (const auto id = tokenizer.id_of(assets.eos_token)) assets.end_ids.push_back(*id);
    if (assets.bos_token.empty() && tokenizer.bos_id())
      assets.bos_token = tokenizer.token_text(*tokenizer.bos_id());
    if (assets.eos_token.empty() && tokenizer.eos_id())
      assets.eos_token = tokenizer.token_text(*tokenizer.eos_id());
  }
  std::ranges::sort(assets.end_ids);
  assets.end_ids.erase(std::ranges::unique(assets.end_ids).begin(), assets.end_ids.end());
  return assets;
}

Result<std::string> TextAssets::render_chat(const Json& messages, const Json& tools) const {
  if (!chat_template) {
    return make_error(ErrorKind::unsupported, "chat template",
                      "the model carries none; give a plain prompt instead of messages");
  }
  ChatRenderOptions options;
  options.tools = tools;
  options.bos_token = bos_token;
  options.eos_token = eos_token;
  return chat_template->render(messages, options);
}

Result<std::vector<TokenId>> TextAssets::encode(std::string_view text, EncodeOptions options) const {
  if (tokenizer == nullptr) {
    return make_error(ErrorKind::unsupported, "tokenizer",
                      "the model has none; give token ids instead of text");
  }
  return tokenizer->encode(text, options);
}

Result<SamplingOptions> suggested_sampling(const ModelFiles& files) {
  SamplingOptions options;
  const Json& config = files.generation_config;
  if (!config.is_object() || !config.value("do_sample", Json(false)).is_boolean() ||
      !config.value("do_sample", Json(false)).get<bool>()) {
    return options;
  }
  options.temperature = 1.0f;
  const auto number = [&](std::string_view key, auto& out) -> Result<void> {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) return {};
    if (!found->is_number()) {
      return make_error(
          ErrorKind::bad_file, files.path.string(),
          "generation_config.json: " + std::string(key) + " is " + found->dump() + "; a number was expected");
    }
    out = found->get<std::remove_reference_t<decltype(out)>>();
    return {};
  };
  TT_TRY(number("temperature", options.temperature));
  double top_k = 0.0;  // some files write -1 for off
  TT_TRY(number("top_k", top_k));
  options.top_k = top_k > 0.0 && top_k < 1e9 ? static_cast<uint32_t>(top_k) : 0;
  TT_TRY(number("top_p", options.top_p));
  TT_TRY(number("min_p", options.min_p));
  TT_TRY(number("repetition_penalty", options.repetition_penalty));
  TT_TRY(options.validate());
  return options;
}

}  // namespace tattletale

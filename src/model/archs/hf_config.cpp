#include "model/archs/hf_config.h"

#include <algorithm>
#include <cmath>

#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

/// Keys that match a stem of names_a_computation and yet change nothing in inference.
constexpr std::string_view kHarmlessKeys[] = {
    "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal", "_name_or_path",
    "architectures", "attention_dropout", "attn_implementation", "auto_map", "bos_token_id",
    "cache_implementation", "dtype", "embd_pdrop", "hidden_dropout", "initializer_range", "is_llama_config",
    "model_type", "pad_token_id", "pretraining_tp", "problem_type", "resid_pdrop", "tokenizer_class", "torch_dtype",
    "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version", "use_cache", "id2label",
    "label2id", "task_specific_params", "chunk_size_feed_forward", "output_attentions", "output_hidden_states",
    "return_dict", "prefix", "sep_token_id", "decoder_start_token_id", "gradient_checkpointing", "_commit_hash"};

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 100) text = text.substr(0, 97) + "...";
  return text;
}

bool neutral(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0.0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

}  // namespace

Result<HfConfig> HfConfig::open(const Json& object, std::string where, std::string prefix) {
  if (!object.is_object()) {
    const std::string name = prefix.empty() ? "the configuration" : prefix.substr(0, prefix.size() - 1);
    return make_error(ErrorKind::bad_file, std::move(where),
                      name + " is " + shown(object) + "; a JSON object was expected");
  }
  return HfConfig(object, std::move(where), std::move(prefix));
}

const Json* HfConfig::get(std::string_view key) {
  read_.emplace(key);
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool HfConfig::has(std::string_view key) { return get(key) != nullptr; }

bool HfConfig::is_null(std::string_view key) const {
  const auto found = object_->find(key);
  return found != object_->end() && found->is_null();
}

Error HfConfig::wrong(std::string_view key, std::string_view expected) const {
  const auto found = object_->find(key);
  std::string what = prefix_ + std::string(key);
  what += found == object_->end() ? " is missing" : " is " + shown(*found);
  const ErrorKind kind = found == object_->end() || found->is_null() ? ErrorKind::not_found : ErrorKind::bad_file;
  return make_error(kind, where_, what + "; expected " + std::string(expected));
}

Error HfConfig::refuse(std::string_view key, std::string_view expected) const {
  const auto found = object_->find(key);
  return make_error(ErrorKind::unsupported, where_,
                    prefix_ + std::string(key) + " is " + (found == object_->end() ? "absent" : shown(*found)) + "; " +
                        std::string(expected));
}

Result<uint64_t> HfConfig::integer(std::string_view key, uint64_t min, uint64_t max, std::optional<uint64_t> fallback) {
  const std::string expected = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  const Json* value = get(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->is_number_integer()) return wrong(key, expected);
  if (!value->is_number_unsigned() && value->get<int64_t>() < 0) return wrong(key, expected);
  const uint64_t number = value->get<uint64_t>();
  if (number < min || number > max) return wrong(key, expected);
  return number;
}

Result<double> HfConfig::number(std::string_view key, double min, double max, std::optional<double> fallback) {
  const Json* value = get(key);
  if (value == nullptr && fallback) return *fallback;
  const double number = value != nullptr && value->is_number() ? value->get<double>() : NAN;
  if (!(number >= min && number <= max)) {
    return wrong(key, "a number from " + Json(min).dump() + " to " + Json(max).dump());
  }
  return number;
}

Result<bool> HfConfig::boolean(std::string_view key, bool fallback) {
  const Json* value = get(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> HfConfig::text(std::string_view key, std::optional<std::string> fallback) {
  const Json* value = get(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->is_string()) return wrong(key, "a string");
  return value->get<std::string>();
}

Result<std::vector<std::string>> HfConfig::texts(std::string_view key) {
  const Json* value = get(key);
  std::vector<std::string> result;
  if (value == nullptr || !value->is_array()) return wrong(key, "a list of strings");
  for (const Json& item : *value) {
    if (!item.is_string()) return wrong(key, "a list of strings");
    result.push_back(item.get<std::string>());
  }
  return result;
}

Result<std::vector<uint32_t>> HfConfig::ids(std::string_view key) {
  const Json* value = get(key);
  std::vector<uint32_t> result;
  if (value == nullptr) return result;
  const auto add = [&](const Json& item) {
    const bool fits = item.is_number_unsigned() && item.get<uint64_t>() <= kMaxVocab;
    if (fits) result.push_back(item.get<uint32_t>());
    return fits;
  };
  bool good = true;
  if (value->is_array()) {
    for (const Json& item : *value) good = good && add(item);
  } else {
    good = add(*value);
  }
  if (!good) return wrong(key, "a token id or a list of them");
  return result;
}

Result<HfConfig> HfConfig::object(std::string_view key) {
  const Json* value = get(key);
  if (value == nullptr || !value->is_object()) return wrong(key, "a JSON object");
  return HfConfig(*value, where_, prefix_ + std::string(key) + ".");
}

Result<void> HfConfig::require_neutral(std::string_view key, std::string_view expected) {
  const Json* value = get(key);
  if (value != nullptr && !neutral(*value)) return refuse(key, expected);
  return {};
}

Result<void> HfConfig::refuse_unread(bool strict) const {
  for (const auto& [key, value] : object_->items()) {
    if (read_.contains(key) || neutral(value)) continue;
    if (!strict && std::ranges::find(kHarmlessKeys, std::string_view(key)) != std::end(kHarmlessKeys)) continue;
    if (strict || names_a_computation(key)) {
      return refuse(key, "this build does not know this key, and it may change what the model computes");
    }
  }
  return {};
}

namespace {

Result<Activation> read_activation(HfConfig& config, std::string_view key, const std::optional<std::string>& fallback) {
  TT_ASSIGN(const std::string name, config.text(key, fallback));
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::gelu_tanh;
  return config.refuse(key, "this build computes silu and gelu_pytorch_tanh");
}

/// End tokens stand in config.json, in generation_config.json, or in both.
Result<void> read_end_ids(HfConfig& config, const ModelFiles& files, DecoderConfig& out) {
  TT_ASSIGN(std::vector<uint32_t> ids, config.ids("eos_token_id"));
  if (files.generation_config.is_object()) {
    TT_ASSIGN(HfConfig generation, HfConfig::open(files.generation_config, "generation_config.json"));
    TT_ASSIGN(const std::vector<uint32_t> more, generation.ids("eos_token_id"));
    ids.insert(ids.end(), more.begin(), more.end());
  }
  for (const uint32_t id : ids) add_end_id(id, out);
  return {};
}

}  // namespace

void add_end_id(uint32_t id, DecoderConfig& out) {
  const bool known = std::ranges::find(out.end_ids, id) != out.end_ids.end();
  if (!known && id < out.vocab_size) out.end_ids.push_back(id);
}

Result<void> refuse_hf_other_models(HfConfig& config) {
  TT_TRY(config.require_neutral("quantization_config", "quantized safetensors cannot be computed yet; use the "
                                                       "unquantized model, or a GGUF file of it"));
  for (const std::string_view key : {"num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size"}) {
    TT_TRY(config.require_neutral(key, "mixtures of experts cannot be computed yet"));
  }
  TT_TRY(config.require_neutral("attn_logit_softcapping", "capped attention scores cannot be computed yet"));
  TT_TRY(config.require_neutral("final_logit_softcapping", "capped logits cannot be computed yet"));
  TT_TRY(config.require_neutral("is_encoder_decoder", "only decoders can be computed"));
  return {};
}

Result<void> read_hf_common(HfConfig& config, const ModelFiles& files, const HfDefaults& defaults, DecoderConfig& out) {
  TT_TRY(refuse_hf_other_models(config));
  TT_ASSIGN(const uint64_t vocab, config.integer("vocab_size", 1, kMaxVocab, defaults.vocab_size));
  TT_ASSIGN(const uint64_t hidden, config.integer("hidden_size", 8, kMaxDim, defaults.hidden_size));
  TT_ASSIGN(const uint64_t ffn, config.integer("intermediate_size", 8, kMaxDim, defaults.intermediate_size));
  TT_ASSIGN(const uint64_t layers, config.integer("num_hidden_layers", 1, kMaxLayers, defaults.num_hidden_layers));
  TT_ASSIGN(const uint64_t heads, config.integer("num_attention_heads", 1, kMaxHeads, defaults.num_attention_heads));
  const uint64_t kv_default = defaults.num_key_value_heads.value_or(heads);
  TT_ASSIGN(const uint64_t kv_heads, config.integer("num_key_value_heads", 1, heads, kv_default));
  std::optional<uint64_t> head_default = defaults.head_dim;
  if (!head_default && hidden % heads == 0) head_default = hidden / heads;
  if (!head_default && !config.has("head_dim")) {
    return make_error(ErrorKind::bad_file, config.where(),
                      "hidden_size " + std::to_string(hidden) + " is not a multiple of num_attention_heads " +
                          std::to_string(heads) + ", and head_dim is not given");
  }
  TT_ASSIGN(const uint64_t head_dim, config.integer("head_dim", 8, kMaxHeadDim, head_default));
  TT_ASSIGN(out.context_tokens,
            config.integer("max_position_embeddings", 1, kMaxContextTokens, defaults.max_position_embeddings));
  TT_ASSIGN(const double eps, config.number("rms_norm_eps", 1e-12, 0.1, 1e-6));
  TT_ASSIGN(out.activation, read_activation(config, defaults.activation_key, defaults.default_activation));
  TT_ASSIGN(out.tied_head, config.boolean("tie_word_embeddings", defaults.tie_word_embeddings));
  out.vocab_size = static_cast<uint32_t>(vocab);
  out.hidden_dim = static_cast<uint32_t>(hidden);
  out.ffn_dim = static_cast<uint32_t>(ffn);
  out.num_q_heads = static_cast<uint32_t>(heads);
  out.num_kv_heads = static_cast<uint32_t>(kv_heads);
  out.head_dim = static_cast<uint32_t>(head_dim);
  out.layers.resize(layers);
  out.norm_eps = static_cast<float>(eps);
  out.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return read_end_ids(config, files, out);
}

Result<std::vector<bool>> read_hf_sliding_layers(HfConfig& config, size_t num_layers, bool (*slides)(size_t, uint64_t),
                                                 uint64_t argument) {
  std::vector<bool> result(num_layers);
  if (!config.has("layer_types")) {
    for (size_t i = 0; i < num_layers; ++i) result[i] = slides(i, argument);
    return result;
  }
  TT_ASSIGN(const std::vector<std::string> types, config.texts("layer_types"));
  if (types.size() != num_layers) {
    return make_error(ErrorKind::bad_file, config.where(),
                      "layer_types has " + std::to_string(types.size()) + " entries for num_hidden_layers " +
                          std::to_string(num_layers));
  }
  for (size_t i = 0; i < num_layers; ++i) {
    result[i] = types[i] == "sliding_attention";
    if (!result[i] && types[i] != "full_attention") {
      return make_error(ErrorKind::unsupported, config.where(),
                        "layer_types[" + std::to_string(i) + "] is \"" + types[i] +
                            "\"; this build computes full_attention and sliding_attention");
    }
  }
  return result;
}

Result<void> read_hf_qwen_windows(HfConfig& config, DecoderConfig& out) {
  TT_ASSIGN(const bool wanted, config.boolean("use_sliding_window", false));
  TT_ASSIGN(const uint64_t first, config.integer("max_window_layers", 0, UINT32_MAX, 28));
  TT_ASSIGN(const uint64_t window, config.integer("sliding_window", 1, UINT32_MAX, 4096));
  const bool use = wanted && !config.is_null("sliding_window");
  const auto from_layer = [](size_t layer, uint64_t first_layer) { return layer >= first_layer; };
  TT_ASSIGN(const std::vector<bool> sliding,
            read_hf_sliding_layers(config, out.layers.size(), from_layer, use ? first : UINT64_MAX));
  for (size_t i = 0; i < sliding.size(); ++i) {
    if (!sliding[i]) continue;
    if (!use) return config.refuse("layer_types", "it names sliding layers, but use_sliding_window is not set");
    out.layers[i].window_tokens = static_cast<uint32_t>(window);
  }
  return {};
}

TensorNames hf_tensor_names(std::string_view prefix, std::string_view head) {
  const std::string base(prefix);
  const std::string layer = base + "layers.{}.";
  TensorNames names;
  names.embed = base + "embed_tokens.weight";
  names.final_norm = base + "norm.weight";
  names.head = std::string(head);
  names.attention_norm = layer + "input_layernorm.weight";
  names.q = layer + "self_attn.q_proj.weight";
  names.k = layer + "self_attn.k_proj.weight";
  names.v = layer + "self_attn.v_proj.weight";
  names.o = layer + "self_attn.o_proj.weight";
  names.mlp_norm = layer + "post_attention_layernorm.weight";
  names.gate = layer + "mlp.gate_proj.weight";
  names.up = layer + "mlp.up_proj.weight";
  names.down = layer + "mlp.down_proj.weight";
  return names;
}

}  // namespace tattletale

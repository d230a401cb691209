#include "model/archs/hf_config.h"

#include <algorithm>
#include <cmath>

#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

Result<Activation> read_activation(ConfigReader& config, const HfDefaults& defaults) {
  const std::string_view key = defaults.activation_key;
  std::string name;
  if (defaults.activation) {
    TT_ASSIGN(name, config.optional_string(key, *defaults.activation));
  } else {
    TT_ASSIGN(name, config.required_string(key));
  }
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::gelu_tanh;
  return unsupported_value(config, key, Json(name).dump(-1, ' ', true, Json::error_handler_t::replace),
                           "this build computes silu and gelu_pytorch_tanh");
}

/// Key/value heads and head size, which have defaults that depend on other numbers.
Result<void> read_heads(ConfigReader& config, const HfDefaults& defaults, DecoderConfig& out) {
  TT_ASSIGN(const uint64_t heads,
            read_int(config, "num_attention_heads", 1, kMaxHeads, defaults.num_attention_heads));
  const uint64_t kv_default = defaults.num_key_value_heads.value_or(heads);
  TT_ASSIGN(const uint64_t kv_heads, read_int(config, "num_key_value_heads", 1, kMaxHeads, kv_default));
  std::optional<uint64_t> head_default = defaults.head_dim;
  if (!head_default && out.hidden_dim % heads == 0) head_default = out.hidden_dim / heads;
  if (!head_default && !config.has("head_dim")) {
    return config.key_error(ErrorKind::bad_file, "hidden_size",
                            "is " + std::to_string(out.hidden_dim) + ", which " + std::to_string(heads) +
                                " attention heads cannot share evenly; head_dim would have to be given");
  }
  TT_ASSIGN(const uint64_t head_dim, read_int(config, "head_dim", 1, kMaxHeadDim, head_default));
  out.num_q_heads = static_cast<uint32_t>(heads);
  out.num_kv_heads = static_cast<uint32_t>(kv_heads);
  out.head_dim = static_cast<uint32_t>(head_dim);
  out.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return {};
}

}  // namespace

bool is_written_null(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_null();
}

Result<void> refuse_hf_other_models(ConfigReader& config) {
  TT_TRY(config.refuse("quantization_config",
                       "quantized safetensors cannot be computed yet; use the unquantized "
                       "model, or a GGUF file of it"));
  for (const std::string_view key :
       {"num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size"}) {
    TT_TRY(config.refuse(key, "mixtures of experts cannot be computed yet"));
  }
  TT_TRY(config.refuse("attn_logit_softcapping", "capped attention scores cannot be computed yet"));
  TT_TRY(config.refuse("final_logit_softcapping", "capped logits cannot be computed yet"));
  TT_TRY(config.refuse("is_encoder_decoder", "only decoders can be computed"));
  return {};
}

Result<void> read_hf_end_ids(ConfigReader& config, DecoderConfig& out) {
  TT_ASSIGN(const std::vector<int64_t> ids, config.optional_int_or_ints("eos_token_id"));
  for (const int64_t id : ids) {
    const bool known = std::ranges::find(out.end_ids, id) != out.end_ids.end();
    if (!known && id >= 0 && id < int64_t{out.vocab_size}) out.end_ids.push_back(static_cast<uint32_t>(id));
  }
  return {};
}

Result<void> read_hf_common(ConfigReader& config, const ModelFiles& files, const HfDefaults& defaults,
                            DecoderConfig& out) {
  TT_TRY(refuse_hf_other_models(config));
  TT_ASSIGN(const uint64_t vocab, read_int(config, "vocab_size", 1, kMaxVocab, defaults.vocab_size));
  TT_ASSIGN(const uint64_t hidden, read_int(config, "hidden_size", 8, kMaxDim, defaults.hidden_size));
  TT_ASSIGN(const uint64_t ffn,
            read_int(config, "intermediate_size", 8, kMaxDim, defaults.intermediate_size));
  TT_ASSIGN(const uint64_t layers,
            read_int(config, "num_hidden_layers", 1, kMaxLayers, defaults.num_hidden_layers));
  TT_ASSIGN(out.context_tokens, read_int(config, "max_position_embeddings", 1, kMaxContextTokens,
                                         defaults.max_position_embeddings));
  TT_ASSIGN(const double eps, read_number(config, "rms_norm_eps", 1e-12, 0.1, 1e-6));
  TT_ASSIGN(out.activation, read_activation(config, defaults));
  TT_ASSIGN(out.tied_head, config.optional_bool("tie_word_embeddings", defaults.tie_word_embeddings));
  out.vocab_size = static_cast<uint32_t>(vocab);
  out.hidden_dim = static_cast<uint32_t>(hidden);
  out.ffn_dim = static_cast<uint32_t>(ffn);
  out.layers.resize(layers);
  out.norm_eps = static_cast<float>(eps);
  TT_TRY(read_heads(config, defaults, out));
  TT_TRY(read_hf_end_ids(config, out));
  if (!files.generation_config.is_object()) return {};
  ConfigReader generation(files.generation_config, "generation_config.json");
  return read_hf_end_ids(generation, out);
}

Result<std::vector<bool>> read_hf_sliding_layers(ConfigReader& config, size_t num_layers,
                                                 bool (*slides)(size_t, uint64_t), uint64_t argument) {
  std::vector<bool> result(num_layers);
  if (!config.has("layer_types")) {
    for (size_t i = 0; i < num_layers; ++i) result[i] = slides(i, argument);
    return result;
  }
  TT_ASSIGN(const std::vector<std::string> types, config.required_strings("layer_types"));
  if (types.size() != num_layers) {
    return config.key_error(ErrorKind::bad_file, "layer_types",
                            "has " + std::to_string(types.size()) +
                                " entries, expected one for each of the " + std::to_string(num_layers) +
                                " layers");
  }
  for (size_t i = 0; i < num_layers; ++i) {
    result[i] = types[i] == "sliding_attention";
    if (!result[i] && types[i] != "full_attention") {
      return unsupported_value(config, "layer_types",
                               "\"" + types[i].substr(0, 80) + "\" in layer " + std::to_string(i),
                               "this build computes full_attention and sliding_attention");
    }
  }
  return result;
}

Result<void> read_hf_qwen_windows(ConfigReader& config, const Json& object, DecoderConfig& out) {
  TT_ASSIGN(const bool wanted, config.optional_bool("use_sliding_window", false));
  TT_ASSIGN(const uint64_t first, read_int(config, "max_window_layers", 0, UINT32_MAX, 28));
  TT_ASSIGN(const uint64_t window, read_int(config, "sliding_window", 1, UINT32_MAX, 4096));
  const bool use = wanted && !is_written_null(object, "sliding_window");
  const auto from_layer = [](size_t layer, uint64_t first_layer) { return layer >= first_layer; };
  TT_ASSIGN(const std::vector<bool> sliding,
            read_hf_sliding_layers(config, out.layers.size(), from_layer, use ? first : UINT64_MAX));
  for (size_t i = 0; i < sliding.size(); ++i) {
    if (!sliding[i]) continue;
    if (!use) {
      return unsupported_value(config, "layer_types", "\"sliding_attention\" in layer " + std::to_string(i),
                               "use_sliding_window and sliding_window would have to be set");
    }
    out.layers[i].window_tokens = static_cast<uint32_t>(window);
  }
  return {};
}

Result<void> refuse_unread_hf_keys(ConfigReader& config) {
  // Keys that speak of the computation and yet change nothing in inference.
  static constexpr std::string_view kHarmless[] = {"_attn_implementation",
                                                   "_attn_implementation_autoset",
                                                   "_attn_implementation_internal",
                                                   "attention_dropout",
                                                   "attn_implementation",
                                                   "chunk_size_feed_forward",
                                                   "hidden_dropout",
                                                   "initializer_range",
                                                   "num_logits_to_keep",
                                                   "output_attentions",
                                                   "output_hidden_states",
                                                   "unsloth_fixed"};
  return refuse_unread_keys(config, kHarmless, false);
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

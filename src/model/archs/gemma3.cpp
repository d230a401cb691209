// Gemma 3, its text part: local layers with a sliding window and a rotation of their own between global ones,
// norms on q and k heads and behind each sub-layer, scaled embeddings. Images are not this file's business.
// Sources: Gemma Team 2025 (arXiv:2503.19786); transformers' Gemma3TextConfig; the GGUF conversion of it.
#include <cmath>

#include "model/archs/archs.h"
#include "model/archs/config_limits.h"
#include "model/archs/gguf_config.h"
#include "model/archs/hf_config.h"
#include "model/archs/rope_config.h"

namespace tattletale {
namespace {

constexpr std::string_view kClassNames[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};
constexpr std::string_view kModelTypes[] = {"gemma3_text", "gemma3"};
constexpr std::string_view kGgufNames[] = {"gemma3"};

constexpr uint32_t kGlobalRope = 0, kLocalRope = 1;
constexpr uint64_t kGlobalEvery = 6;  // the published models: five local layers, then a global one
constexpr double kGlobalTheta = 1e6, kLocalTheta = 1e4;

/// What is so in every Gemma 3, whatever the container.
void set_common(DecoderConfig& out) {
  out.qk_norm = true;
  out.post_norms = true;
  out.embed_scale = static_cast<float>(std::sqrt(static_cast<double>(out.hidden_dim)));
}

void set_layers(const std::vector<bool>& local, uint64_t window, DecoderConfig& out) {
  for (size_t i = 0; i < local.size(); ++i) {
    out.layers[i].window_tokens = local[i] ? static_cast<uint32_t>(window) : 0;
    out.layers[i].rope_index = local[i] ? kLocalRope : kGlobalRope;
  }
}

bool is_local(size_t layer, uint64_t global_every) {
  return (layer + 1) % global_every != 0;
}

Result<void> read_hf_attention(ConfigReader& config, const Json& object, DecoderConfig& out) {
  TT_TRY(config.refuse("use_bidirectional_attention", "only causal attention can be computed"));
  TT_ASSIGN(out.qkv_bias, config.optional_bool("attention_bias", false));
  out.output_bias = out.qkv_bias;
  TT_ASSIGN(const double query_scalar, read_number(config, "query_pre_attn_scalar", 1e-3, 1e9, 256.0));
  out.attention_scale = static_cast<float>(1.0 / std::sqrt(query_scalar));
  if (is_written_null(object, "sliding_window")) {
    return unsupported_value(config, "sliding_window", "null", "the local layers need a window");
  }
  TT_ASSIGN(const uint64_t window, read_int(config, "sliding_window", 1, UINT32_MAX, 4096));
  TT_ASSIGN(const uint64_t old_pattern,
            read_int(config, "_sliding_window_pattern", 1, kMaxLayers, kGlobalEvery));
  TT_ASSIGN(const uint64_t pattern, read_int(config, "sliding_window_pattern", 1, kMaxLayers, old_pattern));
  TT_ASSIGN(const std::vector<bool> local,
            read_hf_sliding_layers(config, out.layers.size(), is_local, pattern));
  set_layers(local, window, out);
  return {};
}

Result<void> read_hf_ropes(ConfigReader& config, DecoderConfig& out) {
  const HfRopeSource global{.layer_type = "full_attention", .default_theta = kGlobalTheta};
  const HfRopeSource local{.theta_key = "rope_local_base_freq",
                           .layer_type = "sliding_attention",
                           .takes_scaling = false,
                           .default_theta = kLocalTheta};
  TT_ASSIGN(std::optional<ConfigReader> parameters, config.optional_object("rope_parameters"));
  if (parameters) {
    TT_TRY(parameters->optional_object(global.layer_type));
    TT_TRY(parameters->optional_object(local.layer_type));
    TT_TRY(refuse_unread_keys(*parameters, {}, true));
  }
  TT_ASSIGN(RopeConfig global_rope, read_hf_rope(config, global, out));
  TT_ASSIGN(RopeConfig local_rope, read_hf_rope(config, local, out));
  out.ropes = {std::move(global_rope), std::move(local_rope)};
  return {};
}

/// Text checkpoints, multimodal ones as first published, and multimodal ones as transformers 5 saves them.
TensorNames hf_names(const ModelFiles& files) {
  std::string prefix = "model.", head = "lm_head.weight";
  for (const std::string_view other : {"language_model.model.", "model.language_model."}) {
    if (files.find(std::string(other) + "embed_tokens.weight") != nullptr) prefix = other;
  }
  if (files.find("language_model.lm_head.weight") != nullptr) head = "language_model.lm_head.weight";
  TensorNames names = hf_tensor_names(prefix, head);
  const std::string layer = prefix + "layers.{}.";
  names.q_norm = layer + "self_attn.q_norm.weight";
  names.k_norm = layer + "self_attn.k_norm.weight";
  names.post_attention_norm = layer + "post_attention_layernorm.weight";
  names.mlp_norm = layer + "pre_feedforward_layernorm.weight";
  names.post_mlp_norm = layer + "post_feedforward_layernorm.weight";
  return names;
}

/// Gemma3TextConfig's own defaults: published multimodal files leave most keys out.
HfDefaults text_defaults(bool tied) {
  HfDefaults defaults;
  defaults.vocab_size = 262208;
  defaults.hidden_size = 2304;
  defaults.intermediate_size = 9216;
  defaults.num_hidden_layers = 26;
  defaults.num_attention_heads = 8;
  defaults.num_key_value_heads = 4;
  defaults.head_dim = 256;
  defaults.max_position_embeddings = 131072;
  defaults.activation_key = "hidden_activation";
  defaults.activation = "gelu_pytorch_tanh";
  defaults.tie_word_embeddings = tied;
  return defaults;
}

Result<LoadedConfig> read_hf(const ModelFiles& files) {
  ConfigReader outer(files.config, files.config_path);
  TT_ASSIGN(std::optional<ConfigReader> text, outer.optional_object("text_config"));
  ConfigReader& config = text ? *text : outer;
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  bool tied = true;
  if (text) {
    TT_TRY(refuse_hf_other_models(outer));
    TT_ASSIGN(tied, outer.optional_bool("tie_word_embeddings", true));
  }
  TT_TRY(read_hf_common(config, files, text_defaults(tied), out));
  TT_TRY(read_hf_end_ids(outer, out));
  set_common(out);
  out.norm_weight_offset = 1.0f;
  TT_TRY(read_hf_attention(config, text ? files.config.at("text_config") : files.config, out));
  TT_TRY(read_hf_ropes(config, out));
  TT_TRY(refuse_unread_hf_keys(config));
  loaded.names = hf_names(files);
  return loaded;
}

/// GGUF names no query scalar: it is the head size, but in the largest model hidden_dim / heads.
void set_gguf_attention_scale(DecoderConfig& out) {
  constexpr size_t kLayersOf27B = 62;
  if (out.layers.size() != kLayersOf27B) return;
  out.attention_scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(out.hidden_dim) / out.num_q_heads));
}

/// Which layers are local: a list of flags in files that have one, else every layer but each sixth.
Result<std::vector<bool>> read_gguf_local_layers(ConfigReader& config, const GgufFile& file,
                                                 size_t num_layers) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  const std::string full_key = "gemma3." + std::string(kKey);
  std::vector<bool> local(num_layers);
  const GgufValue* const value = file.find(full_key);
  if (value == nullptr || value->type != GgufType::array) {
    TT_ASSIGN(const uint64_t pattern, read_int(config, kKey, 1, kMaxLayers, kGlobalEvery));
    for (size_t i = 0; i < num_layers; ++i) local[i] = is_local(i, pattern);
    return local;
  }
  TT_TRY(config.optional_object(kKey));  // notes that the key is known; there is nothing below it
  TT_ASSIGN(const std::vector<int64_t> flags, file.get_int_array(full_key));
  if (flags.size() != num_layers) {
    return config.key_error(ErrorKind::bad_file, kKey,
                            "has " + std::to_string(flags.size()) +
                                " entries, expected one for each of the " + std::to_string(num_layers) +
                                " layers");
  }
  for (size_t i = 0; i < num_layers; ++i) local[i] = flags[i] != 0;
  return local;
}

Result<LoadedConfig> read_gguf(const ModelFiles& files) {
  ConfigReader config(*files.gguf, "gemma3");
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  TT_TRY(read_gguf_common(config, files, out));
  set_common(out);
  set_gguf_attention_scale(out);
  out.activation = Activation::gelu_tanh;
  TT_ASSIGN(const uint64_t window, read_int(config, "attention.sliding_window", 1, UINT32_MAX));
  TT_ASSIGN(const std::vector<bool> local, read_gguf_local_layers(config, *files.gguf, out.layers.size()));
  set_layers(local, window, out);
  TT_ASSIGN(RopeConfig global_rope, read_gguf_rope(config, out));
  RopeConfig local_rope;
  local_rope.rotary_dim = global_rope.rotary_dim;
  TT_ASSIGN(local_rope.theta, read_number(config, "rope.freq_base_swa", 2.0, 1e12, kLocalTheta));
  out.ropes = {std::move(global_rope), std::move(local_rope)};
  TT_TRY(refuse_unread_gguf_keys(config));
  loaded.names = gguf_tensor_names();
  loaded.names.rope_freqs.clear();  // two rotations, no table for either
  loaded.names.q_norm = "blk.{}.attn_q_norm.weight";
  loaded.names.k_norm = "blk.{}.attn_k_norm.weight";
  loaded.names.post_attention_norm = "blk.{}.post_attention_norm.weight";
  loaded.names.post_mlp_norm = "blk.{}.post_ffw_norm.weight";
  return loaded;
}

}  // namespace

const Architecture kGemma3Architecture = {
    .name = "gemma3",
    .hf_class_names = kClassNames,
    .hf_model_types = kModelTypes,
    .gguf_names = kGgufNames,
    .read_hf = read_hf,
    .read_gguf = read_gguf,
};

}  // namespace tattletale

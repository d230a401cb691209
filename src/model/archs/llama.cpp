// Llama 1 to 3.x and everything published under its class (SmolLM2, TinyLlama, ...), and Mistral, which is
// Llama with an optional sliding window in every layer. Sources: Touvron et al. 2023 (arXiv:2302.13971);
// Jiang et al. 2023 (arXiv:2310.06825); transformers' LlamaConfig and MistralConfig.
#include "model/archs/archs.h"
#include "model/archs/config_limits.h"
#include "model/archs/gguf_config.h"
#include "model/archs/hf_config.h"
#include "model/archs/rope_config.h"

namespace tattletale {
namespace {

constexpr std::string_view kClassNames[] = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"};
constexpr std::string_view kModelTypes[] = {"llama", "mistral"};
constexpr std::string_view kGgufNames[] = {"llama"};

bool is_mistral(const Json& config) {
  const auto classes = config.find("architectures");
  if (classes != config.end() && classes->is_array() && !classes->empty())
    return classes->at(0) == "MistralForCausalLM";
  return config.value("model_type", Json()) == "mistral";
}

/// Mistral's own default window is 4096; a null means none.
Result<void> read_mistral_window(ConfigReader& config, const Json& object, DecoderConfig& out) {
  TT_ASSIGN(const uint64_t window, read_int(config, "sliding_window", 1, UINT32_MAX, 4096));
  TT_TRY(config.refuse("layer_types", "Mistral slides all layers or none"));
  if (is_written_null(object, "sliding_window")) return {};
  for (LayerAttention& layer : out.layers) layer.window_tokens = static_cast<uint32_t>(window);
  return {};
}

Result<LoadedConfig> read_hf(const ModelFiles& files) {
  ConfigReader config(files.config, files.config_path);
  const bool mistral = is_mistral(files.config);
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  HfDefaults defaults;
  if (mistral) {
    defaults.num_key_value_heads = 8;
    defaults.max_position_embeddings = 131072;
  }
  TT_TRY(read_hf_common(config, files, defaults, out));
  if (mistral) {
    TT_TRY(read_mistral_window(config, files.config, out));
  } else {
    TT_ASSIGN(out.qkv_bias, config.optional_bool("attention_bias", false));
    TT_ASSIGN(out.mlp_bias, config.optional_bool("mlp_bias", false));
    out.output_bias = out.qkv_bias;
  }
  TT_ASSIGN(RopeConfig rope, read_hf_rope(config, {}, out));
  out.ropes = {std::move(rope)};
  TT_TRY(refuse_unread_hf_keys(config));
  loaded.names = hf_tensor_names("model.", "lm_head.weight");
  return loaded;
}

Result<LoadedConfig> read_gguf(const ModelFiles& files) {
  ConfigReader config(*files.gguf, "llama");
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  TT_TRY(read_gguf_common(config, files, out));
  TT_ASSIGN(const uint64_t window, read_int(config, "attention.sliding_window", 0, UINT32_MAX, 0));
  for (LayerAttention& layer : out.layers) layer.window_tokens = static_cast<uint32_t>(window);
  TT_ASSIGN(RopeConfig rope, read_gguf_rope(config, out));
  out.ropes = {std::move(rope)};
  out.rope_layout = RopeLayout::interleaved;  // converters permute the rows of q and k
  TT_TRY(refuse_unread_gguf_keys(config));
  loaded.names = gguf_tensor_names();
  return loaded;
}

}  // namespace

const Architecture kLlamaArchitecture = {
    .name = "llama",
    .hf_class_names = kClassNames,
    .hf_model_types = kModelTypes,
    .gguf_names = kGgufNames,
    .read_hf = read_hf,
    .read_gguf = read_gguf,
};

}  // namespace tattletale

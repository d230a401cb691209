// Qwen3 (dense): Llama with an RMS norm on each q and k head and a head size of its own.
// Sources: Yang et al. 2025 (arXiv:2505.09388); transformers' Qwen3Config.
#include "model/archs/archs.h"
#include "model/archs/gguf_config.h"
#include "model/archs/hf_config.h"
#include "model/archs/rope_config.h"

namespace tattletale {
namespace {

constexpr std::string_view kClassNames[] = {"Qwen3ForCausalLM"};
constexpr std::string_view kModelTypes[] = {"qwen3"};
constexpr std::string_view kGgufNames[] = {"qwen3"};

Result<LoadedConfig> read_hf(const ModelFiles& files) {
  ConfigReader config(files.config, files.config_path);
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  HfDefaults defaults;
  defaults.head_dim = 128;
  defaults.max_position_embeddings = 32768;
  TT_TRY(read_hf_common(config, files, defaults, out));
  TT_TRY(read_hf_qwen_windows(config, files.config, out));
  TT_ASSIGN(out.qkv_bias, config.optional_bool("attention_bias", false));
  out.output_bias = out.qkv_bias;
  out.qk_norm = true;
  TT_ASSIGN(RopeConfig rope, read_hf_rope(config, {}, out));
  out.ropes = {std::move(rope)};
  TT_TRY(refuse_unread_hf_keys(config));
  loaded.names = hf_tensor_names("model.", "lm_head.weight");
  loaded.names.q_norm = "model.layers.{}.self_attn.q_norm.weight";
  loaded.names.k_norm = "model.layers.{}.self_attn.k_norm.weight";
  return loaded;
}

Result<LoadedConfig> read_gguf(const ModelFiles& files) {
  ConfigReader config(*files.gguf, "qwen3");
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  TT_TRY(read_gguf_common(config, files, out));
  TT_TRY(config.refuse("attention.sliding_window", "the file does not say which layers slide"));
  out.qk_norm = true;
  TT_ASSIGN(RopeConfig rope, read_gguf_rope(config, out));
  out.ropes = {std::move(rope)};
  TT_TRY(refuse_unread_gguf_keys(config));
  loaded.names = gguf_tensor_names();
  loaded.names.q_norm = "blk.{}.attn_q_norm.weight";
  loaded.names.k_norm = "blk.{}.attn_k_norm.weight";
  return loaded;
}

}  // namespace

const Architecture kQwen3Architecture = {
    .name = "qwen3",
    .hf_class_names = kClassNames,
    .hf_model_types = kModelTypes,
    .gguf_names = kGgufNames,
    .read_hf = read_hf,
    .read_gguf = read_gguf,
};

}  // namespace tattletale

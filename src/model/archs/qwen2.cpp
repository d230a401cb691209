// Qwen2 and Qwen2.5: Llama with biases on q, k and v, and sliding windows in the upper layers if asked for.
// Sources: Yang et al. 2024 (arXiv:2407.10671); transformers' Qwen2Config.
#include "model/archs/archs.h"
#include "model/archs/gguf_config.h"
#include "model/archs/hf_config.h"
#include "model/archs/rope_config.h"

namespace tattletale {
namespace {

constexpr std::string_view kClassNames[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kModelTypes[] = {"qwen2"};
constexpr std::string_view kGgufNames[] = {"qwen2"};

Result<LoadedConfig> read_hf(const ModelFiles& files) {
  ConfigReader config(files.config, files.config_path);
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  HfDefaults defaults;
  defaults.max_position_embeddings = 32768;
  TT_TRY(read_hf_common(config, files, defaults, out));
  TT_TRY(read_hf_qwen_windows(config, files.config, out));
  out.qkv_bias = true;
  TT_ASSIGN(RopeConfig rope, read_hf_rope(config, {}, out));
  out.ropes = {std::move(rope)};
  TT_TRY(refuse_unread_hf_keys(config));
  loaded.names = hf_tensor_names("model.", "lm_head.weight");
  return loaded;
}

Result<LoadedConfig> read_gguf(const ModelFiles& files) {
  ConfigReader config(*files.gguf, "qwen2");
  LoadedConfig loaded;
  DecoderConfig& out = loaded.config;
  TT_TRY(read_gguf_common(config, files, out));
  TT_TRY(config.refuse("attention.sliding_window", "the file does not say which layers slide"));
  TT_ASSIGN(RopeConfig rope, read_gguf_rope(config, out));
  out.ropes = {std::move(rope)};
  TT_TRY(refuse_unread_gguf_keys(config));
  loaded.names = gguf_tensor_names();
  return loaded;
}

}  // namespace

const Architecture kQwen2Architecture = {
    .name = "qwen2",
    .hf_class_names = kClassNames,
    .hf_model_types = kModelTypes,
    .gguf_names = kGgufNames,
    .read_hf = read_hf,
    .read_gguf = read_gguf,
};

}  // namespace tattletale

// The key sets of published configurations are understood whole: none of their bookkeeping is refused, and
// the numbers that classes leave to their defaults are filled in.
#include <gtest/gtest.h>

#include "model/architecture.h"

namespace tattletale::testing {
namespace {

LoadedConfig read(const char* text) {
  ModelFiles files;
  files.source = ModelSource::safetensors;
  files.config_path = "config.json";
  files.config = *parse_json(text, "config.json");
  Result<LoadedConfig> loaded = read_architecture(files);
  EXPECT_TRUE(loaded.has_value()) << loaded.error().message();
  return loaded.has_value() ? std::move(*loaded) : LoadedConfig{};
}

TEST(PublishedConfigs, SmolLm2) {
  const DecoderConfig config = read(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
      "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
      "initializer_range": 0.041666, "intermediate_size": 1536, "is_llama_config": true, "mlp_bias": false,
      "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
      "num_key_value_heads": 3, "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
      "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
      "torch_dtype": "bfloat16", "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 49152,
      "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}})")
                                   .config;
  EXPECT_EQ(config.head_dim, 64u);
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.ropes[0].theta, 100000.0);
}

TEST(PublishedConfigs, Llama31) {
  const DecoderConfig config = read(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
      "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009],
      "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
      "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
      "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 8192, "rope_type": "llama3"},
      "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
      "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 128256})")
                                   .config;
  EXPECT_EQ(config.ropes[0].kind, RopeScalingKind::llama3);
  EXPECT_EQ(config.end_ids.size(), 3u);
}

TEST(PublishedConfigs, Mistral) {
  const char* const text = R"({"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
      "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
      "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
      "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
      "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000})";
  EXPECT_EQ(read(text).config.layers[31].window_tokens, 4096u);
  const std::string later = std::string(text).replace(std::string(text).find("\"sliding_window\": 4096"), 22,
                                                      "\"sliding_window\": null");
  EXPECT_EQ(read(later.c_str()).config.layers[31].window_tokens, 0u);
}

TEST(PublishedConfigs, Qwen25) {
  const DecoderConfig config = read(R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0,
      "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584,
      "initializer_range": 0.02, "intermediate_size": 18944, "max_position_embeddings": 32768,
      "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28,
      "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
      "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "use_mrope": false,
      "use_sliding_window": false, "vocab_size": 152064})")
                                   .config;
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_EQ(config.layers[27].window_tokens, 0u);
}

TEST(PublishedConfigs, Qwen3) {
  const DecoderConfig config = read(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
      "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128,
      "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3072,
      "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
      "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
      "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
      "use_cache": true, "use_sliding_window": false, "vocab_size": 151936})")
                                   .config;
  EXPECT_TRUE(config.qk_norm);
  EXPECT_EQ(config.head_dim, 128u);
}

TEST(PublishedConfigs, Gemma3Text) {
  const DecoderConfig config = read(R"({"architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
      "attention_dropout": 0.0, "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid",
      "eos_token_id": [1, 106], "final_logit_softcapping": null, "head_dim": 256,
      "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "initializer_range": 0.02,
      "intermediate_size": 6912, "max_position_embeddings": 32768, "model_type": "gemma3_text",
      "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1, "pad_token_id": 0,
      "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": null,
      "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16",
      "use_cache": true, "vocab_size": 262144})")
                                   .config;
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.layers[4].window_tokens, 512u);
  EXPECT_EQ(config.layers[5].window_tokens, 0u);
  EXPECT_EQ(config.ropes[config.layers[4].rope_index].theta, 10000.0);
  EXPECT_FLOAT_EQ(config.attention_scale, 1.0f / 16.0f);
}

TEST(PublishedConfigs, Gemma3Multimodal) {
  const LoadedConfig loaded =
      read(R"({"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999,
      "eoi_token_index": 256000, "eos_token_id": [1, 106], "image_token_index": 262144, "initializer_range": 0.02,
      "mm_tokens_per_image": 256, "model_type": "gemma3", "torch_dtype": "bfloat16",
      "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                      "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                      "sliding_window": 1024},
      "vision_config": {"hidden_size": 1152, "image_size": 896, "num_hidden_layers": 27}})");
  EXPECT_EQ(loaded.config.num_q_heads, 8u);
  EXPECT_EQ(loaded.config.num_kv_heads, 4u);
  EXPECT_EQ(loaded.config.vocab_size, 262208u);
  EXPECT_EQ(loaded.config.ropes[0].scale, 8.0);
  EXPECT_EQ(loaded.config.ropes[1].kind, RopeScalingKind::none);
  EXPECT_EQ(loaded.config.end_ids.size(), 2u);
}

}  // namespace
}  // namespace tattletale::testing

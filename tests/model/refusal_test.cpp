// A model that would be computed wrongly does not start: every key that matters is read or refused by name
// and value, and missing or misshapen tensors are named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends/cpu/cpu_device.h"
#include "model/architecture.h"
#include "model/tiny_checkpoint.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;

struct Refusal {
  const char* name;
  const char* tiny;
  const char* patch;  // merged into config.json; a null stays a null
  ErrorKind kind;
  std::vector<std::string> parts;  // of the message
};

const Refusal kRefusals[] = {
    {"class",
     "qwen2",
     R"({"architectures": ["FooForCausalLM"]})",
     ErrorKind::unsupported,
     {"tiny/config.json", "FooForCausalLM", "LlamaForCausalLM", "Gemma3ForCausalLM"}},
    {"class_of_another_task",
     "qwen2",
     R"({"architectures": ["LlamaForSequenceClassification"]})",
     ErrorKind::unsupported,
     {"LlamaForSequenceClassification"}},
    {"model_type",
     "qwen2",
     R"({"architectures": null, "model_type": "mamba"})",
     ErrorKind::unsupported,
     {"model_type", "mamba", "qwen3"}},
    {"no_name", "qwen2", R"({"architectures": [], "model_type": null})", ErrorKind::bad_file, {"model_type"}},
    {"hidden_act",
     "llama_gqa1_head16",
     R"({"hidden_act": "relu"})",
     ErrorKind::unsupported,
     {"tiny/config.json", "hidden_act", "relu", "silu"}},
    {"no_hidden_act", "llama_gqa1_head16", R"({"hidden_act": null})", ErrorKind::not_found, {"hidden_act"}},
    {"quantization",
     "llama_gqa1_head16",
     R"({"quantization_config": {"quant_method": "gptq"}})",
     ErrorKind::unsupported,
     {"quantization_config", "gptq", "GGUF"}},
    {"experts",
     "qwen3_head_dim_given",
     R"({"num_experts": 8})",
     ErrorKind::unsupported,
     {"num_experts", "8"}},
    {"softcap",
     "gemma3_v4",
     R"({"final_logit_softcapping": 30.0})",
     ErrorKind::unsupported,
     {"final_logit_softcapping", "30"}},
    {"attention_softcap",
     "gemma3_v4",
     R"({"attn_logit_softcapping": 50.0})",
     ErrorKind::unsupported,
     {"attn_logit_softcapping", "50"}},
    {"bidirectional",
     "gemma3_v4",
     R"({"use_bidirectional_attention": true})",
     ErrorKind::unsupported,
     {"use_bidirectional_attention", "causal"}},
    {"unknown_key",
     "llama_gqa1_head16",
     R"({"residual_multiplier": 0.22})",
     ErrorKind::unsupported,
     {"residual_multiplier", "0.22"}},
    {"window_of_plain_llama",
     "llama_gqa1_head16",
     R"({"sliding_window": 512})",
     ErrorKind::unsupported,
     {"sliding_window", "512"}},
    {"rope_kind",
     "llama_gqa1_head16",
     R"({"rope_scaling": {"type": "longrope", "factor": 4}})",
     ErrorKind::unsupported,
     {"rope_scaling.type", "longrope", "llama3"}},
    {"rope_kind_v5",
     "llama_linear_v5",
     R"({"rope_parameters": {"rope_type": "mrope"}})",
     ErrorKind::unsupported,
     {"rope_parameters.rope_type", "mrope"}},
    {"rope_two_kinds",
     "llama_linear_v4",
     R"({"rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 2}})",
     ErrorKind::unsupported,
     {"rope_scaling.rope_type", "yarn", "linear"}},
    {"rope_key",
     "llama_linear_v4",
     R"({"rope_scaling": {"type": "default", "mrope_section": [16, 24]}})",
     ErrorKind::unsupported,
     {"rope_scaling.mrope_section"}},
    {"rope_disagrees",
     "llama_linear_v5",
     R"({"rope_scaling": {"type": "linear", "factor": 4}})",
     ErrorKind::unsupported,
     {"rope_scaling", "rope_parameters"}},
    {"rope_factor",
     "llama_gqa1_head16",
     R"({"rope_scaling": {"type": "linear", "factor": 0}})",
     ErrorKind::bad_file,
     {"rope_scaling.factor"}},
    {"rope_factor_missing",
     "llama_gqa1_head16",
     R"({"rope_scaling": {"type": "linear"}})",
     ErrorKind::not_found,
     {"rope_scaling.factor"}},
    {"rope_not_an_object",
     "llama_gqa1_head16",
     R"({"rope_scaling": "linear"})",
     ErrorKind::bad_file,
     {"rope_scaling"}},
    {"llama3_factors",
     "llama_llama3_v4",
     R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
        "low_freq_factor": 4.0, "high_freq_factor": 1.0, "original_max_position_embeddings": 64}})",
     ErrorKind::bad_file,
     {"high_freq_factor", "low_freq_factor"}},
    {"flat_gemma_rope",
     "gemma3_v4",
     R"({"rope_parameters": {"rope_type": "default", "rope_theta": 10000}})",
     ErrorKind::unsupported,
     {"rope_parameters.rope_type"}},
    {"layer_type",
     "gemma3_v5_layer_types",
     R"({"layer_types": ["full_attention", "chunked_attention", "full_attention", "full_attention"]})",
     ErrorKind::unsupported,
     {"layer_types", "chunked_attention", "layer 1"}},
    {"layer_types_length",
     "gemma3_v5_layer_types",
     R"({"layer_types": ["full_attention"]})",
     ErrorKind::bad_file,
     {"layer_types", "1 entries", "4"}},
    {"layer_types_without_window",
     "qwen2",
     R"({"layer_types": ["full_attention", "sliding_attention"]})",
     ErrorKind::unsupported,
     {"layer_types", "use_sliding_window"}},
    {"mistral_layer_types",
     "mistral_window",
     R"({"layer_types": ["full_attention"]})",
     ErrorKind::unsupported,
     {"layer_types"}},
    {"gemma_without_window",
     "gemma3_v4",
     R"({"sliding_window": null})",
     ErrorKind::unsupported,
     {"sliding_window", "null"}},
    {"heads_uneven", "llama_gqa1_head16", R"({"num_key_value_heads": 3})", ErrorKind::bad_file, {"4", "3"}},
    {"head_dim_odd",
     "llama_gqa1_head16",
     R"({"head_dim": 20})",
     ErrorKind::unsupported,
     {"20", "multiple of 8"}},
    {"heads_without_head_dim",
     "llama_gqa1_head16",
     R"({"num_attention_heads": 5})",
     ErrorKind::bad_file,
     {"hidden_size", "64", "5", "head_dim"}},
    {"zero_layers",
     "llama_gqa1_head16",
     R"({"num_hidden_layers": 0})",
     ErrorKind::bad_file,
     {"num_hidden_layers", "0"}},
    {"many_layers",
     "llama_gqa1_head16",
     R"({"num_hidden_layers": 1000000000})",
     ErrorKind::bad_file,
     {"num_hidden_layers", "1000000000", "1000"}},
    {"negative_hidden",
     "llama_gqa1_head16",
     R"({"hidden_size": -64})",
     ErrorKind::bad_file,
     {"hidden_size", "-64"}},
    {"hidden_text",
     "llama_gqa1_head16",
     R"({"hidden_size": "64"})",
     ErrorKind::bad_file,
     {"hidden_size", "64"}},
    {"hidden_missing",
     "llama_gqa1_head16",
     R"({"hidden_size": null})",
     ErrorKind::not_found,
     {"hidden_size"}},
    {"huge_vocab", "llama_gqa1_head16", R"({"vocab_size": 4294967296})", ErrorKind::bad_file, {"vocab_size"}},
    {"theta", "llama_gqa1_head16", R"({"rope_theta": 0})", ErrorKind::bad_file, {"rope_theta", "0"}},
    {"eps", "llama_gqa1_head16", R"({"rms_norm_eps": -1e-5})", ErrorKind::bad_file, {"rms_norm_eps"}},
    {"tied_text",
     "llama_gqa1_head16",
     R"({"tie_word_embeddings": "yes"})",
     ErrorKind::bad_file,
     {"tie_word_embeddings"}},
    {"partial_rotary_small",
     "llama_gqa1_head16",
     R"({"partial_rotary_factor": 0.1})",
     ErrorKind::bad_file,
     {"1 rotated"}},
    {"end_token",
     "llama_gqa1_head16",
     R"({"eos_token_id": "two"})",
     ErrorKind::bad_file,
     {"eos_token_id", "two"}},
};

class ConfigRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(ConfigRefusal, NamesKeyAndValue) {
  const Refusal& refusal = GetParam();
  TinyCase tiny = tiny_case(refusal.tiny);
  const Result<Json> patch = parse_json(refusal.patch, "patch");
  ASSERT_TRUE(patch.has_value());
  for (const auto& [key, value] : patch->items()) tiny.config[key] = value;
  const Result<LoadedConfig> loaded = read_architecture(tiny_safetensors(tiny, all_matrices(DType::f32)));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().kind, refusal.kind) << loaded.error().message();
  for (const std::string& part : refusal.parts) EXPECT_THAT(loaded.error().message(), HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Keys, ConfigRefusal, ::testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Configs, HarmlessKeysPass) {
  TinyCase tiny = tiny_case("llama_gqa1_head16");
  const char* const patches[] = {R"({"attention_dropout": 0.1})",
                                 R"({"initializer_range": 0.02})",
                                 R"({"transformers_version": "4.57.1"})",
                                 R"({"pretraining_tp": 1})",
                                 R"({"_name_or_path": "somewhere"})",
                                 R"({"rope_interleaved": false})",
                                 R"({"num_experts": 0})",
                                 R"({"quantization_config": null})",
                                 R"({"my_notes": "hello"})"};
  for (const char* patch : patches) {
    for (const auto& [key, value] : parse_json(patch, "patch")->items()) tiny.config[key] = value;
  }
  const Result<LoadedConfig> loaded = read_architecture(tiny_safetensors(tiny, all_matrices(DType::f32)));
  EXPECT_TRUE(loaded.has_value()) << loaded.error().message();
}

TEST(Configs, EndTokensOfBothFilesAreJoined) {
  const TinyCase& tiny = tiny_case("gemma3_multimodal");
  ModelFiles files = tiny_safetensors(tiny, all_matrices(DType::f32));
  files.generation_config = Json{{"eos_token_id", {1, 50, 1000}}};  // 1000 is outside the vocabulary
  const Result<LoadedConfig> loaded = read_architecture(files);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_THAT(loaded->config.end_ids, ::testing::UnorderedElementsAre(1, 50, 106));
}

TEST(Configs, ModelTypeServesWhereNoClassIsNamed) {
  TinyCase tiny = tiny_case("qwen3_windows");
  tiny.config.erase("architectures");
  const Result<LoadedConfig> loaded = read_architecture(tiny_safetensors(tiny, all_matrices(DType::f32)));
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->config.arch, "qwen3");
}

/// The message with which loading fails.
std::string load_error(const ModelFiles& files) {
  const Result<std::unique_ptr<Device>> device = open_cpu_device(1);
  const Result<std::unique_ptr<Decoder>> decoder = load_decoder(**device, files, 0);
  return decoder.has_value() ? "it loaded" : decoder.error().message();
}

TEST(Tensors, MissingOnesAreNamed) {
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
                           "model.layers.1.mlp.up_proj.weight", "model.layers.0.self_attn.k_proj.bias",
                           "model.layers.1.input_layernorm.weight"}) {
    TinyCase tiny = tiny_case("qwen2");
    ASSERT_EQ(tiny.tensors.erase(name), 1u);
    EXPECT_THAT(load_error(tiny_safetensors(tiny, all_matrices(DType::f32))), HasSubstr(name));
  }
}

TEST(Tensors, WrongShapesAreNamed) {
  TinyCase tiny = tiny_case("qwen2");
  tiny.config["intermediate_size"] = 64;
  const std::string message = load_error(tiny_safetensors(tiny, all_matrices(DType::f32)));
  EXPECT_THAT(message, HasSubstr("model.layers.0.mlp.gate_proj.weight"));
  EXPECT_THAT(message, HasSubstr("[96, 128]"));
  EXPECT_THAT(message, HasSubstr("[64, 128]"));
}

TEST(Tensors, WrongTypesAreNamed) {
  TinyCase tiny = tiny_case("qwen2");
  const auto one_int = [](const std::string& name, const Shape&) {
    return name == "model.layers.1.mlp.down_proj.weight" ? DType::i32 : DType::f32;
  };
  const std::string message = load_error(tiny_safetensors(tiny, one_int));
  EXPECT_THAT(message, HasSubstr("model.layers.1.mlp.down_proj.weight"));
  EXPECT_THAT(message, HasSubstr("i32"));
}

// A bias in the file that the configuration denies would be left out silently.
TEST(Tensors, UnclaimedOnesAreRefused) {
  TinyCase tiny = tiny_case("llama_biases_gelu");
  tiny.config["attention_bias"] = false;
  const Result<LoadedConfig> loaded = read_architecture(tiny_safetensors(tiny, all_matrices(DType::f32)));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(loaded.error().message(), HasSubstr("model.layers.0.self_attn.k_proj.bias"));
}

struct GgufRefusal {
  const char* name;
  const char* tiny;
  void (*add_keys)(GgufWriter& writer);
  std::vector<std::string> parts;
};

const GgufRefusal kGgufRefusals[] = {
    {"experts",
     "qwen3_head_dim_given",
     [](GgufWriter& w) { w.add_u32("qwen3.expert_count", 8); },
     {"tiny.gguf", "qwen3.expert_count", "8"}},
    {"softcap",
     "gemma3_multimodal",
     [](GgufWriter& w) { w.add_f32("gemma3.final_logit_softcapping", 30.0f); },
     {"gemma3.final_logit_softcapping", "30"}},
    {"window",
     "qwen2",
     [](GgufWriter& w) { w.add_u32("qwen2.attention.sliding_window", 64); },
     {"qwen2.attention.sliding_window", "64"}},
    {"not_causal",
     "qwen2",
     [](GgufWriter& w) { w.add_bool("qwen2.attention.causal", false); },
     {"qwen2.attention.causal", "false"}},
    {"rope_kind",
     "qwen2",
     [](GgufWriter& w) {
       w.add_string("qwen2.rope.scaling.type", "longrope");
       w.add_f32("qwen2.rope.scaling.factor", 4.0f);
     },
     {"qwen2.rope.scaling.type", "longrope", "yarn"}},
    {"unknown_key",
     "qwen2",
     [](GgufWriter& w) { w.add_f32("qwen2.residual_scale", 0.5f); },
     {"qwen2.residual_scale"}},
    {"rotary", "qwen2", [](GgufWriter& w) { w.add_u32("qwen2.rope.dimension_count", 64); }, {"64", "32"}},
};

class GgufKeyRefusal : public ::testing::TestWithParam<GgufRefusal> {};

TEST_P(GgufKeyRefusal, NamesKeyAndValue) {
  const GgufRefusal& refusal = GetParam();
  const ModelFiles files = tiny_gguf(tiny_case(refusal.tiny), all_matrices(DType::f32), refusal.add_keys);
  const Result<LoadedConfig> loaded = read_architecture(files);
  ASSERT_FALSE(loaded.has_value());
  for (const std::string& part : refusal.parts) EXPECT_THAT(loaded.error().message(), HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Keys, GgufKeyRefusal, ::testing::ValuesIn(kGgufRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

/// A GGUF of metadata and an embedding table only.
Result<LoadedConfig> read_bare_gguf(const std::function<void(GgufWriter&)>& add_keys) {
  GgufWriter writer;
  add_keys(writer);
  const std::vector<float> table(64 * 32, 0.0f);
  writer.add_tensor("token_embd.weight", DType::f32, Shape{64, 32}, std::as_bytes(std::span(table)));
  const auto bytes = std::make_shared<std::vector<std::byte>>(std::move(*writer.to_bytes()));
  ModelFiles files;
  files.source = ModelSource::gguf;
  files.gguf = *GgufFile::parse(*bytes, bytes, "bare.gguf");
  const GgufTensor& tensor = files.gguf->tensors()[0];
  files.add_tensor(tensor.name, TensorView{*tensor.dtype, tensor.shape, tensor.bytes});
  return read_architecture(files);
}

void add_sizes(GgufWriter& writer) {
  writer.add_string("general.architecture", "llama");
  writer.add_u32("llama.block_count", 2);
  writer.add_u32("llama.context_length", 128);
  writer.add_u32("llama.embedding_length", 32);
  writer.add_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

TEST(GgufConfigs, SizesMayBeListsOfEqualNumbers) {
  const std::vector<uint32_t> ffn = {96, 96}, heads = {2, 2};
  const Result<LoadedConfig> loaded = read_bare_gguf([&](GgufWriter& w) {
    add_sizes(w);
    w.add_u32_array("llama.feed_forward_length", ffn);
    w.add_u32_array("llama.attention.head_count", heads);
  });
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->config.ffn_dim, 96u);
  EXPECT_EQ(loaded->config.num_kv_heads, 2u);
  EXPECT_EQ(loaded->config.head_dim, 16u);
  EXPECT_TRUE(loaded->config.tied_head);
}

TEST(GgufConfigs, UnequalLayersAreRefused) {
  const std::vector<uint32_t> ffn = {96, 64};
  const Result<LoadedConfig> loaded = read_bare_gguf([&](GgufWriter& w) {
    add_sizes(w);
    w.add_u32_array("llama.feed_forward_length", ffn);
    w.add_u32("llama.attention.head_count", 2);
  });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message(), HasSubstr("feed_forward_length"));
  EXPECT_THAT(loaded.error().message(), HasSubstr("96 and 64"));
}

TEST(GgufConfigs, GemmaLayersMayBeAListOfFlags) {
  const bool flags[] = {false, true};
  const auto add_flags = [&](GgufWriter& w) {
    w.add_bool_array("gemma3.attention.sliding_window_pattern", flags);
  };
  const ModelFiles files = tiny_gguf(tiny_case("gemma3_multimodal"), all_matrices(DType::f32), add_flags);
  const Result<LoadedConfig> loaded = read_architecture(files);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->config.layers[0].window_tokens, 0u);
  EXPECT_EQ(loaded->config.layers[1].window_tokens, 32u);
}

TEST(GgufConfigs, MissingKeysAndValueLengthAreNamed) {
  Result<LoadedConfig> loaded = read_bare_gguf([&](GgufWriter& w) { add_sizes(w); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message(), HasSubstr("llama.feed_forward_length"));
  loaded = read_bare_gguf([&](GgufWriter& w) {
    add_sizes(w);
    w.add_u32("llama.feed_forward_length", 96);
    w.add_u32("llama.attention.head_count", 2);
    w.add_u32("llama.attention.value_length", 8);
  });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message(), HasSubstr("llama.attention.value_length"));
  loaded = read_bare_gguf([&](GgufWriter& w) { w.add_string("general.architecture", "rwkv7"); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message(), HasSubstr("rwkv7"));
  EXPECT_THAT(loaded.error().message(), HasSubstr("gemma3"));
}

}  // namespace
}  // namespace tattletale::testing

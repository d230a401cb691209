// The comparison with transformers has teeth: each number of a configuration, changed a little, is noticed.
#include <gtest/gtest.h>

#include "model/decoder_harness.h"
#include "model/tiny_checkpoint.h"

namespace tattletale::testing {
namespace {

struct Fault {
  const char* name;
  const char* tiny;
  void (*plant)(DecoderConfig& config);
};

constexpr Fault kFaults[] = {
    {"theta", "llama_gqa1_head16", [](DecoderConfig& c) { c.ropes[0].theta *= 1.01; }},
    {"rope_layout", "llama_gqa1_head16", [](DecoderConfig& c) { c.rope_layout = RopeLayout::interleaved; }},
    {"norm_eps", "qwen3_default_head_dim", [](DecoderConfig& c) { c.norm_eps = 1e-3f; }},
    {"attention_scale", "llama_head80", [](DecoderConfig& c) { c.attention_scale *= 1.01f; }},
    {"activation", "llama_head80", [](DecoderConfig& c) { c.activation = Activation::gelu_tanh; }},
    {"qkv_bias", "qwen2", [](DecoderConfig& c) { c.qkv_bias = false; }},
    {"output_bias", "llama_biases_gelu", [](DecoderConfig& c) { c.output_bias = false; }},
    {"mlp_bias", "llama_biases_gelu", [](DecoderConfig& c) { c.mlp_bias = false; }},
    {"window_longer", "mistral_window", [](DecoderConfig& c) { c.layers[1].window_tokens = 33; }},
    {"window_shorter", "mistral_window", [](DecoderConfig& c) { c.layers[0].window_tokens = 31; }},
    {"window_of_wrong_layer", "qwen2_upper_windows",
     [](DecoderConfig& c) { std::swap(c.layers[0], c.layers[3]); }},
    {"local_rope", "gemma3_v4", [](DecoderConfig& c) { c.layers[0].rope_index = 0; }},
    {"global_rope", "gemma3_v4", [](DecoderConfig& c) { c.layers[2].rope_index = 1; }},
    {"embed_scale", "gemma3_v4", [](DecoderConfig& c) { c.embed_scale *= 1.01f; }},
    {"norm_weight_offset", "gemma3_v4", [](DecoderConfig& c) { c.norm_weight_offset = 0.0f; }},
    {"post_norms", "gemma3_v4", [](DecoderConfig& c) { c.post_norms = false; }},
    {"qk_norm", "qwen3_head_dim_given", [](DecoderConfig& c) { c.qk_norm = false; }},
    {"linear_scale", "llama_linear_v4", [](DecoderConfig& c) { c.ropes[0].scale *= 1.01; }},
    {"dynamic_context", "llama_dynamic_v5",
     [](DecoderConfig& c) { c.ropes[0].original_context_tokens += 1; }},
    {"yarn_beta", "llama_yarn_v5_all_keys", [](DecoderConfig& c) { c.ropes[0].beta_slow = 1.0; }},
    {"yarn_truncate", "llama_yarn_v5_all_keys", [](DecoderConfig& c) { c.ropes[0].truncate = true; }},
    {"yarn_attention_factor", "llama_yarn_v4", [](DecoderConfig& c) { c.ropes[0].attention_factor = 1.0; }},
    {"llama3_context", "llama_llama3_v4", [](DecoderConfig& c) { c.ropes[0].original_context_tokens += 4; }},
    {"partial_rotary", "llama_partial_rotary", [](DecoderConfig& c) { c.ropes[0].rotary_dim = 32; }},
};

class PlantedFault : public ::testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, IsNoticed) {
  const Fault& fault = GetParam();
  const TinyCase& tiny = tiny_case(fault.tiny);
  const ModelFiles files = tiny_safetensors(tiny, all_matrices(DType::f32));
  Result<LoadedConfig> loaded = read_architecture(files);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  fault.plant(loaded->config);
  HarnessOptions options;
  options.context_tokens = tiny.token_ids.size();
  const auto harness = DecoderHarness::open(files, *loaded, options);
  ASSERT_TRUE(harness.has_value()) << harness.error().message();
  const Result<std::vector<float>> logits = (*harness)->prefill(tiny.token_ids, 150);
  ASSERT_TRUE(logits.has_value());
  EXPECT_GT(row_error(rows_at(*logits, tiny.positions), tiny.logits, kTinyVocab), 1e-3)
      << "tolerance is 1e-4";
}

INSTANTIATE_TEST_SUITE_P(Faults, PlantedFault, ::testing::ValuesIn(kFaults),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tattletale::testing

// Logits of tiny random models against Hugging Face transformers, through both containers and on two devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/decoder_harness.h"
#include "model/tiny_checkpoint.h"

namespace tattletale::testing {
namespace {

// The norm is max|a - b| / max|b| over the 128 logits of a position. The reference ran in f32 with sums in
// another order; angles are f32 there and f64 here.
constexpr double kF32Tolerance = 1e-4;

Result<std::vector<float>> run(const ModelFiles& files, const TinyCase& tiny, HarnessOptions options) {
  options.context_tokens = tiny.token_ids.size();  // what dynamic scaling saw in the reference
  TT_ASSIGN(const std::unique_ptr<DecoderHarness> harness, DecoderHarness::open(files, options));
  TT_ASSIGN(const std::vector<float> logits,
            harness->prefill(tiny.token_ids, static_cast<uint32_t>(tiny.token_ids.size())));
  return rows_at(logits, tiny.positions);
}

void expect_logits(const ModelFiles& files, const TinyCase& tiny, const HarnessOptions& options) {
  const Result<std::vector<float>> logits = run(files, tiny, options);
  ASSERT_TRUE(logits.has_value()) << logits.error().message();
  EXPECT_LT(row_error(*logits, tiny.logits, kTinyVocab), kF32Tolerance);
}

/// The reference's own weights: rounded to bf16 where it saw them so.
TinyCase as_reference(const TinyCase& tiny) {
  return tiny.bf16 ? dequantized(tiny, all_tensors(DType::bf16)) : tiny;
}

class TinyLogits : public ::testing::TestWithParam<size_t> {
 protected:
  const TinyCase& tiny() const { return tiny_cases()[GetParam()]; }
};

TEST_P(TinyLogits, TwinsMatchTransformers) {
  expect_logits(tiny_safetensors(as_reference(tiny()), all_matrices(DType::f32)), tiny(), {.twin = true});
}

TEST_P(TinyLogits, CpuMatchesTransformers) {
  expect_logits(tiny_safetensors(as_reference(tiny()), all_matrices(DType::f32)), tiny(), {});
}

/// What GGUF cannot say: dynamic scaling, Qwen's windows, partial rotation in Llama's permuted layout, yarn's
/// extra keys, attention scales of Gemma other than head_dim^-0.5, other patterns than every sixth layer,
/// other local bases.
bool gguf_can_hold(const TinyCase& tiny) {
  for (const char* name : {"dynamic", "partial_rotary", "yarn_v5_all_keys", "yarn_mscale", "llama3", "gelu",
                           "windows", "qwen2_layer_types", "gemma3_v4", "gemma3_v5", "gemma3_untied"}) {
    if (tiny.name.find(name) != std::string::npos) return false;
  }
  return true;
}

TEST_P(TinyLogits, GgufMatchesTransformers) {
  if (!gguf_can_hold(tiny())) GTEST_SKIP() << "GGUF has no keys for this configuration";
  expect_logits(tiny_gguf(as_reference(tiny()), all_matrices(DType::f32)), tiny(), {});
}

INSTANTIATE_TEST_SUITE_P(Cases, TinyLogits, ::testing::Range<size_t>(0, tiny_cases().size()),
                         [](const auto& info) { return tiny_cases()[info.param].name; });

// Every sixth layer of a GGUF Gemma is global; the recorded case of that pattern has an attention scale of
// its own, so both containers are given the same one here.
TEST(GgufLogits, GemmaPatternMatchesSafetensors) {
  TinyCase tiny = tiny_case("gemma3_v4_linear");
  tiny.config["query_pre_attn_scalar"] = 32;
  const Result<std::vector<float>> expected = run(tiny_safetensors(tiny, all_matrices(DType::f32)), tiny, {});
  const Result<std::vector<float>> actual = run(tiny_gguf(tiny, all_matrices(DType::f32)), tiny, {});
  ASSERT_TRUE(expected.has_value() && actual.has_value());
  EXPECT_LT(row_error(*actual, *expected, kTinyVocab), kF32Tolerance);
}

// Llama 3's frequencies come as divisors in a tensor of their own.
TEST(GgufLogits, RopeFreqsTensorMatchesLlama3Scaling) {
  const TinyCase& tiny = tiny_case("llama_llama3_v5");
  const Result<LoadedConfig> hf = read_architecture(tiny_safetensors(tiny, all_matrices(DType::f32)));
  ASSERT_TRUE(hf.has_value());
  RopeConfig rope = hf->config.ropes[0];
  const RopeTable scaled = make_rope_table(rope, 0);
  rope.kind = RopeScalingKind::none;
  const RopeTable plain = make_rope_table(rope, 0);
  std::vector<float> divisors;
  for (size_t i = 0; i < plain.inv_freq.size(); ++i)
    divisors.push_back(plain.inv_freq[i] / scaled.inv_freq[i]);
  ModelFiles files = tiny_gguf(tiny, all_matrices(DType::f32));
  files.add_tensor("rope_freqs.weight", TensorView{DType::f32, Shape{static_cast<int64_t>(divisors.size())},
                                                   std::as_bytes(std::span(divisors))});
  expect_logits(files, tiny, {});
}

// bf16 weights as stored: the CPU may round activations to bf16 (2^-9 each) where it multiplies them, and a
// handful of such roundings per layer add up as a random walk. The twin computes in f64, so there only the
// f32 stores differ.
TEST(StoredFormats, Bf16) {
  for (const char* name : {"llama_bf16", "gemma3_untied_bf16"}) {
    const TinyCase& tiny = tiny_case(name);
    const ModelFiles files = tiny_safetensors(tiny, all_tensors(DType::bf16));
    expect_logits(files, tiny, {.twin = true});
    const Result<std::vector<float>> logits = run(files, tiny, {});
    ASSERT_TRUE(logits.has_value()) << logits.error().message();
    RecordProperty(name, std::to_string(rms_error(*logits, tiny.logits)));
    EXPECT_LT(rms_error(*logits, tiny.logits), 1e-2) << name;
  }
}

class StoredFormat : public ::testing::TestWithParam<DType> {};

// A quantized model against the f32 model of the same, decoded weights: exact on the twins. Devices may round
// activations to 8 bits per block of 32; how far that moves the logits depends on the model (percents in
// these small, chaotic ones), so the yardstick is the twin with that very rounding. Roundings of other
// devices are no coarser, but fall elsewhere: one and a half times its distance is allowed.
TEST_P(StoredFormat, MatchesItsDequantizedModel) {
  const DType dtype = GetParam();
  for (const char* name : {"llama_llama3_v5", "qwen3_head_dim_given", "gemma3_v4"}) {
    const TinyCase& tiny = tiny_case(name);
    const DTypeOf dtype_of = all_matrices(dtype);
    const ModelFiles plain = tiny_safetensors(dequantized(tiny, dtype_of), all_matrices(DType::f32));
    const ModelFiles packed = tiny_safetensors(tiny, dtype_of);
    const Result<std::vector<float>> expected = run(plain, tiny, {.twin = true});
    const Result<std::vector<float>> twin = run(packed, tiny, {.twin = true});
    const Result<std::vector<float>> rounded = run(packed, tiny, {.twin = true, .twin_rounds = true});
    const Result<std::vector<float>> cpu = run(packed, tiny, {});
    ASSERT_TRUE(expected.has_value() && twin.has_value() && rounded.has_value());
    ASSERT_TRUE(cpu.has_value()) << cpu.error().message();
    EXPECT_LT(row_error(*twin, *expected, kTinyVocab), kF32Tolerance) << name;
    const double yardstick = rms_error(*rounded, *expected);
    EXPECT_LT(rms_error(*cpu, *expected), std::max(1.5 * yardstick, kF32Tolerance)) << name;
    RecordProperty(std::string(name) + "_yardstick", std::to_string(yardstick));
    RecordProperty(std::string(name) + "_cpu_to_exact", std::to_string(rms_error(*cpu, *expected)));
    RecordProperty(std::string(name) + "_cpu_to_rounded", std::to_string(rms_error(*cpu, *rounded)));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, StoredFormat,
                         ::testing::Values(DType::f16, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1,
                                           DType::q8_0, DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k,
                                           DType::q6_k, DType::iq4_nl, DType::iq4_xs),
                         [](const auto& info) { return std::string(dtype_name(info.param)); });

// Keys and values in 16 bits: 2^-11 and 2^-8 of rounding before a mean over many positions.
TEST(StoredFormats, SixteenBitCache) {
  const TinyCase& tiny = tiny_case("llama_gqa3_head64");
  const ModelFiles files = tiny_safetensors(tiny, all_matrices(DType::f32));
  for (const auto& [dtype, tolerance] : {std::pair{DType::f16, 5e-3}, std::pair{DType::bf16, 3e-2}}) {
    const Result<std::vector<float>> logits = run(files, tiny, HarnessOptions{.kv_dtype = dtype});
    ASSERT_TRUE(logits.has_value()) << logits.error().message();
    EXPECT_LT(rms_error(*logits, tiny.logits), tolerance) << dtype_name(dtype);
    EXPECT_GT(rms_error(*logits, tiny.logits), 1e-6) << "the cache was not " << dtype_name(dtype);
  }
}

}  // namespace
}  // namespace tattletale::testing

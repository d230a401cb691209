// Tiny random models of every architecture on every device: their logits against those that Hugging Face
// transformers gave, packed weights against the same weights decoded, and 16-bit weights against the CPU.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "model/decoder_harness.h"
#include "model/tiny_checkpoint.h"
#include "support/test_devices.h"

namespace tattletale::testing {
namespace {

// max|a - b| / max|b| of a position's logits. The reference ran in f32 with sums in another order.
constexpr double kF32Tolerance = 1e-4;
// Kullback-Leibler divergence of next-token probabilities, nats a token.
constexpr double kMaxDivergence = 1e-4;

// What software drivers compute: one of each kind of layer. Their compilers take seconds for each new shape.
constexpr const char* kShortList[] = {
    "llama_gqa3_head64",    "llama_biases_gelu", "llama_llama3_v5", "mistral_window", "qwen2",
    "qwen3_head_dim_given", "gemma3_v4",         "llama_head80"};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Nats a token from row to row, the greatest.
double worst_divergence(const std::vector<float>& p_logits, const std::vector<float>& q_logits,
                        size_t columns) {
  double worst = 0.0;
  const auto log_sum = [&](const float* row) {
    const double top = *std::max_element(row, row + columns);
    double sum = 0.0;
    for (size_t i = 0; i < columns; ++i) sum += std::exp(row[i] - top);
    return top + std::log(sum);
  };
  for (size_t row = 0; row < p_logits.size(); row += columns) {
    const float *p = p_logits.data() + row, *q = q_logits.data() + row;
    const double p_sum = log_sum(p), q_sum = log_sum(q);
    double divergence = 0.0;
    for (size_t i = 0; i < columns; ++i) {
      divergence += std::exp(p[i] - p_sum) * ((p[i] - p_sum) - (q[i] - q_sum));
    }
    if (!(divergence <= worst)) worst = divergence;  // a NaN stays
  }
  return worst;
}

class TinyModels : public ::testing::TestWithParam<DeviceListing> {
 protected:
  Result<std::vector<float>> run(const ModelFiles& files, const TinyCase& tiny, HarnessOptions options) {
    options.context_tokens = tiny.token_ids.size();  // what dynamic scaling saw in the reference
    TT_ASSIGN(const std::unique_ptr<DecoderHarness> harness, DecoderHarness::open(files, options));
    TT_ASSIGN(std::vector<float> logits,
              harness->prefill(tiny.token_ids, static_cast<uint32_t>(tiny.token_ids.size())));
    return rows_at(logits, tiny.positions);
  }
  HarnessOptions here() const {
    return {.open_device = [device = GetParam().device] { return open_device(device, 2); }};
  }
  bool is_slow() const { return GetParam().is_cpu && GetParam().backend != "cpu"; }
};

TEST_P(TinyModels, MatchTransformers) {
  const auto start = std::chrono::steady_clock::now();
  double worst = 0.0;
  uint32_t num_run = 0;
  for (const TinyCase& original : tiny_cases()) {
    if (is_slow() && std::ranges::find(kShortList, original.name) == std::end(kShortList)) continue;
    SCOPED_TRACE(original.name);
    const TinyCase tiny = original.bf16 ? dequantized(original, all_tensors(DType::bf16)) : original;
    const auto logits = run(tiny_safetensors(tiny, all_matrices(DType::f32)), tiny, here());
    ASSERT_TRUE(logits.has_value()) << logits.error().message();
    const double error = row_error(*logits, tiny.logits, kTinyVocab);
    EXPECT_LT(error, kF32Tolerance);
    worst = std::max(worst, error);
    ++num_run;
  }
  EXPECT_GE(num_run, std::size(kShortList));
  std::cout << GetParam().device << ": " << num_run << " of " << tiny_cases().size()
            << " models, worst logit " << worst << " of the row's largest, " << seconds_since(start)
            << " s\n";
}

// Devices may round activations to 8 bits per block of 32 before they multiply packed weights; the yardstick
// is the naive kernels with that very rounding. Other roundings are no coarser but fall elsewhere: one and a
// half times its distance is allowed.
TEST_P(TinyModels, PackedWeightsMatchDecodedOnes) {
  const auto start = std::chrono::steady_clock::now();
  for (const DType dtype : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
    for (const char* name : {"llama_llama3_v5", "qwen3_head_dim_given", "gemma3_v4"}) {
      SCOPED_TRACE(std::string(name) + " " + std::string(dtype_name(dtype)));
      const TinyCase& tiny = tiny_case(name);
      const DTypeOf dtype_of = all_matrices(dtype);
      const ModelFiles plain = tiny_safetensors(dequantized(tiny, dtype_of), all_matrices(DType::f32));
      const ModelFiles packed = tiny_safetensors(tiny, dtype_of);
      const auto exact = run(plain, tiny, {.twin = true});
      const auto rounded = run(packed, tiny, {.twin = true, .twin_rounds = true});
      const auto logits = run(packed, tiny, here());
      ASSERT_TRUE(exact.has_value() && rounded.has_value());
      ASSERT_TRUE(logits.has_value()) << logits.error().message();
      const double allowed = std::max(1.5 * rms_error(*rounded, *exact), kF32Tolerance);
      EXPECT_LT(rms_error(*logits, *exact), allowed);
      std::cout << name << " " << dtype_name(dtype) << ": " << rms_error(*logits, *exact) << " of " << allowed
                << "\n";
      if (is_slow() && dtype != DType::q4_0) break;  // the other models' shapes only for one format
    }
  }
  std::cout << GetParam().device << ": " << seconds_since(start) << " s\n";
}

TEST_P(TinyModels, SixteenBitWeightsGiveTheCpusProbabilities) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const char* name : {"llama_bf16", "qwen3_head_dim_given", "gemma3_v4"}) {
      SCOPED_TRACE(std::string(name) + " " + std::string(dtype_name(dtype)));
      const TinyCase& tiny = tiny_case(name);
      const ModelFiles files = tiny_safetensors(tiny, all_matrices(dtype));
      const auto cpu = run(files, tiny, {});
      const auto logits = run(files, tiny, here());
      ASSERT_TRUE(cpu.has_value()) << cpu.error().message();
      ASSERT_TRUE(logits.has_value()) << logits.error().message();
      const double divergence = worst_divergence(*cpu, *logits, kTinyVocab);
      EXPECT_LT(divergence, kMaxDivergence);
      std::cout << name << " " << dtype_name(dtype) << ": " << divergence << " nats\n";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllDevices, TinyModels, ::testing::ValuesIn(list_test_devices()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace tattletale::testing

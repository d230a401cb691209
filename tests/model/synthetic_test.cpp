// Synthetic models: true shapes, repeatable bytes, sane activations.
#include "model/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/decoder_harness.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;

TEST(Synthetic, SmolLm2HasItsTrueShape) {
  const Result<ModelFiles> files = open_synthetic_model("synthetic:smollm2-135m:q4_k");
  ASSERT_TRUE(files.has_value()) << files.error().message();
  const Result<LoadedConfig> loaded = read_architecture(*files);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->config.layers.size(), 30u);
  EXPECT_TRUE(loaded->config.tied_head);
  EXPECT_EQ(files->names().size(), 272u);
  // Rows of 576 are not whole blocks of 256, those of 1536 are.
  EXPECT_EQ(files->find("model.layers.3.self_attn.q_proj.weight")->dtype, DType::q5_0);
  EXPECT_EQ(files->find("model.layers.3.mlp.down_proj.weight")->dtype, DType::q4_k);
  EXPECT_EQ(files->find("model.norm.weight")->dtype, DType::f32);
  uint64_t parameters = 0;
  for (const std::string_view name : files->names()) {
    parameters += static_cast<uint64_t>(*files->find(name)->shape.num_elements());
  }
  EXPECT_EQ(parameters, 134515008u);  // as published
}

TEST(Synthetic, BytesRepeat) {
  const Result<ModelFiles> a = open_synthetic_model("synthetic:smollm2-135m:q8_0");
  const Result<ModelFiles> b = open_synthetic_model("synthetic:smollm2-135m:q8_0");
  ASSERT_TRUE(a.has_value() && b.has_value());
  for (const char* name : {"model.embed_tokens.weight", "model.layers.29.mlp.down_proj.weight"}) {
    const std::span<const std::byte> left = a->find(name)->bytes, right = b->find(name)->bytes;
    ASSERT_EQ(left.size(), right.size());
    EXPECT_EQ(std::memcmp(left.data(), right.data(), left.size()), 0) << name;
  }
}

TEST(Synthetic, LogitsAreSane) {
  const Result<ModelFiles> files = open_synthetic_model("synthetic:smollm2-135m:q4_0");
  ASSERT_TRUE(files.has_value());
  const auto harness = DecoderHarness::open(*files, HarnessOptions{.num_pages = 16});
  ASSERT_TRUE(harness.has_value()) << harness.error().message();
  const Chunk chunk{0, {1, 2, 3, 4, 5}, {4}};
  const Result<std::vector<float>> logits = (*harness)->step(std::span(&chunk, 1));
  ASSERT_TRUE(logits.has_value());
  double sum_squares = 0.0;
  for (const float x : *logits) sum_squares += double{x} * double{x};
  const double rms = std::sqrt(sum_squares / static_cast<double>(logits->size()));
  EXPECT_GT(rms, 0.3);
  EXPECT_LT(rms, 3.0);
}

TEST(Synthetic, BadSpecsListWhatThereIs) {
  for (const char* spec : {"synthetic:", "synthetic:llama3-1b", "synthetic:foo:q4_0",
                           "synthetic:llama3-1b:i32", "synthetic:llama3-1b:q9", "other:llama3-1b:q4_0"}) {
    const Result<ModelFiles> files = open_synthetic_model(spec);
    ASSERT_FALSE(files.has_value()) << spec;
    EXPECT_EQ(files.error().kind, ErrorKind::invalid_argument);
    EXPECT_THAT(files.error().message(), HasSubstr(spec));
    EXPECT_THAT(files.error().message(), HasSubstr("qwen3-0.6b"));
    EXPECT_THAT(files.error().message(), HasSubstr("iq4_xs"));
  }
}

}  // namespace
}  // namespace tattletale::testing

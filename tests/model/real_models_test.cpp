// Published models, when TATTLETALE_MODELS names a folder that has them: 200 greedy tokens stay words rather than a
// loop, and do not depend on how the prompt was cut. Text through the tokenizer is tested with the engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "model/decoder_harness.h"

namespace tattletale::testing {
namespace {

struct Published {
  const char* name;
  const char* file;
  std::vector<uint32_t> prompt;
  std::vector<uint32_t> first;  // the clear continuation that every processor should agree on
};

const Published kModels[] = {
    {"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", {504, 3575, 282, 4649, 314}, {}},
    {"gemma3", "gemma-3-270m-q4_k_m.gguf", {2, 818, 5279, 529, 7001, 563}, {}},
};

uint32_t best(const std::vector<float>& logits) {
  return static_cast<uint32_t>(std::ranges::max_element(logits) - logits.begin());
}

class PublishedModel : public ::testing::TestWithParam<Published> {};

Result<std::vector<uint32_t>> generate(const ModelFiles& files, const Published& model, bool one_by_one) {
  TT_ASSIGN(const std::unique_ptr<DecoderHarness> harness,
            DecoderHarness::open(files, HarnessOptions{.kv_dtype = DType::f16, .num_pages = 16, .context_tokens = 256}));
  std::vector<float> logits;
  if (one_by_one) {
    for (const uint32_t token : model.prompt) {
      const Chunk chunk{0, {token}, {0}};
      TT_ASSIGN(logits, harness->step(std::span(&chunk, 1)));
    }
  } else {
    const Chunk chunk{0, model.prompt, {static_cast<uint32_t>(model.prompt.size() - 1)}};
    TT_ASSIGN(logits, harness->step(std::span(&chunk, 1)));
  }
  std::vector<uint32_t> tokens;
  while (tokens.size() < 200) {
    tokens.push_back(best(logits));
    const Chunk chunk{0, {tokens.back()}, {0}};
    TT_ASSIGN(logits, harness->step(std::span(&chunk, 1)));
  }
  return tokens;
}

TEST_P(PublishedModel, GreedyTokensAreStable) {
  const Published& model = GetParam();
  const char* const folder = std::getenv("TATTLETALE_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "TATTLETALE_MODELS is not set";
  const std::filesystem::path path = std::filesystem::path(folder) / model.file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const Result<ModelFiles> files = open_model(path);
  ASSERT_TRUE(files.has_value()) << files.error().message();
  const Result<std::vector<uint32_t>> whole = generate(*files, model, false);
  const Result<std::vector<uint32_t>> single = generate(*files, model, true);
  ASSERT_TRUE(whole.has_value()) << whole.error().message();
  ASSERT_TRUE(single.has_value()) << single.error().message();
  EXPECT_EQ(*whole, *single);
  const std::set<uint32_t> distinct(whole->begin(), whole->end());
  EXPECT_GT(distinct.size(), 20u) << "the model repeats itself";
  for (size_t i = 0; i < model.first.size(); ++i) EXPECT_EQ((*whole)[i], model.first[i]) << "token " << i;
}

INSTANTIATE_TEST_SUITE_P(Files, PublishedModel, ::testing::ValuesIn(kModels),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tattletale::testing

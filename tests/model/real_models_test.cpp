// Published models, when TATTLETALE_MODELS names a folder that has them: their logits and first greedy tokens
// against a numpy forward pass (tools/fixtures/model_published.py), and 200 greedy tokens that do not depend
// on how the prompt was cut. Text through the tokenizer is tested with the engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "model/decoder_harness.h"
#include "model/tiny_checkpoint.h"
#include "support/test_data.h"

namespace tattletale::testing {
namespace {

// The CPU rounds activations to 8 bits; that moves these models' logits by a few percent of their spread. A
// choice with a smaller distance to the runner-up than this may fall either way.
constexpr double kRmsTolerance = 0.08;
constexpr double kClearMargin = 0.5;

uint32_t best(const std::vector<float>& logits) {
  return static_cast<uint32_t>(std::ranges::max_element(logits) - logits.begin());
}

/// Runs the prompt, whole or token by token, then `num_tokens` greedy tokens. Returns those and the prompt's
/// logits.
struct Generated {
  std::vector<float> prompt_logits;
  std::vector<uint32_t> tokens;
};
Result<Generated> generate(const ModelFiles& files, const std::vector<uint32_t>& prompt,
                           uint32_t chunk_tokens, size_t num_tokens) {
  const HarnessOptions options{.kv_dtype = DType::f16, .num_pages = 16, .context_tokens = 256};
  TT_ASSIGN(const std::unique_ptr<DecoderHarness> harness, DecoderHarness::open(files, options));
  TT_ASSIGN(std::vector<float> rows, harness->prefill(prompt, chunk_tokens));
  Generated result;
  result.prompt_logits.assign(rows.end() - harness->config().vocab_size, rows.end());
  std::vector<float> logits = result.prompt_logits;
  while (result.tokens.size() < num_tokens) {
    result.tokens.push_back(best(logits));
    const Chunk chunk{0, {result.tokens.back()}, {0}};
    TT_ASSIGN(logits, harness->step(std::span(&chunk, 1)));
  }
  return result;
}

void compare(const Json& recorded, const Generated& generated) {
  const std::vector<uint32_t> ids = recorded.at("ids").get<std::vector<uint32_t>>();
  std::vector<float> expected = recorded.at("logits").get<std::vector<float>>(), actual;
  for (const uint32_t id : ids) actual.push_back(generated.prompt_logits[id]);
  float mean = 0.0f;
  for (const float x : expected) mean += x / static_cast<float>(expected.size());
  for (float& x : expected) x -= mean;
  for (float& x : actual) x -= mean;
  EXPECT_LT(rms_error(actual, expected), kRmsTolerance);
  ::testing::Test::RecordProperty("rms_error", std::to_string(rms_error(actual, expected)));
  const Json& margins = recorded.at("margins");
  size_t agreed = 0;
  for (; agreed < margins.size() && margins.at(agreed) > kClearMargin; ++agreed) {
    EXPECT_EQ(generated.tokens[agreed], recorded.at("continuation").at(agreed).get<uint32_t>())
        << "token " << agreed;
  }
  EXPECT_GT(agreed, 0u) << "the fixture has no clear choice";
}

class PublishedModel : public ::testing::TestWithParam<size_t> {};

TEST_P(PublishedModel, AgreesWithNumpyAndWithItself) {
  const char* const folder = std::getenv("TATTLETALE_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "TATTLETALE_MODELS is not set";
  std::ifstream file(test_data_folder() + "/model/published.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Result<Json> list = parse_json(text, "published.json");
  ASSERT_TRUE(list.has_value()) << list.error().message();
  const Json& model = list->at(GetParam());
  const std::filesystem::path path = std::filesystem::path(folder) / model.at("file").get<std::string>();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const Result<ModelFiles> files = open_model(path);
  ASSERT_TRUE(files.has_value()) << files.error().message();
  for (const Json& recorded : model.at("prompts")) {
    const std::vector<uint32_t> prompt = recorded.at("prompt").get<std::vector<uint32_t>>();
    const Result<Generated> whole = generate(*files, prompt, 512, 200);
    ASSERT_TRUE(whole.has_value()) << whole.error().message();
    compare(recorded, *whole);
    const Result<Generated> single = generate(*files, prompt, 1, 200);
    ASSERT_TRUE(single.has_value()) << single.error().message();
    EXPECT_EQ(whole->tokens, single->tokens);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, PublishedModel, ::testing::Values(0u, 1u),
                         [](const auto& info) { return info.param == 0 ? "smollm2" : "gemma3"; });

}  // namespace
}  // namespace tattletale::testing

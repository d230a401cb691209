// Whole models, where TATTLETALE_MODELS names a folder with the two GGUF files that tools/fetch_model.sh
// fetches: greedy text is the same however it is computed, and sane over 200 tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "backends/cpu/cpu_device.h"
#include "engine/engine.h"
#include "engine/text_assets.h"
#include "model/architecture.h"

namespace tattletale {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSmolLm2 = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kGemma3 = "gemma-3-270m-q4_k_m.gguf";

class RealModels : public ::testing::Test {
 protected:
  /// False when the model is not there; the caller skips.
  bool open(const char* name) {
    const char* folder = std::getenv("TATTLETALE_MODELS");
    if (folder == nullptr || !std::filesystem::exists(std::filesystem::path(folder) / name)) return false;
    Result<ModelFiles> opened = open_model(std::filesystem::path(folder) / name);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    files_ = std::move(*opened);
    Result<TextAssets> text = load_text_assets(files_);
    EXPECT_TRUE(text.has_value()) << text.error().message();
    text_ = std::move(*text);
    return true;
  }

  std::vector<TokenId> encode(std::string_view prompt, bool add_special) {
    return *text_.encode(prompt, {.add_special = add_special, .parse_special = true});
  }

  std::vector<uint32_t> greedy(const std::vector<TokenId>& prompt, uint32_t threads, uint32_t step_tokens,
                               uint32_t page_tokens, uint64_t max_new_tokens = 200) {
    std::unique_ptr<Device> device = std::move(*open_cpu_device(threads));
    std::unique_ptr<Decoder> decoder = std::move(*load_decoder(*device, files_, 1024));
    EngineOptions options;
    options.context_tokens = options.kv_tokens = 1024;
    options.step_tokens = step_tokens;
    options.page_tokens = page_tokens;
    std::unique_ptr<Engine> engine = std::move(*Engine::create(*device, *decoder, options));
    const SessionId session = engine->create_session();
    TokenRequest request;
    request.prompt = prompt;
    request.max_new_tokens = max_new_tokens;
    request.end_ids = text_.end_ids;
    EXPECT_TRUE(engine->submit(session, request).has_value());
    while (*engine->step()) continue;
    return engine->take_tokens(session);
  }

  /// The same tokens for every way of computing them.
  std::vector<uint32_t> stable(const std::vector<TokenId>& prompt) {
    const std::vector<uint32_t> tokens = greedy(prompt, 2, 512, 64);
    EXPECT_EQ(greedy(prompt, 1, 7, 64), tokens) << "one thread, prompt in chunks of seven";
    return tokens;
  }

  ModelFiles files_;
  TextAssets text_;
};

TEST_F(RealModels, SmolLm2AnswersSanely) {
  if (!open(kSmolLm2)) GTEST_SKIP() << "TATTLETALE_MODELS has no " << kSmolLm2;
  const auto chat = [&](std::string_view question) {
    const Result<std::string> prompt =
        text_.render_chat(Json::array({{{"role", "user"}, {"content", question}}}), Json());
    return encode(*prompt, false);
  };
  const std::vector<uint32_t> sky = stable(chat("Why is the sky blue? Answer in two sentences."));
  EXPECT_THAT(text_.tokenizer->decode(sky), HasSubstr("light"));
  EXPECT_LT(sky.size(), 200u);  // it ends its answer by itself

  const std::vector<uint32_t> story =
      stable(chat("Write a short story about a lighthouse keeper and a storm."));
  EXPECT_GE(story.size(), 100u);
  const std::set<uint32_t> distinct(story.begin(), story.end());
  EXPECT_GT(distinct.size(), story.size() / 4);
  EXPECT_THAT(text_.tokenizer->decode(story), HasSubstr("lighthouse"));
}

TEST_F(RealModels, Gemma3ContinuesSanely) {
  if (!open(kGemma3)) GTEST_SKIP() << "TATTLETALE_MODELS has no " << kGemma3;
  const std::vector<uint32_t> capital = stable(encode("The capital of France is", true));
  EXPECT_THAT(text_.tokenizer->decode(capital), HasSubstr("France"));
  const std::vector<uint32_t> story =
      stable(encode("Once upon a time, in a small village by the sea, there lived", true));
  EXPECT_GE(story.size(), 100u);
  const std::set<uint32_t> distinct(story.begin(), story.end());
  EXPECT_GT(distinct.size(), 30u);
}

TEST_F(RealModels, Gemma3BeyondItsWindowDoesNotDependOnChunks) {
  if (!open(kGemma3)) GTEST_SKIP() << "TATTLETALE_MODELS has no " << kGemma3;
  std::string text;
  for (int i = 0; i < 60; ++i)
    text += "The lighthouse keeper counted wave number " + std::to_string(i) + " in the dark. ";
  const std::vector<TokenId> prompt = encode(text, true);
  ASSERT_GT(prompt.size(), 600u);  // past the 512 tokens of the sliding window
  const std::vector<uint32_t> whole = greedy(prompt, 2, 1024, 64, 24);
  EXPECT_EQ(greedy(prompt, 2, 100, 64, 24), whole);
  EXPECT_EQ(greedy(prompt, 1, 33, 64, 24), whole);
}

}  // namespace
}  // namespace tattletale

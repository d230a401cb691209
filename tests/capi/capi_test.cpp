// The C interface as an embedder uses it, on a tiny model with a tokenizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/tiny_gguf.h"
#include "tattletale/tattletale.h"

namespace tattletale {
namespace {

using ::testing::HasSubstr;

std::string take(tt_string& string) {
  std::string text(string.data, string.length);
  tt_string_free(&string);
  return text;
}

class CapiTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ =
        std::filesystem::temp_directory_path() / ("tattletale_capi_" + std::to_string(::getpid()) + ".gguf");
    testing::write_tiny_gguf(path_);
  }
  static void TearDownTestSuite() { std::filesystem::remove(path_); }

  void SetUp() override { load(2); }
  void TearDown() override { tt_model_free(model_); }

  void load(uint32_t num_threads, uint64_t context = 256, uint64_t kv_tokens = 0) {
    tt_model_free(model_);
    model_ = nullptr;
    tt_model_options options;
    tt_model_options_defaults(&options);
    options.num_threads = num_threads;
    options.context_tokens = context;
    options.kv_tokens = kv_tokens;
    options.step_tokens = 32;
    ASSERT_EQ(tt_model_load(path_.c_str(), &options, &model_, &error_), TT_OK) << error_.message;
  }

  tt_session* session() {
    tt_session* made = nullptr;
    EXPECT_EQ(tt_session_create(model_, &made, &error_), TT_OK) << error_.message;
    return made;
  }

  tt_request request(const char* text, uint32_t max_new_tokens) {
    tt_request made;
    tt_request_defaults(model_, &made);
    made.text = text;
    made.max_new_tokens = max_new_tokens;
    return made;
  }

  /// Steps until the answer is whole; its text.
  std::string answer(tt_session* from, tt_progress* progress = nullptr) {
    tt_progress state{};
    state.struct_size = sizeof(state);
    std::string text;
    do {
      int more = 0;
      EXPECT_EQ(tt_step(model_, &more, &error_), TT_OK) << error_.message;
      tt_string piece{};
      EXPECT_EQ(tt_poll(from, &piece, &state, &error_), TT_OK) << error_.message;
      text += take(piece);
    } while (state.finish == TT_RUNNING);
    if (progress != nullptr) *progress = state;
    return text;
  }

  static std::filesystem::path path_;
  tt_model* model_ = nullptr;
  tt_error error_{};
};
std::filesystem::path CapiTest::path_;

TEST_F(CapiTest, AnswersTheSameOnEveryThreadCountAndAgain) {
  const tt_request wanted = request("hello, hello", 24);
  tt_session* first = session();
  ASSERT_EQ(tt_submit(first, &wanted, &error_), TT_OK) << error_.message;
  tt_progress progress{};
  const std::string expected = answer(first, &progress);
  EXPECT_EQ(progress.finish, TT_FINISH_LENGTH);
  EXPECT_EQ(progress.generated_tokens, 24u);
  EXPECT_EQ(progress.computed_tokens, progress.prompt_tokens);
  EXPECT_FALSE(expected.empty());
  ASSERT_EQ(tt_submit(first, &wanted, &error_), TT_OK);
  EXPECT_EQ(answer(first, &progress), expected);
  EXPECT_EQ(progress.cached_tokens, progress.prompt_tokens - 1);
  tt_session_free(first);
  for (const uint32_t threads : {1u, 3u}) {
    load(threads);
    tt_session* other = session();
    ASSERT_EQ(tt_submit(other, &wanted, &error_), TT_OK);
    EXPECT_EQ(answer(other), expected) << threads << " threads";
    tt_session_free(other);
  }
}

TEST_F(CapiTest, SampledTextDependsOnTheSeedAlone) {
  tt_request wanted = request("abc", 40);
  wanted.temperature = 1.0f;
  wanted.seed = 11;
  tt_session* one = session();
  tt_session* two = session();
  ASSERT_EQ(tt_submit(one, &wanted, &error_), TT_OK);
  const std::string alone = answer(one);
  tt_request other = request("something else", 60);
  ASSERT_EQ(tt_submit(two, &other, &error_), TT_OK);
  ASSERT_EQ(tt_submit(one, &wanted, &error_), TT_OK);
  EXPECT_EQ(answer(one), alone);  // with company
  wanted.seed = 12;
  ASSERT_EQ(tt_submit(one, &wanted, &error_), TT_OK);
  EXPECT_NE(answer(one), alone);
  tt_session_free(one);
  tt_session_free(two);
}

TEST_F(CapiTest, StopStringsEndTheTextBeforeThem) {
  tt_session* from = session();
  tt_request wanted = request("hello", 60);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  const std::string whole = answer(from);
  ASSERT_GT(whole.size(), 12u);
  // A stop string out of the middle of the answer, cut at character boundaries.
  size_t begin = whole.size() / 2;
  while ((static_cast<unsigned char>(whole[begin]) & 0xc0) == 0x80) ++begin;
  size_t end = std::min(begin + 3, whole.size());
  while (end < whole.size() && (static_cast<unsigned char>(whole[end]) & 0xc0) == 0x80) ++end;
  const std::string stop = whole.substr(begin, end - begin);
  const char* stops[] = {"never in the text", stop.c_str()};
  wanted.stop = stops;
  wanted.num_stop = 2;
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  tt_progress progress{};
  EXPECT_EQ(answer(from, &progress), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(progress.finish, TT_FINISH_STOP_STRING);
  tt_session_free(from);
}

TEST_F(CapiTest, ChoicesAreTheAnswersOfTheirSeeds) {
  tt_request wanted = request("once upon", 20);
  wanted.temperature = 1.0f;
  wanted.seed = 5;
  tt_session* sessions[] = {session(), session(), session()};
  ASSERT_EQ(tt_submit_choices(sessions, 3, &wanted, &error_), TT_OK) << error_.message;
  std::string choices[3];
  for (int i = 0; i < 3; ++i) choices[i] = answer(sessions[i]);
  for (int i = 0; i < 3; ++i) {
    wanted.seed = 5 + static_cast<uint64_t>(i);
    ASSERT_EQ(tt_submit(sessions[0], &wanted, &error_), TT_OK);
    EXPECT_EQ(answer(sessions[0]), choices[i]);
  }
  tt_session* twice[] = {sessions[0], sessions[0]};
  EXPECT_EQ(tt_submit_choices(twice, 2, &wanted, &error_), TT_INVALID_ARGUMENT);
  for (tt_session* one : sessions) tt_session_free(one);
}

TEST_F(CapiTest, LogprobsComeWithTheirTokens) {
  tt_session* from = session();
  tt_request wanted = request("hello", 10);
  wanted.logprobs = 1;
  wanted.top_logprobs = 3;
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK) << error_.message;
  answer(from);
  tt_tokens tokens{};
  tt_logprobs logprobs{};
  ASSERT_EQ(tt_poll_tokens(from, &tokens, nullptr, &error_), TT_OK);
  ASSERT_EQ(tt_poll_logprobs(from, &logprobs, nullptr, &error_), TT_OK);
  ASSERT_EQ(logprobs.num_tokens, 10u);
  ASSERT_EQ(tokens.length, 10u);
  ASSERT_EQ(logprobs.num_top, 3u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(logprobs.chosen[i].token, tokens.data[i]);
    EXPECT_EQ(logprobs.top[3 * i].token, tokens.data[i]);  // greedy
    EXPECT_EQ(logprobs.top[3 * i].logprob, logprobs.chosen[i].logprob);
    EXPECT_GE(logprobs.top[3 * i + 1].logprob, logprobs.top[3 * i + 2].logprob);
  }
  tt_logprobs_free(&logprobs);
  tt_tokens_free(&tokens);
  wanted.top_logprobs = 1000;
  EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
  tt_session_free(from);
}

TEST_F(CapiTest, SamplingOptionsReachTheSampler) {
  tt_session* from = session();
  tt_request wanted = request("hello", 12);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  answer(from);
  tt_tokens plain{};
  ASSERT_EQ(tt_poll_tokens(from, &plain, nullptr, &error_), TT_OK);
  const auto tokens_of = [&](const tt_request& changed) {
    EXPECT_EQ(tt_submit(from, &changed, &error_), TT_OK) << error_.message;
    answer(from);
    tt_tokens got{};
    EXPECT_EQ(tt_poll_tokens(from, &got, nullptr, &error_), TT_OK);
    std::vector<uint32_t> copy(got.data, got.data + got.length);
    tt_tokens_free(&got);
    return copy;
  };
  const tt_token_bias bias[] = {{plain.data[0], -INFINITY}};
  tt_request biased = wanted;
  biased.logit_bias = bias;
  biased.num_logit_bias = 1;
  EXPECT_EQ(std::ranges::count(tokens_of(biased), plain.data[0]), 0);
  tt_request stopping = wanted;
  stopping.stop_tokens = &plain.data[3];
  stopping.num_stop_tokens = 1;
  const size_t first =
      static_cast<size_t>(std::find(plain.data, plain.data + 12, plain.data[3]) - plain.data);
  EXPECT_EQ(tokens_of(stopping).size(), first);
  tt_request dry = wanted;
  dry.dry_multiplier = 50.0f;
  dry.dry_allowed_length = 1;
  dry.max_new_tokens = 60;
  const std::vector<uint32_t> various = tokens_of(dry);  // no token follows another one twice
  std::set<std::pair<uint32_t, uint32_t>> pairs;
  for (size_t i = 1; i < various.size(); ++i) {
    const bool breaks = various[i - 1] == '\n' || various[i - 1] == ':' || various[i - 1] == '"' ||
                        various[i - 1] == '*';  // token ids of the tiny model are bytes
    EXPECT_TRUE(breaks || pairs.insert({various[i - 1], various[i]}).second) << "token " << i;
  }
  // A caller built against the first version of the header knows none of these.
  tt_request old = biased;
  old.struct_size = offsetof(tt_request, stop_tokens);
  EXPECT_EQ(tokens_of(old), std::vector<uint32_t>(plain.data, plain.data + plain.length));
  tt_tokens_free(&plain);
  tt_session_free(from);
}

TEST_F(CapiTest, SpeculationKeepsTheText) {
  for (const float temperature : {0.0f, 0.9f}) {
    tt_session* from = session();
    tt_request wanted = request("hello hello hello hello", 60);
    wanted.temperature = temperature;
    ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
    const std::string plain = answer(from);
    wanted.speculation = TT_SPECULATE_PROMPT_LOOKUP;
    ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
    tt_progress progress{};
    EXPECT_EQ(answer(from, &progress), plain);
    EXPECT_GT(progress.draft_tokens, 0u);
    // A stop string amid accepted guesses ends the text where it does without them.
    size_t begin = plain.size() / 2;
    while ((static_cast<unsigned char>(plain[begin]) & 0xc0) == 0x80) ++begin;
    size_t end = begin + 1;
    while (end < plain.size() && (static_cast<unsigned char>(plain[end]) & 0xc0) == 0x80) ++end;
    const std::string stop = plain.substr(begin, end - begin);
    const char* stops[] = {stop.c_str()};
    wanted.stop = stops;
    wanted.num_stop = 1;
    ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
    EXPECT_EQ(answer(from, &progress), plain.substr(0, plain.find(stop)));
    wanted.speculation = TT_SPECULATE_DRAFT_MODEL;  // there is none
    EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
    wanted.speculation = 7;
    EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
    tt_session_free(from);
  }
}

TEST_F(CapiTest, ADraftModelGuesses) {
  tt_model_options options;
  tt_model_options_defaults(&options);
  options.context_tokens = 256;
  options.draft_model = path_.c_str();  // the model itself: every guess is right
  tt_model* paired = nullptr;
  ASSERT_EQ(tt_model_load(path_.c_str(), &options, &paired, &error_), TT_OK) << error_.message;
  tt_session* from = session();
  tt_request wanted = request("hello", 50);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  const std::string plain = answer(from);
  tt_session_free(from);
  std::swap(model_, paired);
  from = session();
  wanted.speculation = TT_SPECULATE_DRAFT_MODEL;
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK) << error_.message;
  tt_progress progress{};
  EXPECT_EQ(answer(from, &progress), plain);
  EXPECT_GT(progress.accepted_draft_tokens, 25u);
  EXPECT_EQ(progress.accepted_draft_tokens, progress.draft_tokens);
  tt_session_free(from);
  tt_model_free(paired);
}

TEST_F(CapiTest, ABudgetCutsStepsAndNotTheAnswer) {
  tt_session* from = session();
  tt_request wanted = request("a prompt of some length that is computed in several steps", 10);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  const std::string plain = answer(from);
  tt_session_free(from);
  load(2);
  from = session();
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  std::string text;
  tt_progress progress{};
  progress.struct_size = sizeof(progress);
  int steps = 0, more = 1;
  for (; more != 0; ++steps) {
    const uint64_t before = progress.forwarded_tokens;
    ASSERT_EQ(tt_step_for(model_, 1, &more, &error_), TT_OK) << error_.message;
    tt_string piece{};
    ASSERT_EQ(tt_poll(from, &piece, &progress, &error_), TT_OK);
    text += take(piece);
    EXPECT_LE(progress.forwarded_tokens - before, steps == 0 ? 8u : 1u);  // nothing fits into a microsecond
  }
  EXPECT_EQ(text, plain);
  EXPECT_GT(steps, 40);
  tt_session_free(from);
}

TEST_F(CapiTest, ATimeoutEndsAnAnswer) {
  tt_session* from = session();
  tt_request wanted = request("hello", 200);
  wanted.timeout_us = 1;
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  tt_progress progress{};
  answer(from, &progress);
  EXPECT_EQ(progress.finish, TT_FINISH_DEADLINE);
  tt_session_free(from);
}

TEST_F(CapiTest, CancelEndsAnAnswerAndTheSessionGoesOn) {
  tt_session* from = session();
  const tt_request wanted = request("hello", 100);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  int more = 0;
  for (int i = 0; i < 5; ++i) ASSERT_EQ(tt_step(model_, &more, &error_), TT_OK);
  tt_cancel(from);
  tt_progress progress{};
  progress.struct_size = sizeof(progress);
  ASSERT_EQ(tt_poll(from, nullptr, &progress, &error_), TT_OK);
  EXPECT_EQ(progress.finish, TT_FINISH_CANCELLED);
  ASSERT_EQ(tt_step(model_, &more, &error_), TT_OK);
  EXPECT_EQ(more, 0);
  ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
  EXPECT_FALSE(answer(from).empty());
  tt_session_free(from);
}

TEST_F(CapiTest, ABackgroundThreadServesManyCallers) {
  std::vector<std::string> expected;
  const std::vector<std::string> prompts{"one", "two", "three", "four"};
  for (const std::string& prompt : prompts) {
    tt_session* from = session();
    const tt_request wanted = request(prompt.c_str(), 40);
    ASSERT_EQ(tt_submit(from, &wanted, &error_), TT_OK);
    expected.push_back(answer(from));
    tt_session_free(from);
  }
  ASSERT_EQ(tt_start_thread(model_, &error_), TT_OK);
  EXPECT_EQ(tt_step(model_, nullptr, &error_), TT_INVALID_ARGUMENT);
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (size_t i = 0; i < prompts.size(); ++i) {
    callers.emplace_back([&, i] {
      tt_session* from = nullptr;
      if (tt_session_create(model_, &from, nullptr) != TT_OK) return;
      for (int round = 0; round < 3; ++round) {
        const tt_request wanted = request(prompts[i].c_str(), 40);
        if (tt_submit(from, &wanted, nullptr) != TT_OK) break;
        std::string text;
        tt_progress progress{};
        progress.struct_size = sizeof(progress);
        do {
          tt_string piece{};
          if (tt_poll(from, &piece, &progress, nullptr) != TT_OK) break;
          text += take(piece);
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        } while (progress.finish == TT_RUNNING);
        right += text == expected[i];
      }
      tt_session_free(from);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right.load(), 12);
}

TEST_F(CapiTest, TokenizesBothWaysAndRendersChats) {
  tt_tokens tokens{};
  const std::string text = "hello \xE2\x82\xAC";
  ASSERT_EQ(tt_tokenize(model_, text.data(), text.size(), TT_TOKENIZE_ADD_SPECIAL, &tokens, &error_), TT_OK);
  EXPECT_EQ(tokens.data[0], testing::kTinyBosId);
  tt_string back{};
  ASSERT_EQ(tt_detokenize(model_, tokens.data, tokens.length, 1, &back, &error_), TT_OK);
  EXPECT_EQ(take(back), text);
  tt_tokens_free(&tokens);
  tt_string prompt{};
  ASSERT_EQ(tt_apply_chat_template(model_, R"([{"role":"user","content":"hi"}])", nullptr, &prompt, &error_),
            TT_OK)
      << error_.message;
  EXPECT_THAT(take(prompt), HasSubstr("<|im_start|>"));
  EXPECT_EQ(tt_apply_chat_template(model_, "[{", nullptr, &prompt, &error_), TT_BAD_FILE);
  EXPECT_THAT(error_.message, HasSubstr("messages_json"));

  tt_model* only_text = nullptr;
  ASSERT_EQ(tt_tokenizer_load(path_.c_str(), &only_text, &error_), TT_OK) << error_.message;
  tt_session* none = nullptr;
  EXPECT_EQ(tt_session_create(only_text, &none, &error_), TT_INVALID_ARGUMENT);
  tt_model_free(only_text);
}

TEST_F(CapiTest, ScoresAgreeWithLogits) {
  tt_session* from = session();
  std::vector<uint32_t> tokens{256, 104, 101, 108, 108, 111};
  std::vector<float> scores(tokens.size() - 1), logits(testing::kTinyVocabSize);
  ASSERT_EQ(tt_score(from, tokens.data(), tokens.size(), scores.data(), &error_), TT_OK) << error_.message;
  for (size_t i = 1; i < tokens.size(); ++i) {
    ASSERT_EQ(tt_logits(from, tokens.data(), i, logits.data(), logits.size(), &error_), TT_OK)
        << error_.message;
    double sum = 0.0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    EXPECT_NEAR(scores[i - 1], logits[tokens[i]] - std::log(sum), 1e-4);
  }
  EXPECT_EQ(tt_logits(from, tokens.data(), 1, logits.data(), 7, &error_), TT_INVALID_ARGUMENT);
  tt_session_free(from);
}

TEST_F(CapiTest, WrongUseIsRefusedWithAReason) {
  tt_session* from = session();
  tt_request wanted = request("x", 1);
  wanted.messages_json = "[]";
  EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
  EXPECT_THAT(error_.message, HasSubstr("exactly one"));
  const std::string lengthy(1000, 'x');
  wanted = request(lengthy.c_str(), 1);
  EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_LIMIT_EXCEEDED);
  EXPECT_THAT(error_.message, ::testing::AllOf(HasSubstr("1001"), HasSubstr("256")));
  wanted = request("x", 1);
  wanted.top_p = 0.0f;
  EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
  wanted = request("x", 1);
  wanted.struct_size = 4;
  EXPECT_EQ(tt_submit(from, &wanted, &error_), TT_INVALID_ARGUMENT);
  EXPECT_EQ(tt_submit(nullptr, &wanted, &error_), TT_INVALID_ARGUMENT);
  tt_session_free(from);

  tt_model* none = nullptr;
  EXPECT_EQ(tt_model_load("/nowhere/model.gguf", nullptr, &none, &error_), TT_NOT_FOUND);
  EXPECT_THAT(error_.message, HasSubstr("/nowhere/model.gguf"));
  tt_model_options options;
  tt_model_options_defaults(&options);
  options.device = "abacus";
  EXPECT_EQ(tt_model_load(path_.c_str(), &options, &none, &error_), TT_INVALID_ARGUMENT);
  options.device = "cpu";
  options.context_tokens = 1u << 30;
  EXPECT_EQ(tt_model_load(path_.c_str(), &options, &none, &error_), TT_INVALID_ARGUMENT);
  EXPECT_THAT(error_.message, HasSubstr("2048"));
  options.context_tokens = 64;
  options.kv_dtype = "q1";
  EXPECT_EQ(tt_model_load(path_.c_str(), &options, &none, &error_), TT_INVALID_ARGUMENT);
  options.kv_dtype = "f32";
  options.page_tokens = 48;
  EXPECT_EQ(tt_model_load(path_.c_str(), &options, &none, &error_), TT_INVALID_ARGUMENT);
  tt_session_free(nullptr);
  tt_model_free(nullptr);
}

TEST_F(CapiTest, DescribesModelsFilesAndDevices) {
  tt_string text{};
  ASSERT_EQ(tt_model_info_json(model_, &text, &error_), TT_OK);
  const Json info = Json::parse(take(text));
  EXPECT_EQ(info["arch"], "llama");
  EXPECT_EQ(info["context_tokens"], 256);
  EXPECT_GT(info["decode_weight_bytes"].get<uint64_t>(), 0u);
  ASSERT_EQ(tt_inspect_json(path_.c_str(), &text, &error_), TT_OK) << error_.message;
  const Json file = Json::parse(take(text));
  EXPECT_TRUE(file["supported"].get<bool>());
  EXPECT_EQ(file["metadata"]["general.architecture"], "llama");
  EXPECT_FALSE(file["tensors"].empty());
  ASSERT_EQ(tt_devices_json(&text, &error_), TT_OK);
  EXPECT_EQ(Json::parse(take(text))[0]["backend"], "cpu");
  EXPECT_EQ(tt_api_version(), static_cast<uint32_t>(TT_API_VERSION));
  EXPECT_STREQ(tt_status_name(TT_BAD_FILE), "bad_file");
}

}  // namespace
}  // namespace tattletale

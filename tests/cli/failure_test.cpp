// Files and prompts that cannot work: one clear error, the documented exit code, nothing on standard output.
#include "cli/cli_test.h"

#ifdef __SANITIZE_ADDRESS__
#define TT_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TT_HAS_ASAN 1
#endif
#endif

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

/// Checks the exit code and that the message names `where`.
ProgramResult expect_failure(int exit_code, const std::vector<std::string>& arguments,
                             const std::string& where, const ProgramInput& input = {}) {
  ProgramResult result = run_program(arguments, input);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("tattletale: error: "));
  EXPECT_THAT(result.err, HasSubstr(where));
  return result;
}

TEST(Failure, missing_file) {
  for (const char* command : {"run", "bench", "tokenize"}) {
    std::vector<std::string> arguments = {command, "-m", "no/such.gguf"};
    if (std::string(command) != "bench") arguments.push_back("hello");
    expect_failure(3, arguments, "no/such.gguf");
  }
  expect_failure(3, {"inspect", "no/such.gguf"}, "no/such.gguf");
}

TEST(Failure, missing_default_model_says_what_to_do) {
  TemporaryFolder folder;
  ProgramInput input;
  input.environment = {"XDG_CACHE_HOME=" + folder.file("cache")};
  ProgramResult result = expect_failure(3, {"run", "hello"}, "SmolLM2-135M-Instruct.Q4_1.gguf", input);
  EXPECT_THAT(result.err, HasSubstr("make run"));
  EXPECT_THAT(result.err, HasSubstr("-m MODEL"));
}

TEST(Failure, default_model_is_found_in_the_cache) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("cache/tattletale/models"));
  std::filesystem::copy_file(tiny_model_path(),
                             folder.file("cache/tattletale/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
  ProgramInput input;
  input.environment = {"XDG_CACHE_HOME=" + folder.file("cache")};
  EXPECT_EQ(run_program({"tokenize", "hey"}, input).exit_code, 0);
}

TEST(Failure, file_of_another_kind) {
  TemporaryFolder folder;
  write_file(folder.file("noise.gguf"), std::string(4096, '#'));
  expect_failure(4, {"run", "-m", folder.file("noise.gguf"), "hello"}, folder.file("noise.gguf"));
  write_file(folder.file("empty.gguf"), "");
  expect_failure(4, {"inspect", folder.file("empty.gguf")}, folder.file("empty.gguf"));
}

TEST(Failure, truncated_file_names_the_file) {
  TemporaryFolder folder;
  const std::string whole = read_file(tiny_model_path());
  for (size_t length : {size_t{7}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_file(folder.file("cut.gguf"), whole.substr(0, length));
    expect_failure(4, {"run", "-m", folder.file("cut.gguf"), "hello"}, folder.file("cut.gguf"));
  }
}

TEST(Failure, unsupported_architecture_can_still_be_inspected) {
  TemporaryFolder folder;
  TinyGguf model;
  model.architecture = "mamba";
  write_tiny_gguf(folder.file("mamba.gguf"), model);
  ProgramResult result = expect_failure(5, {"run", "-m", folder.file("mamba.gguf"), "hello"}, "mamba");
  EXPECT_THAT(result.err, HasSubstr("tattletale: try: tattletale inspect " + folder.file("mamba.gguf")));
  EXPECT_EQ(run_program({"inspect", folder.file("mamba.gguf")}).exit_code, 0);
}

TEST(Failure, prompt_longer_than_the_context_has_both_numbers) {
  ProgramInput input;
  input.text = std::string(100, 'x');
  ProgramResult result =
      expect_failure(7, {"run", "-m", tiny_model_path(), "--raw", "--context", "64", "-"}, "101", input);
  EXPECT_THAT(result.err, HasSubstr("64"));
  EXPECT_THAT(result.err, HasSubstr("--context"));
}

TEST(Failure, context_beyond_the_model) {
  ProgramResult result = run_program({"run", "-m", tiny_model_path(), "--context", "4096", "hello"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("4096"));
  EXPECT_THAT(result.err, HasSubstr("2048"));
}

TEST(Failure, not_enough_memory) {
#ifdef TT_HAS_ASAN
  GTEST_SKIP() << "the sanitizer needs more address space than the limit leaves";
#else
  TemporaryFolder folder;
  TinyGguf model;
  model.context_tokens = 16 << 20;  // 4 GiB of keys and values in f16
  write_tiny_gguf(folder.file("long.gguf"), model);
  ProgramInput input;
  input.address_space_bytes = uint64_t{1} << 30;
  ProgramResult result = expect_failure(
      6, {"run", "-m", folder.file("long.gguf"), "--context", "16777216", "hello"}, "cannot allocate", input);
  EXPECT_THAT(result.err, HasSubstr("a smaller --context"));
#endif
}

TEST(Failure, prompt_that_is_not_utf8) {
  ProgramResult result = run_program({"run", "-m", tiny_model_path(), "caf\xe9 au lait"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("prompt: the text is not UTF-8"));
}

TEST(Failure, empty_raw_prompt) {
  TemporaryFolder folder;
  TinyGguf model;
  model.add_bos = false;
  write_tiny_gguf(folder.file("tiny.gguf"), model);
  expect_failure(2, {"run", "--raw", "-m", folder.file("tiny.gguf"), "-"}, "the prompt is empty");
}

TEST(Failure, system_message_without_template) {
  expect_failure(2, {"run", "--raw", "--system", "Be brief.", "-m", tiny_model_path(), "hello"}, "--system");
}

TEST(Failure, chat_without_template) {
  TemporaryFolder folder;
  TinyGguf model;
  model.chat_template = false;
  write_tiny_gguf(folder.file("plain.gguf"), model);
  expect_failure(5, {"chat", "-m", folder.file("plain.gguf")}, "no chat template");
}

TEST(Failure, full_disk) {
  ProgramInput input;
  input.out_path = "/dev/full";
  ProgramResult result = run_program({"run", "-m", tiny_model_path(), "hello", "--max-tokens", "4"}, input);
  EXPECT_EQ(result.exit_code, 9) << result.err;
  EXPECT_THAT(result.err, HasSubstr("standard output"));
}

TEST(Failure, text_shorter_than_a_window) {
  TemporaryFolder folder;
  write_file(folder.file("short.txt"), "too short");
  ProgramResult result = expect_failure(
      2, {"eval", "-m", tiny_model_path(), "--text", folder.file("short.txt"), "--context", "64"},
      "10 tokens");
  EXPECT_THAT(result.err, HasSubstr("64"));
}

TEST(Failure, missing_text_file) {
  expect_failure(3, {"eval", "-m", tiny_model_path(), "--text", "no/such.txt"}, "no/such.txt");
}

TEST(Failure, unknown_device) {
  expect_failure(2, {"bench", "-m", tiny_model_path(), "--device", "tpu"}, "tpu");
}

TEST(Failure, token_ids_that_are_not_numbers) {
  expect_failure(2, {"tokenize", "-m", tiny_model_path(), "--decode", "1,two"}, "'two' is not a token id");
}

}  // namespace
}  // namespace tattletale::testing

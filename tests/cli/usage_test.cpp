// Wrong usage, help texts and documentation: exit codes and messages.
#include "cli/cli_test.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::string> kCommands = {"run",         "chat", "inspect", "tokenize", "bench",
                                            "bench-cache", "eval", "devices", "doctor",   "kernels"};

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("tattletale: error: "));
  EXPECT_THAT(result.err, HasSubstr(message));
}

TEST(Usage, no_command) {
  expect_usage_error({}, "no command given");
}
TEST(Usage, unknown_command_suggests_the_nearest) {
  expect_usage_error({"rnu"}, "did you mean run?");
}
TEST(Usage, unknown_command_far_from_all) {
  expect_usage_error({"frobnicate"}, "frobnicate: there is no such command\n");
}
TEST(Usage, unknown_option_suggests_the_nearest) {
  expect_usage_error({"run", "--temprature", "1", "hello"},
                     "--temprature: run has no such option; did you mean --temperature?");
  expect_usage_error({"run", "--temprature=1", "hello"}, "did you mean --temperature?");
}
TEST(Usage, option_of_another_command) {
  expect_usage_error({"inspect", "x", "--seed", "1"}, "--seed");
}
TEST(Usage, value_that_is_no_number) {
  expect_usage_error({"run", "hello", "--max-tokens", "many"}, "--max-tokens: 'many' is not a whole number");
  expect_usage_error({"run", "hello", "--top-p", "nan"}, "--top-p: 'nan' is not a number");
  expect_usage_error({"bench", "--threads", "1,,2"}, "--threads: '' is not a whole number");
}
TEST(Usage, value_out_of_range) {
  expect_usage_error({"run", "hello", "--threads", "0"},
                     "--threads: 0 is out of range: it must be 1 to 1024");
  expect_usage_error({"run", "hello", "--max-tokens", "4294967296"}, "must be 1 to 4294967295");
  expect_usage_error({"run", "hello", "--max-tokens", "-1"}, "--max-tokens");
}
TEST(Usage, missing_value) {
  expect_usage_error({"run", "hello", "--seed"}, "--seed");
}
TEST(Usage, run_without_prompt) {
  expect_usage_error({"run", "-m", "x.gguf"}, "no prompt given");
}
TEST(Usage, inspect_takes_one_model) {
  expect_usage_error({"inspect", "a", "b"}, "inspect takes one model, not 2");
}
TEST(Usage, tokenize_takes_text_or_ids) {
  expect_usage_error({"tokenize", "-m", "x"}, "either a text or --decode");
}
TEST(Usage, eval_needs_a_text) {
  expect_usage_error({"eval", "-m", "x"}, "--text: it is missing");
}
TEST(Usage, too_many_words) {
  expect_usage_error({"devices", "cpu"}, "cpu: devices takes no more words");
}
TEST(Usage, sampling_value_that_the_library_refuses) {
  expect_usage_error({"run", "-m", tiny_model_path(), "hello", "--top-p", "2"}, "top_p");
}
TEST(Usage, error_is_one_line_and_never_drives_the_terminal) {
  ProgramResult result = run_program({"inspect", "no\nsuch\x1b[2Jfile"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err.find('\x1b'), std::string::npos) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no\\x0asuch\\x1b[2Jfile"));
}

TEST(Help, of_the_program) {
  ProgramResult result = run_program({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  for (const std::string& command : kCommands) EXPECT_THAT(result.out, HasSubstr("\n  " + command + " "));
  EXPECT_THAT(result.out, HasSubstr("a prompt longer than the context"));
}

TEST(Help, of_every_command) {
  for (const std::string& command : kCommands) {
    ProgramResult result = run_program({command, "--help"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("usage: tattletale " + command));
    EXPECT_THAT(result.out, HasSubstr("exit codes:"));
    EXPECT_EQ(run_program({"help", command}).out, result.out);
  }
}

TEST(Help, version) {
  EXPECT_THAT(run_program({"--version"}).out, StartsWith("tattletale 0."));
}

TEST(Help, documentation_holds_the_option_tables) {
  ProgramResult tables = run_program({"--markdown-help"});
  ASSERT_EQ(tables.exit_code, 0);
  EXPECT_THAT(read_file(TT_DOCS "/cli.md"), HasSubstr(tables.out))
      << "put the output of `tattletale --markdown-help` in docs/cli.md";
}

}  // namespace
}  // namespace tattletale::testing

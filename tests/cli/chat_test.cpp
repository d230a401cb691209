// Conversations: through a pipe, and at a terminal with Ctrl-C and Ctrl-D.
#include "cli/cli_test.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProgramResult chat(const std::string& typed, std::vector<std::string> options = {"--max-tokens", "6"}) {
  ProgramInput input;
  input.text = typed;
  options.insert(options.begin(), {"chat", "-m", tiny_model_path()});
  return run_program(options, input);
}

TEST(ChatPipe, answers_each_line_and_prints_no_prompt) {
  ProgramResult one = chat("hello\n");
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_FALSE(one.out.empty());
  EXPECT_EQ(one.err, "");
  ProgramResult two = chat("hello\nand then?\n");
  EXPECT_EQ(two.exit_code, 0) << two.err;
  EXPECT_TRUE(two.out.starts_with(one.out));
  EXPECT_GT(two.out.size(), one.out.size());
}

TEST(ChatPipe, last_line_may_lack_its_newline) {
  EXPECT_EQ(chat("hello").out, chat("hello\n").out);
}

TEST(ChatPipe, history_counts_and_its_start_is_cached) {
  ProgramResult result = chat("hello\nmore\n", {"--max-tokens", "6", "--stats"});
  EXPECT_THAT(result.err, HasSubstr("prompt 23 tokens, 0 of them cached"));
  EXPECT_THAT(result.err, Not(HasSubstr("prompt 22 tokens")));
}

TEST(ChatPipe, reset_forgets) {
  std::string first = chat("hello\n").out;
  EXPECT_EQ(chat("hello\n/reset\nhello\n").out, first + first);
}

TEST(ChatPipe, system_message_starts_over) {
  EXPECT_EQ(chat("hello\n/system Be brief.\nhello\n").out,
            chat("hello\n").out + chat("hello\n", {"--max-tokens", "6", "--system", "Be brief."}).out);
}

TEST(ChatPipe, backslash_continues_the_message) {
  ProgramResult result = chat("abc\\\nde\n", {"--max-tokens", "2", "--stats"});
  EXPECT_THAT(result.err, HasSubstr("prompt 25 tokens"));  // 19 of the template and 6 of "abc\nde"
}

TEST(ChatPipe, help_and_exit) {
  EXPECT_THAT(chat("/help\n").err, HasSubstr("/reset"));
  EXPECT_EQ(chat("/exit\nhello\n").out, "");
}

TEST(ChatPipe, unknown_command_suggests_the_nearest) {
  ProgramResult result = chat("/rest\nhello\n");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean /reset?"));
  EXPECT_NE(chat("//rest\n").out, "");
}

TEST(ChatPipe, message_beyond_the_context) {
  ProgramResult result = chat(std::string(200, 'x') + "\n", {"--context", "128"});
  EXPECT_EQ(result.exit_code, 7) << result.err;
}

class ChatTerminal : public ::testing::Test {
 protected:
  ChatTerminal() : program_({"chat", "-m", slow_model_path(), "--max-tokens", "100000"}, true) {
    greeting_ = program_.read_until("> ");
  }
  static constexpr const char* kCtrlC = "\x03";
  static constexpr const char* kCtrlD = "\x04";
  RunningProgram program_;
  std::string greeting_;
};

TEST_F(ChatTerminal, ctrl_d_leaves) {
  EXPECT_THAT(greeting_, HasSubstr("/help"));
  program_.type(kCtrlD);
  EXPECT_EQ(program_.wait(), 0);
}

TEST_F(ChatTerminal, ctrl_c_stops_the_answer_and_not_the_program) {
  program_.type("hello\n");
  program_.read_until("hello\r\n");
  program_.read_some();
  program_.type(kCtrlC);
  EXPECT_THAT(program_.read_until("(stopped)\r\n> "), HasSubstr("(stopped)"));
  program_.type("/exit\n");
  EXPECT_EQ(program_.wait(), 0);
}

TEST_F(ChatTerminal, second_ctrl_c_at_the_prompt_leaves) {
  program_.type(kCtrlC);
  EXPECT_THAT(program_.read_until("leaves)\r\n> "), HasSubstr("Ctrl-C again"));
  program_.type(kCtrlC);
  EXPECT_EQ(program_.wait(), 130);
}

TEST_F(ChatTerminal, refused_message_does_not_end_it) {
  program_.type("/nonsense\n");
  EXPECT_THAT(program_.read_until("\r\n> "), HasSubstr("there is no such command"));
  program_.type("/exit\n");
  EXPECT_EQ(program_.wait(), 0);
}

}  // namespace
}  // namespace tattletale::testing

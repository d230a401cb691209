// The program `tattletale`: finds the command, runs it, and turns its failure into one line and an exit code.
#include <csignal>
#include <exception>
#include <new>

#include "cli/options.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

Outcome<ExitCode> print_help(const std::vector<std::string>& words) {
  if (words.empty()) {
    CLI_TRY(print(program_help()));
    return ExitCode::kOk;
  }
  if (const Command* command = find_command(words[0])) {
    CLI_TRY(print(command_help(*command)));
    return ExitCode::kOk;
  }
  return fail(ExitCode::kUsage, words[0] + ": there is no such command", "tattletale --help");
}

Outcome<ExitCode> unknown_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : command_table()) names.push_back(command.name);
  std::string message = name + ": there is no such command";
  if (std::string near = nearest(name, names); !near.empty()) message += "; did you mean " + near + "?";
  return fail(ExitCode::kUsage, std::move(message), "tattletale --help");
}

Outcome<ExitCode> dispatch(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return fail(ExitCode::kUsage, "no command given", "tattletale --help");
  const std::string& name = arguments[0];
  std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (name == "--help" || name == "-h" || name == "help") return print_help(rest);
  if (name == "--version") {
    CLI_TRY(print("tattletale " + std::string(tt_version()) + "\n"));
    return ExitCode::kOk;
  }
  if (name == "--markdown-help") {  // makes the tables of docs/cli.md
    CLI_TRY(print(markdown_help()));
    return ExitCode::kOk;
  }
  const Command* command = find_command(name);
  if (command == nullptr) return unknown_command(name);
  CLI_ASSIGN(Options options, parse_options(*command, rest));
  if (options.help) return print_help({name});
  return command->run(options);
}

/// Nothing in the library throws, but memory may end while we build a string or read a file.
Outcome<ExitCode> dispatch_catching(const std::vector<std::string>& arguments) {
  try {
    return dispatch(arguments);
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::kOutOfMemory, "not enough memory");
  } catch (const std::exception& exception) {
    return fail(ExitCode::kInternal, std::string("unexpected: ") + exception.what());
  }
}

}  // namespace
}  // namespace tattletale::cli

int main(int argc, char** argv) {
  using namespace tattletale::cli;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that left is seen by the write that fails
  Outcome<ExitCode> outcome = dispatch_catching(std::vector<std::string>(argv + 1, argv + argc));
  if (outcome) return static_cast<int>(*outcome);
  const Failure& failure = outcome.error();
  if (failure.silent) return static_cast<int>(ExitCode::kOk);
  print_error(failure);
  return static_cast<int>(failure.code);
}

#include "cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/check.h"

namespace tattletale::testing {
namespace {

/// Only for the child between fork and exec.
void redirect(const std::string& path, int flags, int descriptor) {
  int file = ::open(path.c_str(), flags, 0600);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
}

[[noreturn]] void become(const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(TT_BINARY)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(TT_BINARY, argv.data());
  ::_exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramInput& input) {
  TemporaryFolder folder;
  write_file(folder.file("in"), input.text);
  const std::string out = input.out_path.empty() ? folder.file("out") : input.out_path;
  pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    redirect(folder.file("in"), O_RDONLY, STDIN_FILENO);
    redirect(out, O_WRONLY | O_CREAT, STDOUT_FILENO);
    redirect(folder.file("err"), O_WRONLY | O_CREAT, STDERR_FILENO);
    for (const std::string& variable : input.environment) {
      size_t equals = variable.find('=');
      ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
    }
    if (input.address_space_bytes > 0) {
      rlimit limit{input.address_space_bytes, input.address_space_bytes};
      ::setrlimit(RLIMIT_AS, &limit);
    }
    become(arguments);
  }
  ProgramResult result;
  result.exit_code = wait_for(pid);
  if (input.out_path.empty()) result.out = read_file(out);
  result.err = read_file(folder.file("err"));
  return result;
}

RunningProgram::RunningProgram(const std::vector<std::string>& arguments, bool terminal) {
  if (terminal) {
    pid_ = ::forkpty(&output_, nullptr, nullptr, nullptr);
    CHECK(pid_ >= 0);
    if (pid_ == 0) become(arguments);
    return;
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "tattletale-err-XXXXXX").string();
  int errors_file = ::mkstemp(pattern.data());
  CHECK(errors_file >= 0);
  errors_path_ = pattern;
  int pipe_ends[2];
  CHECK(::pipe(pipe_ends) == 0);
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    ::dup2(pipe_ends[1], STDOUT_FILENO);
    ::dup2(errors_file, STDERR_FILENO);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
    become(arguments);
  }
  ::close(errors_file);
  ::close(pipe_ends[1]);
  output_ = pipe_ends[0];
}

RunningProgram::~RunningProgram() {
  close_output();
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  if (!errors_path_.empty()) std::filesystem::remove(errors_path_);
}

std::string RunningProgram::read_some() {
  pollfd ready{output_, POLLIN, 0};
  if (::poll(&ready, 1, 60'000) <= 0) return "";
  char bytes[1024];
  ssize_t count = ::read(output_, bytes, sizeof bytes);
  return count > 0 ? std::string(bytes, static_cast<size_t>(count)) : "";
}

std::string RunningProgram::read_until(const std::string& wanted) {
  std::string text;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (text.find(wanted) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    std::string piece = read_some();
    if (piece.empty()) break;
    text += piece;
  }
  return text;
}

void RunningProgram::type(const std::string& keys) {
  CHECK(::write(output_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
}

void RunningProgram::send_signal(int signal) {
  ::kill(pid_, signal);
}

void RunningProgram::close_output() {
  if (output_ >= 0) ::close(output_);
  output_ = -1;
}

int RunningProgram::wait() {
  int code = wait_for(pid_);
  pid_ = -1;
  return code;
}

std::string RunningProgram::errors() const {
  return read_file(errors_path_);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tattletale-cli-XXXXXX").string();
  CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace tattletale::testing

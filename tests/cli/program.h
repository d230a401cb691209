// Runs the built program as a user's shell would, and holds what it said.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tattletale::testing {

struct ProgramResult {
  int exit_code = -1;  // 128 + the signal when one ended it
  std::string out;
  std::string err;
};

struct ProgramInput {
  std::string text;                      // standard input
  std::vector<std::string> environment;  // "NAME=value", beside the test's own
  uint64_t address_space_bytes = 0;      // 0: no limit
  std::string out_path;                  // standard output goes there instead of into the result
};

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramInput& input = {});

/// A program that runs beside the test. Its output and, on a terminal, errors are read from a descriptor.
class RunningProgram {
 public:
  /// With `terminal`, standard input, output and error are a new terminal; otherwise output is a pipe, input
  /// is empty and errors go to a file.
  RunningProgram(const std::vector<std::string>& arguments, bool terminal);
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  /// Reads until what came since the last call holds `wanted` or a minute has passed; returns what was read.
  std::string read_until(const std::string& wanted);
  /// Waits for any output, up to a minute.
  std::string read_some();
  void type(const std::string& keys);
  void send_signal(int signal);
  void close_output();
  int wait();
  std::string errors() const;  // without a terminal only

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::filesystem::path errors_path_;
};

/// A folder for one test, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace tattletale::testing

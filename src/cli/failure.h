// How a command ends: exit codes, and failures as values. The codes are part of the interface (docs/cli.md).
// Nothing here prints; main.cpp turns a Failure into one line on standard error.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "tattletale/tattletale.h"

namespace tattletale::cli {

enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,
  kNotFound = 3,
  kBadFile = 4,
  kUnsupported = 5,
  kOutOfMemory = 6,
  kLimitExceeded = 7,
  kCancelled = 8,
  kIo = 9,
  kDeviceLost = 10,
  kCheckFailed = 11,
  kInterrupted = 130,
};

struct ExitCodeRow {
  ExitCode code;
  const char* meaning;
};

/// Every exit code with its meaning, for --help and docs/cli.md.
std::span<const ExitCodeRow> exit_code_table();

ExitCode exit_code_of(tt_status status);

/// Why a command stopped. `message` is "where: what"; `next_step` is empty or what to try next.
/// A silent failure prints nothing: the reader of standard output has left.
struct Failure {
  ExitCode code = ExitCode::kInternal;
  std::string message;
  std::string next_step;
  bool silent = false;
};

template <class T>
using Outcome = std::expected<T, Failure>;

/// A failure to return from a function with any Outcome.
std::unexpected<Failure> fail(ExitCode code, std::string message, std::string next_step = "");

/// The failure of a library call, with the next step that its kind suggests. `model_path` may be empty.
std::unexpected<Failure> fail(tt_status status, const tt_error& error, const std::string& model_path = "");

}  // namespace tattletale::cli

#define CLI_CONCAT_INNER(a, b) a##b
#define CLI_CONCAT(a, b) CLI_CONCAT_INNER(a, b)

/// Evaluates an Outcome<void> and returns its failure from the enclosing function.
#define CLI_TRY(expression)                                   \
  do {                                                        \
    if (auto cli_outcome = (expression); !cli_outcome) {      \
      return std::unexpected(std::move(cli_outcome.error())); \
    }                                                         \
  } while (false)

/// CLI_ASSIGN(auto x, f()); binds x to the value or returns the failure.
#define CLI_ASSIGN(declaration, expression)                                       \
  auto CLI_CONCAT(cli_assign_, __LINE__) = (expression);                          \
  if (!CLI_CONCAT(cli_assign_, __LINE__)) {                                       \
    return std::unexpected(std::move(CLI_CONCAT(cli_assign_, __LINE__).error())); \
  }                                                                               \
  declaration = std::move(*CLI_CONCAT(cli_assign_, __LINE__))

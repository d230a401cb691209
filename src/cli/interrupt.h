// Ctrl-C as an event that a command asks for, in place of the end of the program. POSIX signals only.
#pragma once

#include <optional>
#include <string>

namespace tattletale::cli {

/// While one lives, a first Ctrl-C is remembered; a second one before it was taken ends the program.
/// Only one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// True once for a Ctrl-C that came since the last call.
  bool take();
};

enum class LineEnd { kNewline, kEndOfInput, kInterrupted };

/// Reads lines from standard input in a way that Ctrl-C can end, which std::getline cannot.
class LineReader {
 public:
  /// The next line without its newline, and how it ended. At the end of input the line may hold a last,
  /// unterminated line. After kInterrupted what was typed is dropped.
  LineEnd read(InterruptGuard& interrupt, std::string& line);

 private:
  std::string buffered_;
};

}  // namespace tattletale::cli

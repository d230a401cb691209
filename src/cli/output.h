// Standard output, standard error and standard input of the commands. Output is written at once, so that a
// reader sees each token; a reader that left (| head) ends the command quietly.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "cli/failure.h"

namespace tattletale::cli {

/// Writes to standard output. Failures: silent when the reader has gone, else kIo.
Outcome<void> print(std::string_view text);

/// Like print for text that a model or a file made: on a terminal, control characters other than newline and
/// tab are shown as \xNN, so that they cannot drive the terminal.
Outcome<void> print_untrusted(std::string_view text);

/// Writes to standard error and ignores failures.
void print_status(std::string_view text);

/// "tattletale: error: WHERE: WHAT", and "tattletale: try: ..." where there is a next step.
void print_error(const Failure& failure);

/// Control characters as \xNN; newline and tab too when `one_line`.
std::string printable(std::string_view text, bool one_line);

bool is_output_terminal();
bool is_status_terminal();
bool is_input_terminal();

/// All of standard input. Failures: kLimitExceeded past `max_bytes`, kIo.
Outcome<std::string> read_standard_input(size_t max_bytes);

/// All of a file. Failures: kNotFound, kLimitExceeded past `max_bytes`, kIo.
Outcome<std::string> read_text_file(const std::string& path, size_t max_bytes);

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...);

/// "7, 23" -> "7 23 ": ids as text, each followed by a space.
std::string ids_text(std::span<const uint32_t> ids);

/// 98362432 -> "93.8 MiB".
std::string bytes_text(double bytes);

}  // namespace tattletale::cli

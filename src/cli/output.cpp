#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tattletale::cli {
namespace {

/// 0 or errno.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

Outcome<std::string> read_all(int file, const std::string& name, size_t max_bytes) {
  std::string text;
  char buffer[1 << 16];
  while (true) {
    ssize_t count = ::read(file, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ExitCode::kIo, name + ": " + std::strerror(errno));
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return fail(ExitCode::kLimitExceeded, name + ": more than " + std::to_string(max_bytes) +
                                                " bytes, which is the most taken at once");
    }
  }
}

}  // namespace

Outcome<void> print(std::string_view text) {
  int error = write_all(STDOUT_FILENO, text);
  if (error == 0) return {};
  Failure failure{ExitCode::kIo, std::string("standard output: ") + std::strerror(error)};
  failure.silent = error == EPIPE;
  return std::unexpected(std::move(failure));
}

Outcome<void> print_untrusted(std::string_view text) {
  return is_output_terminal() ? print(printable(text, false)) : print(text);
}

void print_status(std::string_view text) {
  (void)write_all(STDERR_FILENO, text);
}

void print_error(const Failure& failure) {
  std::string lines = "tattletale: error: " + printable(failure.message, true) + "\n";
  if (!failure.next_step.empty()) lines += "tattletale: try: " + printable(failure.next_step, true) + "\n";
  print_status(lines);
}

std::string printable(std::string_view text, bool one_line) {
  std::string shown;
  shown.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    bool c0 = byte < 0x20 || byte == 0x7f;
    if (c0 && !one_line && (byte == '\n' || byte == '\t')) c0 = false;
    // U+0080 to U+009F, which some terminals obey like ESC sequences.
    bool c1 = byte == 0xc2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xe0) == 0x80;
    if (c1) byte = static_cast<unsigned char>(text[++i]);
    shown += c0 || c1 ? formatted("\\x%02x", byte) : std::string(1, text[i]);
  }
  return shown;
}

bool is_output_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}
bool is_status_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}
bool is_input_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}

Outcome<std::string> read_standard_input(size_t max_bytes) {
  return read_all(STDIN_FILENO, "standard input", max_bytes);
}

Outcome<std::string> read_text_file(const std::string& path, size_t max_bytes) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    ExitCode code = errno == ENOENT || errno == ENOTDIR ? ExitCode::kNotFound : ExitCode::kIo;
    return fail(code, path + ": " + std::strerror(errno));
  }
  Outcome<std::string> text = read_all(file, path, max_bytes);
  ::close(file);
  return text;
}

std::string formatted(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  std::string text(static_cast<size_t>(std::vsnprintf(nullptr, 0, format, arguments)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  va_end(arguments);
  return text;
}

std::string ids_text(std::span<const uint32_t> ids) {
  std::string text;
  for (uint32_t id : ids) text += std::to_string(id) + " ";
  return text;
}

std::string bytes_text(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return formatted(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

}  // namespace tattletale::cli

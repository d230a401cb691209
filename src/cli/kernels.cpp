// tattletale kernels: the kernels by name, and their programs as text or SPIR-V. Opens no driver.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

Outcome<ExitCode> list_kernels(const Options& options) {
  tt_error error{};
  tt_string text{};
  if (tt_status status = tt_kernels_json(&text, &error); status != TT_OK) return fail(status, error);
  CLI_ASSIGN(Json kernels, take_json(text));
  if (options.json) {
    CLI_TRY(print(json_text(kernels, 2) + "\n"));
    return ExitCode::kOk;
  }
  std::string lines = formatted("%-18s %8s %6s  %s\n", "kernel", "bindings", "cases", "bodies");
  for (const Json& kernel : kernels) {
    lines += formatted("%-18s %8llu %6llu ", kernel.value("kernel", "").c_str(),
                       static_cast<unsigned long long>(kernel.value("num_bindings", uint64_t{0})),
                       static_cast<unsigned long long>(kernel.value("num_cases", uint64_t{0})));
    for (const Json& body : kernel["bodies"]) lines += " " + body.get<std::string>();
    lines += "\n";
  }
  CLI_TRY(print(lines));
  return ExitCode::kOk;
}

Outcome<void> write_output_file(const std::string& path, const std::string& bytes) {
  FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return fail(ExitCode::kIo, path + ": " + std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !written) return fail(ExitCode::kIo, path + ": " + std::strerror(errno));
  return {};
}

/// What spirv-dis makes of a module; empty when it is not installed or refuses.
std::string disassembled(const std::string& module) {
  std::string path = (std::filesystem::temp_directory_path() / "tattletale-XXXXXX").string();
  const int file = ::mkstemp(path.data());
  if (file < 0) return "";
  ::close(file);
  std::string text;
  if (write_output_file(path, module)) {
    if (FILE* pipe = ::popen(("spirv-dis --no-color '" + path + "' 2>/dev/null").c_str(), "r")) {
      std::array<char, 4096> part;
      for (size_t n; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) text.append(part.data(), n);
      if (::pclose(pipe) != 0) text.clear();
    }
  }
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return text;
}

/// The words of a module in hexadecimal, eight a line.
std::string hex_words(const std::string& module) {
  std::string text;
  for (size_t i = 0; i + 4 <= module.size(); i += 4) {
    uint32_t word;
    std::memcpy(&word, module.data() + i, 4);
    text += formatted("%08x%c", word, i / 4 % 8 == 7 || i + 8 > module.size() ? '\n' : ' ');
  }
  return text;
}

Outcome<ExitCode> dump_kernel(const Options& options) {
  if (options.words.size() != 2 || options.dump_target.empty()) {
    return fail(ExitCode::kUsage, "kernels dump takes one kernel and --target",
                "tattletale kernels dump linear --target cuda");
  }
  tt_kernel_dump_options dump;
  tt_kernel_dump_options_defaults(&dump);
  dump.kernel = options.words[1].c_str();
  dump.target = options.dump_target.c_str();
  if (!options.device_class.empty()) dump.device_class = options.device_class.c_str();
  if (options.case_index) dump.case_index = *options.case_index;
  dump.before_passes = options.before_passes ? 1 : 0;
  tt_error error{};
  tt_string taken{};
  if (tt_status status = tt_kernel_dump(&dump, &taken, &error); status != TT_OK) return fail(status, error);
  std::string text(taken.data, taken.length);
  tt_string_free(&taken);
  if (!options.output_path.empty()) {
    CLI_TRY(write_output_file(options.output_path, text));
    return ExitCode::kOk;
  }
  if (options.dump_target == "spirv") {
    std::string readable = disassembled(text);
    text = readable.empty() ? hex_words(text) : std::move(readable);
  }
  CLI_TRY(print(text));
  return ExitCode::kOk;
}

}  // namespace

Outcome<ExitCode> kernels_command(const Options& options) {
  const std::string action = options.words.empty() ? "" : options.words[0];
  if (action == "list" && options.words.size() == 1) return list_kernels(options);
  if (action == "dump") return dump_kernel(options);
  return fail(ExitCode::kUsage, "kernels takes list or dump NAME, not \"" + action + "\"",
              "tattletale kernels --help");
}

}  // namespace tattletale::cli

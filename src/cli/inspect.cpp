// tattletale inspect: what a model file holds, as the library reads it. The strings come from the file, so
// control characters in them are never printed as they are.
#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

constexpr size_t kMaxValueLength = 200;

/// A metadata value on one line; long ones are cut with their length.
std::string value_text(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : json_text(value, -1);
  if (text.size() > kMaxValueLength) {
    size_t end = kMaxValueLength;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;  // not inside a character
    text = text.substr(0, end) + formatted("... (%zu bytes)", text.size());
  }
  return printable(text, true);
}

std::string summary_text(const Json& info) {
  std::string text;
  for (const auto& [key, value] : info.items()) {
    if (key == "metadata" || key == "tensors") continue;
    std::string shown = value_text(value);
    if (key.ends_with("_bytes") && value.is_number()) shown += " (" + bytes_text(value.get<double>()) + ")";
    text += formatted("%-24s %s\n", key.c_str(), shown.c_str());
  }
  return text;
}

std::string metadata_text(const Json& metadata) {
  std::string text = formatted("\nmetadata: %zu keys\n", metadata.size());
  for (const auto& [key, value] : metadata.items()) {
    text += "  " + printable(key, true) + " = " + value_text(value) + "\n";
  }
  return text;
}

std::string tensors_text(const Json& tensors) {
  std::string text = formatted("\ntensors: %zu\n", tensors.size());
  for (const Json& tensor : tensors) {
    std::string shape = tensor.contains("shape") ? json_text(tensor["shape"], -1) : "";
    text += formatted("  %-44s %-8s %-20s %12llu\n", printable(tensor.value("name", ""), true).c_str(),
                      printable(tensor.value("dtype", ""), true).c_str(), shape.c_str(),
                      static_cast<unsigned long long>(tensor.value("bytes", uint64_t{0})));
  }
  return text;
}

}  // namespace

Outcome<ExitCode> inspect_command(const Options& options) {
  if (options.words.size() != 1) {
    return fail(ExitCode::kUsage, "inspect takes one model, not " + std::to_string(options.words.size()),
                "tattletale inspect MODEL");
  }
  tt_error error{};
  tt_string text{};
  if (tt_status status = tt_inspect_json(options.words[0].c_str(), &text, &error); status != TT_OK) {
    return fail(status, error);
  }
  CLI_ASSIGN(Json info, take_json(text));
  if (options.json) {
    CLI_TRY(print(json_text(info, 2) + "\n"));
    return ExitCode::kOk;
  }
  std::string lines = summary_text(info);
  if (info.contains("metadata")) lines += metadata_text(info["metadata"]);
  if (info.contains("tensors")) lines += tensors_text(info["tensors"]);
  CLI_TRY(print(lines));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

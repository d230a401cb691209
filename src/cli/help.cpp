// Help texts and the tables of docs/cli.md, all made from the option, command and exit code tables.
#include "cli/options.h"

namespace tattletale::cli {
namespace {

constexpr size_t kHelpColumn = 26;
constexpr size_t kHelpWidth = 110;

/// "flags VALUE   help", the help wrapped and indented to its column.
std::string help_line(std::string left, const std::string& help) {
  std::string line = "  " + left;
  line += line.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                        : std::string(kHelpColumn - line.size(), ' ');
  size_t column = kHelpColumn;
  for (size_t begin = 0; begin < help.size();) {
    size_t end = std::min(help.find(' ', begin), help.size());
    if (column + (end - begin) > kHelpWidth) {
      line += "\n" + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    }
    line += help.substr(begin, end - begin) + (end < help.size() ? " " : "");
    column += end - begin + 1;
    begin = end + 1;
  }
  return line + "\n";
}

std::string flags_and_value(const OptionRow& row) {
  std::string text;
  for (char c : std::string(row.flags)) text += c == ',' ? std::string(", ") : std::string(1, c);
  return row.value[0] == '\0' ? text : text + " " + row.value;
}

std::string exit_code_lines() {
  std::string text;
  for (const ExitCodeRow& row : exit_code_table()) {
    text += help_line(std::to_string(static_cast<int>(row.code)), row.meaning);
  }
  return text;
}

/// | inside a table cell would end it.
std::string cell(const std::string& text) {
  std::string escaped;
  for (char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

}  // namespace

std::string program_help() {
  std::string text =
      "tattletale " + std::string(tt_version()) +
      ": runs language models on this machine\n\nusage: tattletale COMMAND [options]\n\ncommands:\n";
  for (const Command& command : command_table()) text += help_line(command.name, command.summary);
  text += "\noptions:\n";
  text += help_line("--version", "print the version");
  text += help_line("-h, --help", "print this text; tattletale COMMAND --help tells more about one command");
  return text + "\nexit codes:\n" + exit_code_lines();
}

std::string command_help(const Command& command) {
  std::string text = std::string("tattletale ") + command.name + ": " + command.summary +
                     "\n\nusage: tattletale " + command.name + " " + command.usage + "\n\n";
  if (command.details[0] != '\0') text += std::string(command.details) + "\n\n";
  text += "options:\n";
  for (const OptionRow& row : option_table()) {
    if (row.commands & command.bit) text += help_line(flags_and_value(row), row.help);
  }
  return text + "\nexit codes:\n" + exit_code_lines();
}

std::string markdown_help() {
  std::string text;
  for (const Command& command : command_table()) {
    text += std::string("### ") + command.name + "\n\n`tattletale " + command.name + " " + command.usage +
            "`: " + command.summary + ".\n\n| option | meaning |\n|---|---|\n";
    for (const OptionRow& row : option_table()) {
      if (!(row.commands & command.bit)) continue;
      text += "| `" + cell(flags_and_value(row)) + "` | " + cell(row.help) + " |\n";
    }
    text += "\n";
  }
  text += "### Exit codes\n\n| code | meaning |\n|---|---|\n";
  for (const ExitCodeRow& row : exit_code_table()) {
    text += "| " + std::to_string(static_cast<int>(row.code)) + " | " + row.meaning + " |\n";
  }
  return text;
}

}  // namespace tattletale::cli

// Reads a command line by the option table. CLI11 splits arguments (--a=b, -m x, --); values, ranges and
// suggestions are ours, so that every message names the argument, what was found and what was expected.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "cli/options.h"

namespace tattletale::cli {
namespace {

template <class T>
bool parse_whole(const std::string& text, T& value) {
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc() && end == text.data() + text.size();
}

std::string long_name(const OptionRow& row) {
  std::string flags = row.flags;
  return flags.substr(flags.rfind(',') == std::string::npos ? 0 : flags.rfind(',') + 1);
}

/// Stores one value of one option. Returns what is wrong with it, or nothing.
struct ValueReader {
  const OptionRow& row;
  const std::string& text;
  Options& options;

  std::string operator()(bool Options::*) const { return ""; }
  std::string operator()(std::string Options::* member) const {
    options.*member = text;
    return "";
  }
  std::string operator()(std::vector<std::string> Options::* member) const {
    (options.*member).push_back(text);
    return "";
  }
  std::string operator()(uint64_t Options::* member) const { return read_number(text, options.*member); }
  std::string operator()(std::optional<uint64_t> Options::* member) const {
    return read_number(text, (options.*member).emplace());
  }
  std::string operator()(std::vector<uint64_t> Options::* member) const {
    (options.*member).clear();
    for (size_t begin = 0; begin <= text.size();) {
      size_t end = std::min(text.find(',', begin), text.size());
      std::string problem = read_number(text.substr(begin, end - begin), (options.*member).emplace_back());
      if (!problem.empty()) return problem;
      begin = end + 1;
    }
    return "";
  }
  std::string operator()(std::optional<double> Options::* member) const {
    double value = 0;
    if (!parse_whole(text, value) || !std::isfinite(value)) return "'" + text + "' is not a number";
    options.*member = value;
    return "";
  }

  std::string read_number(const std::string& digits, uint64_t& value) const {
    if (!parse_whole(digits, value)) return "'" + digits + "' is not a whole number";
    if (value >= row.min && value <= row.max) return "";
    std::string range = row.max == UINT64_MAX ? "at least " + std::to_string(row.min)
                                              : std::to_string(row.min) + " to " + std::to_string(row.max);
    return digits + " is out of range: it must be " + range;
  }
};

std::vector<std::string> option_names(const Command& command) {
  std::vector<std::string> names;
  for (const OptionRow& row : option_table()) {
    if (row.commands & command.bit) names.push_back(long_name(row));
  }
  return names;
}

std::unexpected<Failure> unknown_argument(const Command& command, std::string argument) {
  std::string help = std::string("tattletale ") + command.name + " --help";
  if (argument.size() < 2 || argument[0] != '-') {
    return fail(ExitCode::kUsage,
                argument + ": " + command.name + " takes no more words than its usage shows", help);
  }
  argument = argument.substr(0, argument.find('='));
  std::string message = argument + ": " + command.name + " has no such option";
  if (std::string near = nearest(argument, option_names(command)); !near.empty()) {
    message += "; did you mean " + near + "?";
  } else if (command.takes_words) {
    message += "; text that begins with - goes behind --";
  }
  return fail(ExitCode::kUsage, std::move(message), help);
}

void add_option(CLI::App& app, const OptionRow& row, Options& options, std::string& problem) {
  if (const auto* member = std::get_if<bool Options::*>(&row.target)) {
    app.add_flag(row.flags, options.*(*member));
    return;
  }
  auto read = [&row, &options, &problem](const std::string& text) {
    std::string wrong = std::visit(ValueReader{row, text, options}, row.target);
    if (!wrong.empty() && problem.empty()) problem = long_name(row) + ": " + wrong;
  };
  CLI::Option* option = app.add_option_function<std::vector<std::string>>(
      row.flags, [read](const std::vector<std::string>& texts) { std::ranges::for_each(texts, read); });
  option->expected(1)->allow_extra_args(false);  // what follows the value is a word, not another value
  bool repeats = std::holds_alternative<std::vector<std::string> Options::*>(row.target);
  option->multi_option_policy(repeats ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

Outcome<Options> parse_options(const Command& command, const std::vector<std::string>& arguments) {
  Options options;
  std::string problem;
  std::string help = std::string("tattletale ") + command.name + " --help";
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const OptionRow& row : option_table()) {
    if (row.commands & command.bit) add_option(app, row, options, problem);
  }
  if (command.takes_words) app.add_option("words", options.words)->expected(-1);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return fail(ExitCode::kUsage, error.what(), help);
  }
  if (options.help) return options;
  for (const std::string& unknown : app.remaining()) {
    if (unknown != "--")
      return unknown_argument(command, unknown);  // CLI11 counts the mark itself among them
  }
  if (!problem.empty()) return fail(ExitCode::kUsage, problem, help);
  return options;
}

namespace {

/// Levenshtein distance.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& word, std::span<const std::string> candidates) {
  constexpr size_t kLongestWord = 64;  // a pasted text is no misspelt word, and the table is quadratic
  if (word.size() > kLongestWord) return "";
  std::string best;
  size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    size_t distance = edit_distance(word, candidate);
    if (distance > candidate.size() / 3 + 1) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace tattletale::cli

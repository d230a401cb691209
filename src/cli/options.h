// The options of every command in one table, which makes the flags, the help texts and the tables of
// docs/cli.md. Reading a command line into an Options is parse_options.cpp; what values mean is each
// command's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cli/failure.h"

namespace tattletale::cli {

/// The values a command line gave; what it did not give is empty and left to the command or the library.
struct Options {
  bool help = false;
  std::vector<std::string> words;  // what is not an option: prompt, model or text

  // model
  std::string model;
  std::string device = "auto";
  std::vector<uint64_t> threads;
  std::optional<uint64_t> context_tokens;
  std::string kv_dtype;

  // answer
  bool raw = false;
  std::string system_text;
  std::optional<uint64_t> max_tokens;
  std::optional<double> temperature;
  std::optional<uint64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<uint64_t> repetition_window;
  std::optional<double> typical_p;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<double> dry_multiplier;
  std::optional<double> dry_base;
  std::optional<uint64_t> dry_allowed_length;
  std::vector<std::string> logit_bias;  // "ID:BIAS"
  std::string speculate;
  std::string draft_model;
  std::optional<uint64_t> max_drafts;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;

  // output
  bool token_ids = false;
  bool json = false;
  bool statistics = false;

  // tokenize
  bool no_special = false;
  std::string decode_ids;

  // bench
  uint64_t prompt_tokens = 512;
  uint64_t generate_tokens = 128;
  uint64_t batch = 1;
  uint64_t repeat = 3;
  bool bandwidth = false;
  std::string requests_path;
  uint64_t concurrency = 1;
  std::optional<uint64_t> kv_tokens;
  std::optional<uint64_t> step_tokens;
  std::string trace_kind;
  uint64_t num_requests = 100;

  // bench-cache
  uint64_t children = 100'000;
  uint64_t query_tokens = 16;
  uint64_t page_tokens = 16;
  uint64_t samples = 200'000;
  uint64_t trace_pages = 20'000;
  std::string trace_path;
  bool cold = false;
  bool no_rivals = false;

  // doctor
  std::string doctor_device = "all";
  bool quick = false;

  // kernels
  std::string dump_target;
  std::string device_class;
  std::optional<uint64_t> case_index;
  bool before_passes = false;
  std::string output_path;

  // eval
  std::string text_path;
  std::optional<uint64_t> stride;
};

/// Which commands an option belongs to: a set of these bits.
enum CommandBit : unsigned {
  kRun = 1u << 0,
  kChat = 1u << 1,
  kInspect = 1u << 2,
  kTokenize = 1u << 3,
  kBench = 1u << 4,
  kEval = 1u << 5,
  kDevices = 1u << 6,
  kBenchCache = 1u << 7,
  kDoctor = 1u << 8,
  kKernels = 1u << 9,
  kEveryCommand = (1u << 10) - 1,
};

using OptionTarget = std::variant<bool Options::*, std::string Options::*, uint64_t Options::*,
                                  std::optional<uint64_t> Options::*, std::optional<double> Options::*,
                                  std::vector<std::string> Options::*, std::vector<uint64_t> Options::*>;

struct OptionRow {
  const char* flags;  // "-m,--model"
  const char* value;  // "MODEL"; empty for a switch
  unsigned commands;  // CommandBit
  OptionTarget target;
  const char* help;
  uint64_t min = 0;  // of whole numbers
  uint64_t max = UINT32_MAX;
};

std::span<const OptionRow> option_table();

struct Command {
  const char* name;
  CommandBit bit;
  const char* usage;    // what follows "tattletale NAME"
  const char* summary;  // one line
  const char* details;  // paragraphs below the options in the help; may be empty
  bool takes_words;
  Outcome<ExitCode> (*run)(const Options& options);
};

std::span<const Command> command_table();

/// The command of that name, or null.
const Command* find_command(const std::string& name);

/// The arguments behind the command's name. Failures: kUsage, naming the argument and the nearest right one.
Outcome<Options> parse_options(const Command& command, const std::vector<std::string>& arguments);

/// The candidate that differs least from `word`; empty when none is near.
std::string nearest(const std::string& word, std::span<const std::string> candidates);

std::string program_help();
std::string command_help(const Command& command);

/// The tables of docs/cli.md; a test holds the file to them.
std::string markdown_help();

// One function per command, each in the file of its name.
Outcome<ExitCode> run_command(const Options& options);
Outcome<ExitCode> chat_command(const Options& options);
Outcome<ExitCode> inspect_command(const Options& options);
Outcome<ExitCode> tokenize_command(const Options& options);
Outcome<ExitCode> bench_command(const Options& options);
Outcome<ExitCode> bench_cache_command(const Options& options);
Outcome<ExitCode> eval_command(const Options& options);
Outcome<ExitCode> devices_command(const Options& options);
Outcome<ExitCode> doctor_command(const Options& options);
Outcome<ExitCode> kernels_command(const Options& options);

}  // namespace tattletale::cli

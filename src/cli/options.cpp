#include "cli/options.h"

namespace tattletale::cli {

std::span<const OptionRow> option_table() {
  constexpr unsigned kAnswer = kRun | kChat;
  constexpr unsigned kCompute = kRun | kChat | kBench | kEval;
  static const OptionRow kRows[] = {
      {"-m,--model", "MODEL", kCompute | kTokenize, &Options::model,
       "a .gguf file, a Hugging Face folder, or synthetic:SHAPE:FORMAT; default: the model `make run` "
       "fetched"},
      {"--device", "NAME", kCompute, &Options::device, "auto or cpu; default: auto"},
      {"--device", "NAME", kDoctor, &Options::doctor_device,
       "all, auto, or one that `tattletale devices` lists, such as cpu, cuda:0 or vulkan:1; default: all"},
      {"--quick", "", kDoctor, &Options::quick,
       "run one case in eight and the last, for slow software drivers"},
      {"--target", "TEXT", kKernels, &Options::dump_target,
       "what to print a program as: cuda, opencl, spirv, wgsl or ir"},
      {"--device-class", "NAME", kKernels, &Options::device_class,
       "the kind of device it is made for: sm_80, sm_86, sm_89, sm_90, sm_100, sm_120; opencl, "
       "opencl-nvidia; "
       "vulkan-minimum, vulkan-desktop; webgpu-minimum, webgpu-subgroups. Any of them with --target ir; "
       "default: sm_90, opencl, vulkan-minimum or webgpu-minimum, as the target wants"},
      {"--case", "N", kKernels, &Options::case_index,
       "the program of case N of doctor, from 0; default: of the first case that has one", 0},
      {"--before-passes", "", kKernels, &Options::before_passes, "as traced, before it is optimised"},
      {"-o,--output", "FILE", kKernels, &Options::output_path,
       "write to a file in place of standard output; SPIR-V in binary"},
      {"--threads", "N", kAnswer | kEval | kDoctor, &Options::threads,
       "threads to compute with; default: one per core", 1, 1024},
      {"--threads", "N[,N...]", kBench, &Options::threads,
       "threads to compute with, one result for each number; default: one per core", 1, 1024},
      {"--context", "N", kAnswer | kBench, &Options::context_tokens,
       "longest prompt + answer in tokens; default: the model's own, as far as memory allows", 1, UINT64_MAX},
      {"--context", "N", kEval, &Options::context_tokens, "tokens in one window; default: 512", 8,
       UINT64_MAX},
      {"--kv-dtype", "DTYPE", kCompute, &Options::kv_dtype,
       "keys and values as f16, bf16 or f32; default: f16"},

      {"--raw", "", kRun, &Options::raw,
       "continue the prompt as it stands, without the model's chat template"},
      {"--system", "TEXT", kAnswer, &Options::system_text, "a system message in front of the prompt"},
      {"--max-tokens", "N", kAnswer, &Options::max_tokens,
       "most tokens to generate; default: up to the end of the context", 1},
      {"--temperature", "T", kAnswer, &Options::temperature,
       "0 always takes the likeliest token; default: the model's own, else 0"},
      {"--top-k", "K", kAnswer, &Options::top_k, "keep the K likeliest tokens; 0: all"},
      {"--top-p", "P", kAnswer, &Options::top_p,
       "keep the likeliest tokens that make up the probability P; 1: all"},
      {"--min-p", "P", kAnswer, &Options::min_p,
       "keep tokens at least P times as likely as the likeliest; 0: all"},
      {"--repetition-penalty", "R", kAnswer, &Options::repetition_penalty,
       "above 1 makes tokens that were there before less likely; 1: off"},
      {"--repetition-window", "N", kAnswer, &Options::repetition_window,
       "how many of the last tokens the penalty looks at; 0: all"},
      {"--typical-p", "P", kAnswer, &Options::typical_p,
       "keep tokens about as surprising as the whole distribution, up to the probability P; 1: all"},
      {"--presence-penalty", "X", kAnswer, &Options::presence_penalty,
       "taken off the logit of what the answer has already; 0: off"},
      {"--frequency-penalty", "X", kAnswer, &Options::frequency_penalty, "likewise, for each time; 0: off"},
      {"--dry-multiplier", "X", kAnswer, &Options::dry_multiplier,
       "penalty on repeating a sequence of tokens: X * base ^ (length - allowed length); 0: off"},
      {"--dry-base", "B", kAnswer, &Options::dry_base, "its base; default: 1.75"},
      {"--dry-allowed-length", "N", kAnswer, &Options::dry_allowed_length,
       "repetitions shorter than this are free; default: 2", 1},
      {"--logit-bias", "ID:BIAS", kAnswer, &Options::logit_bias,
       "added to the logit of a token; may be given several times"},
      {"--speculate", "HOW", kAnswer | kBench, &Options::speculate,
       "guess tokens and check several at once, the answer stays the same: lookup (in the text so far), "
       "draft "
       "(by the draft model) or none; default: draft with --draft-model, else none"},
      {"--draft-model", "MODEL", kAnswer | kBench, &Options::draft_model,
       "a small model with the same vocabulary, to guess by"},
      {"--max-drafts", "N", kAnswer | kBench, &Options::max_drafts, "tokens guessed at once; default: 8", 1,
       64},
      {"--seed", "N", kAnswer, &Options::seed, "same seed, prompt and options: same text", 0, UINT64_MAX},
      {"--stop", "TEXT", kAnswer, &Options::stop,
       "end the answer before this text; may be given several times"},

      {"--no-special", "", kTokenize, &Options::no_special,
       "add no BOS or EOS and read \"<|im_end|>\" as plain text; with --decode, leave special tokens out"},
      {"--decode", "IDS", kTokenize, &Options::decode_ids,
       "print the text of these token ids (separated by commas or spaces; - reads them from standard input)"},

      {"--prompt-tokens", "N", kBench, &Options::prompt_tokens, "tokens in each prompt; default: 512", 1},
      {"--generate-tokens", "N", kBench, &Options::generate_tokens, "tokens to generate; default: 128", 1},
      {"--batch", "N", kBench, &Options::batch, "sessions computed together; default: 1", 1, 4096},
      {"--repeat", "N", kBench, &Options::repeat, "measured runs; the median counts; default: 3", 1, 10000},
      {"--bandwidth", "", kBench, &Options::bandwidth,
       "also measure how fast the threads read as many bytes as one token does, as a ceiling"},

      {"--requests", "FILE", kBench, &Options::requests_path,
       "serve the requests of a trace file (see --make-trace) in place of random prompts"},
      {"--concurrency", "N", kBench, &Options::concurrency,
       "requests of the trace served at once; default: 1", 1, 4096},
      {"--kv-tokens", "N", kBench, &Options::kv_tokens,
       "tokens of KV cache; default: what all requests at once need", 1, UINT64_MAX},
      {"--step-tokens", "N", kBench, &Options::step_tokens, "most tokens of one step; default: 512", 1,
       65536},
      {"--make-trace", "KIND", kBench, &Options::trace_kind,
       "print a trace and do nothing else: chat, system, agents or documents"},
      {"--num-requests", "N", kBench, &Options::num_requests, "requests of the trace made; default: 100", 1,
       10'000'000},
      {"--seed", "N", kBench | kBenchCache, &Options::seed, "of what is made; default: 1", 0, UINT64_MAX},

      {"--children", "N", kBenchCache, &Options::children,
       "cached requests that differ in their first token; default: 100000", 1, 100'000'000},
      {"--query-tokens", "N", kBenchCache, &Options::query_tokens,
       "tokens of a request, whole pages; default: 16", 16},
      {"--page-tokens", "N", kBenchCache, &Options::page_tokens, "a power of two from 16 to 256; default: 16",
       16, 256},
      {"--samples", "N", kBenchCache, &Options::samples, "timed operations of a kind; default: 200000", 1},
      {"--cold", "", kBenchCache, &Options::cold,
       "ask at random over all requests, in place of 256 of them in turn"},
      {"--trace", "FILE", kBenchCache, &Options::trace_path,
       "replay a trace file (see bench --make-trace) in place of equal requests"},
      {"--trace-pages", "N", kBenchCache, &Options::trace_pages,
       "pages of the pool that a trace is replayed on; default: 20000", 1},
      {"--no-rivals", "", kBenchCache, &Options::no_rivals, "measure the trie alone"},

      {"--text", "FILE", kEval, &Options::text_path, "the text to score (UTF-8)"},
      {"--stride", "N", kEval, &Options::stride,
       "slide the window by N tokens and score every token once; default: windows side by side, second "
       "halves "
       "scored",
       1},
      {"--max-tokens", "N", kEval, &Options::max_tokens, "use only the first N tokens of the text", 1},

      {"--tokens", "", kRun, &Options::token_ids,
       "print token ids in place of text; with --json, as well as text"},
      {"--stats", "", kAnswer, &Options::statistics,
       "print token counts and speed on standard error (run does so on a terminal anyway)"},
      {"--json", "", kEveryCommand & ~unsigned{kChat}, &Options::json, "print JSON on standard output"},
      {"-h,--help", "", kEveryCommand, &Options::help, "print this text"},
  };
  return kRows;
}

std::span<const Command> command_table() {
  static constexpr Command kCommands[] = {
      {"run", kRun, "[-m MODEL] PROMPT... [options]", "answer one prompt",
       "The prompt goes through the model's chat template as a user message when the model has one. The "
       "words of\n"
       "the prompt are joined by spaces; - alone reads it from standard input and drops one newline at its "
       "end.\n"
       "With --raw, special tokens written in the prompt (\"<|im_start|>\") are read as such.",
       true, run_command},
      {"chat", kChat, "[-m MODEL] [options]", "talk with a model",
       "A backslash at the end of a line continues the message on the next line. /help lists the commands.\n"
       "Ctrl-C stops an answer; Ctrl-C twice or Ctrl-D at the prompt leaves. Standard input may be a pipe.",
       false, chat_command},
      {"inspect", kInspect, "MODEL [--json]", "show what a model file holds", "", true, inspect_command},
      {"tokenize", kTokenize, "[-m MODEL] TEXT|- [options]", "turn text into token ids, or back", "", true,
       tokenize_command},
      {"bench", kBench, "[-m MODEL] [options]", "measure speed",
       "One object for each number of threads, with --json one per line. synthetic:SHAPE:FORMAT runs a shape "
       "with\n"
       "random weights: smollm2-135m, qwen3-0.6b, llama3-1b, llama3-8b; f32, f16, bf16, q8_0, q4_k, ...",
       false, bench_command},
      {"bench-cache", kBenchCache, "[options]", "measure the prefix cache beside two rival designs",
       "Latencies of single operations in nanoseconds, in one process on one thread; needs no model.", false,
       bench_cache_command},
      {"eval", kEval, "[-m MODEL] --text FILE [options]", "perplexity of a model over a text", "", false,
       eval_command},
      {"devices", kDevices, "[--json]", "list the devices of this machine", "", false, devices_command},
      {"doctor", kDoctor, "[--device NAME] [--quick] [--json]",
       "check that the devices of this machine compute rightly",
       "Runs every kernel on test cases and compares with a slow computation of the same. Exit code 11 when\n"
       "something is wrong.",
       false, doctor_command},
      {"kernels", kKernels, "list | dump NAME --target TEXT [options]", "print the programs of kernels",
       "NAME is a kernel or one of its bodies. No device and no driver is needed. SPIR-V is printed by "
       "spirv-dis "
       "where\nthat is installed, else as words.",
       true, kernels_command},
  };
  return kCommands;
}

const Command* find_command(const std::string& name) {
  for (const Command& command : command_table()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

}  // namespace tattletale::cli

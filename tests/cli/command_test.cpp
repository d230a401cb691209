// The commands on a model that works: what they print, and that --json is JSON and nothing else.
#include <chrono>
#include <csignal>
#include <thread>

#include "cli/cli_test.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProgramResult expect_success(const std::vector<std::string>& arguments, const ProgramInput& input = {}) {
  ProgramResult result = run_program(arguments, input);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result;
}

/// `arguments` in front, then -m and the tiny model.
std::vector<std::string> on_tiny(std::vector<std::string> arguments,
                                 const std::vector<std::string>& more = {}) {
  arguments.insert(arguments.end(), {"-m", tiny_model_path()});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Run, prints_the_answer_and_nothing_else) {
  ProgramResult result = expect_success(on_tiny({"run", "--max-tokens", "8", "hello"}));
  EXPECT_FALSE(result.out.empty());
  EXPECT_TRUE(result.out.ends_with('\n'));
  EXPECT_EQ(result.err, "");
}

TEST(Run, statistics_on_request) {
  EXPECT_THAT(expect_success(on_tiny({"run", "--stats", "--max-tokens", "8", "hello"})).err,
              HasSubstr("tok/s"));
}

TEST(Run, json) {
  Json json =
      json_of(expect_success(on_tiny({"run", "--json", "--tokens", "--max-tokens", "8", "hello"})).out);
  for (const char* key : {"text", "finish", "prompt_tokens", "cached_tokens", "generated_tokens", "load_ms",
                          "ttft_ms", "total_ms", "prefill_tok_s", "decode_tok_s", "model", "tokens"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["generated_tokens"], 8);
  EXPECT_EQ(json["tokens"].size(), 8u);
  EXPECT_EQ(json["finish"], "length");
}

TEST(Run, prompt_goes_through_the_template_unless_raw) {
  // <|im_start|> user \n he l l o <|im_end|> \n <|im_start|> assistant \n
  Json templated = json_of(expect_success(on_tiny({"run", "--json", "--max-tokens", "1", "hello"})).out);
  EXPECT_EQ(templated["prompt_tokens"], 1 + 4 + 1 + 4 + 1 + 1 + 1 + 9 + 1);
  Json raw = json_of(expect_success(on_tiny({"run", "--json", "--raw", "--max-tokens", "1", "hello"})).out);
  EXPECT_EQ(raw["prompt_tokens"], 1 + 4);  // BOS and he l l o
}

TEST(Run, words_are_joined_and_a_prompt_may_begin_with_dashes) {
  auto prompt_tokens = [](const std::vector<std::string>& words) {
    // Options stand before --.
    std::vector<std::string> arguments = {"run", "--json", "--raw",           "--max-tokens",
                                          "1",   "-m",     tiny_model_path(), "--"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    return json_of(expect_success(arguments).out)["prompt_tokens"].get<int>();
  };
  EXPECT_EQ(prompt_tokens({"abc", "de"}), 1 + 6);
  EXPECT_EQ(prompt_tokens({"--json is a flag"}), 1 + 16);
  EXPECT_EQ(prompt_tokens({"chat", "-m"}), 1 + 7);
}

TEST(Run, prompt_from_standard_input) {
  ProgramInput input;
  input.text = "abc\n";
  EXPECT_EQ(json_of(expect_success(on_tiny({"run", "--json", "--raw", "--max-tokens", "1", "-"}), input)
                        .out)["prompt_tokens"],
            1 + 3);
  input.text = std::string("a\0b", 3);
  EXPECT_EQ(json_of(expect_success(on_tiny({"run", "--json", "--raw", "--max-tokens", "1", "-"}), input)
                        .out)["prompt_tokens"],
            1 + 3);
}

TEST(Run, same_seed_same_text) {
  auto text = [](const char* seed) {
    return expect_success(on_tiny({"run", "--temperature", "1", "--seed", seed, "--max-tokens", "24",
                                   "--tokens", "hello"}))
        .out;
  };
  EXPECT_EQ(text("7"), text("7"));
  EXPECT_NE(text("7"), text("8"));
}

TEST(Run, tokens_are_those_of_json) {
  std::string ids = expect_success(on_tiny({"run", "--tokens", "--max-tokens", "8", "hello"})).out;
  Json json =
      json_of(expect_success(on_tiny({"run", "--json", "--tokens", "--max-tokens", "8", "hello"})).out);
  std::string expected;
  for (const Json& id : json["tokens"]) expected += id.dump() + " ";
  EXPECT_EQ(ids, expected + "\n");
}

TEST(Run, stop_string_is_not_part_of_the_answer) {
  std::string text =
      json_of(expect_success(on_tiny({"run", "--json", "--max-tokens", "64", "hello"})).out)["text"];
  size_t place = text.size() / 2;
  while (place > 0 && (static_cast<unsigned char>(text[place]) & 0x80) != 0) --place;
  const std::string stop = text.substr(place, 1);
  Json json =
      json_of(expect_success(on_tiny({"run", "--json", "--max-tokens", "64", "--stop", stop, "hello"})).out);
  EXPECT_EQ(json["finish"], "stop_string");
  EXPECT_EQ(json["text"], text.substr(0, text.find(stop)));
}

const std::vector<std::string> kLongAnswer = {"--max-tokens", "100000", "hello"};

std::vector<std::string> long_run(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"run", "-m", slow_model_path()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.insert(arguments.end(), kLongAnswer.begin(), kLongAnswer.end());
  return arguments;
}

TEST(Run, interrupt_ends_the_answer) {
  RunningProgram program(long_run({"--tokens"}), false);
  program.read_until(" ");  // it is answering
  program.send_signal(SIGINT);
  EXPECT_EQ(program.wait(), 130);
  EXPECT_EQ(program.errors(), "");
}

TEST(Run, interrupted_json_is_whole) {
  RunningProgram program(long_run({"--json"}), false);
  // Nothing tells from outside when it begins to answer; before that a signal ends it without an object.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  program.send_signal(SIGINT);
  Json json = json_of(program.read_until("}\n"));
  EXPECT_EQ(program.wait(), 130);
  EXPECT_EQ(json["finish"], "cancelled");
}

TEST(Run, reader_that_leaves_ends_it_quietly) {
  RunningProgram program(long_run({"--tokens"}), false);
  program.read_until(" ");
  program.close_output();
  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(program.errors(), "");
}

TEST(Tokenize, there_and_back) {
  ProgramResult ids = expect_success(on_tiny({"tokenize", "hehe <|im_end|>"}));
  EXPECT_EQ(ids.out, "256 259 259 32 258\n");
  EXPECT_EQ(expect_success(on_tiny({"tokenize", "--decode", "259,259 32,258"})).out, "hehe <|im_end|>\n");
  EXPECT_EQ(expect_success(on_tiny({"tokenize", "--decode", "259,259,32,258", "--no-special"})).out,
            "hehe \n");
}

TEST(Tokenize, no_special_reads_them_as_text) {
  Json json = json_of(expect_success(on_tiny({"tokenize", "--json", "--no-special", "<|im_end|>"})).out);
  EXPECT_EQ(json["count"], 10);
  EXPECT_EQ(json["tokens"].size(), 10u);
}

TEST(Tokenize, output_is_input) {
  ProgramInput input;
  input.text = "line one\nline two";
  ProgramInput ids;
  ids.text = expect_success(on_tiny({"tokenize", "-"}), input).out;
  Json json =
      json_of(expect_success(on_tiny({"tokenize", "--decode", "-", "--json", "--no-special"}), ids).out);
  EXPECT_EQ(json["text"], input.text);
}

TEST(Inspect, json_lists_metadata_and_tensors) {
  Json json = json_of(expect_success({"inspect", tiny_model_path(), "--json"}).out);
  EXPECT_EQ(json["arch"], "llama");
  EXPECT_EQ(json["metadata"]["llama.block_count"], 2);
  EXPECT_EQ(json["tensors"].size(), 21u);
}

TEST(Inspect, text_from_the_file_never_drives_the_terminal) {
  TemporaryFolder folder;
  TinyGguf model;
  model.name = "evil\x1b]0;title\x07";
  write_tiny_gguf(folder.file("evil.gguf"), model);
  std::string text = expect_success({"inspect", folder.file("evil.gguf")}).out;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("general.name = evil\\x1b]0;title\\x07"));
  EXPECT_THAT(text, HasSubstr("blk.1.ffn_down.weight"));
}

TEST(Devices, lists_the_cpu) {
  EXPECT_THAT(expect_success({"devices"}).out, HasSubstr("cpu"));
  Json json = json_of(expect_success({"devices", "--json"}).out);
  ASSERT_TRUE(json.is_array());
  EXPECT_EQ(json[0]["backend"], "cpu");
}

TEST(Bench, one_object_for_each_number_of_threads) {
  std::string out =
      expect_success(on_tiny({"bench", "--json", "--threads", "1,2", "--prompt-tokens", "40",
                              "--generate-tokens", "6", "--repeat", "2", "--batch", "3", "--bandwidth"}))
          .out;
  size_t newline = out.find('\n');
  ASSERT_NE(newline, std::string::npos);
  int threads = 0;
  for (const std::string& line : {out.substr(0, newline), out.substr(newline + 1)}) {
    Json json = json_of(line);
    for (const char* key :
         {"device", "model", "format", "threads", "prompt_tokens", "generated_tokens", "batch",
          "prefill_tok_s", "decode_tok_s", "ttft_ms", "weight_bytes", "decode_bytes_per_s",
          "peak_memory_bytes", "load_ms", "runs", "read_bytes_per_s"}) {
      EXPECT_TRUE(json.contains(key)) << key;
    }
    EXPECT_EQ(json["threads"], ++threads);
    EXPECT_EQ(json["batch"], 3);
    EXPECT_EQ(json["runs"].size(), 2u);
    EXPECT_GT(json["decode_tok_s"], 0);
    EXPECT_GT(json["peak_memory_bytes"], 0);
    EXPECT_EQ(json["format"], "f32");
  }
}

TEST(Bench, text_for_people) {
  EXPECT_THAT(
      expect_success(on_tiny({"bench", "--prompt-tokens", "20", "--generate-tokens", "4", "--repeat", "1"}))
          .out,
      HasSubstr("tok/s"));
}

TEST(Bench, serves_a_trace) {
  TemporaryFolder folder;
  const std::string trace = expect_success({"bench", "--make-trace", "chat", "--num-requests", "12"}).out;
  EXPECT_EQ(expect_success({"bench", "--make-trace", "chat", "--num-requests", "12", "--seed", "1"}).out,
            trace);
  EXPECT_NE(expect_success({"bench", "--make-trace", "chat", "--num-requests", "12", "--seed", "2"}).out,
            trace);
  write_file(folder.file("trace"),
             "# two turns and a stranger\n"
             "prompt 1:100 2:9 answer 3:5\n"
             "prompt @0 4:7 answer 5:6\n"
             "prompt 1:100 6:3 answer 7:1\n");
  Json json = json_of(expect_success(on_tiny({"bench", "--json", "--requests", folder.file("trace"),
                                              "--concurrency", "2", "--threads", "1"}))
                          .out);
  EXPECT_EQ(json["requests"], 3);
  EXPECT_EQ(json["generated_tokens"], 12);
  EXPECT_EQ(json["prompt_tokens"], 109 + (109 + 5 + 7) + 103);
  // The second turn has all but its own tokens and the answer's last; the stranger, who comes while the first
  // still answers, has the one full page.
  EXPECT_EQ(json["cached_tokens"], 113 + 64);
  EXPECT_EQ(json["forwarded_tokens"], 109 + 4 + 8 + 5 + 39);
  EXPECT_EQ(json["ttft_ms"]["samples"], 3);
  EXPECT_EQ(json["between_tokens_ms"]["samples"], 9);
  for (const char* key :
       {"generated_tok_s", "cache_hit_share", "ttft_cached_ms", "ttft_uncached_ms", "seconds"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_THAT(expect_success(on_tiny({"bench", "--requests", folder.file("trace")})).out,
              HasSubstr("cache hits"));

  write_file(folder.file("bad"), "prompt @1 2:9 answer 3:5\n");
  const ProgramResult bad = run_program(on_tiny({"bench", "--requests", folder.file("bad")}));
  EXPECT_EQ(bad.exit_code, 4);
  EXPECT_THAT(bad.err, HasSubstr("line 1: found \"@1\""));
  EXPECT_EQ(run_program(on_tiny({"bench", "--requests", folder.file("none")})).exit_code, 3);
  EXPECT_EQ(run_program({"bench", "--make-trace", "dance"}).exit_code, 2);
}

TEST(BenchCache, one_object_with_the_trie_and_its_rivals) {
  const Json json = json_of(expect_success({"bench-cache", "--json", "--children", "500", "--query-tokens",
                                            "32", "--samples", "1000"})
                                .out);
  EXPECT_EQ(json["children"], 500);
  EXPECT_EQ(json["query_tokens"], 32);
  ASSERT_EQ(json["rivals"].size(), 2u);
  for (const Json& cache : {json, json["rivals"]["hash_chain"], json["rivals"]["hash_map_radix"]}) {
    EXPECT_GT(cache["bytes_per_request"].get<double>(), 0.0);
    EXPECT_FALSE(cache.contains("wrong"));
    for (const char* key : {"hit_ns", "miss_ns", "insert_ns", "evict_ns"}) {
      for (const char* percentile : {"p50", "p99", "p999", "max"})
        EXPECT_TRUE(cache[key].contains(percentile)) << key << " " << percentile;
    }
  }
  EXPECT_THAT(expect_success({"bench-cache", "--children", "500", "--samples", "1000", "--cold"}).out,
              HasSubstr("trie"));
  EXPECT_EQ(run_program({"bench-cache", "--query-tokens", "17"}).exit_code, 2);
}

TEST(BenchCache, replays_traces_of_every_kind) {
  TemporaryFolder folder;
  for (const std::string kind : {"chat", "system", "agents", "documents"}) {
    write_file(folder.file(kind),
               expect_success({"bench", "--make-trace", kind, "--num-requests", "60"}).out);
    const Json json = json_of(
        expect_success({"bench-cache", "--json", "--trace", folder.file(kind), "--trace-pages", "60000"})
            .out);
    EXPECT_EQ(json["requests"], 60) << kind;
    EXPECT_EQ(json["refused"], 0) << kind;
    EXPECT_GT(json["hit_share"].get<double>(), 0.2) << kind;
    EXPECT_GE(json["hit_share"], json["rivals"]["hash_chain"]["hit_share"]) << kind;
  }
}

TEST(Run, speculation_keeps_the_answer) {
  const std::vector<std::string> ask = {"run", "--json", "--raw", "abcabcabcabc", "--max-tokens", "40"};
  const Json plain = json_of(expect_success(on_tiny(ask)).out);
  const Json lookup = json_of(expect_success(on_tiny(ask, {"--speculate", "lookup"})).out);
  EXPECT_EQ(lookup["text"], plain["text"]);
  EXPECT_GT(lookup["draft_tokens"], 0);
  const Json draft =
      json_of(expect_success(on_tiny(ask, {"--draft-model", tiny_model_path(), "--max-drafts", "5"})).out);
  EXPECT_EQ(draft["text"], plain["text"]);
  EXPECT_EQ(draft["accepted_draft_tokens"], draft["draft_tokens"]);
  EXPECT_GT(draft["draft_tokens"], 20);
  EXPECT_EQ(run_program(on_tiny({"run", "hello", "--speculate", "wildly"})).exit_code, 2);
  EXPECT_EQ(run_program(on_tiny({"run", "hello", "--speculate", "draft"})).exit_code, 2);
}

TEST(Run, takes_every_sampling_option) {
  const Json json = json_of(expect_success(on_tiny({"run",
                                                    "--json",
                                                    "--tokens",
                                                    "hello",
                                                    "--max-tokens",
                                                    "12",
                                                    "--temperature",
                                                    "0.8",
                                                    "--typical-p",
                                                    "0.9",
                                                    "--presence-penalty",
                                                    "0.1",
                                                    "--frequency-penalty",
                                                    "0.1",
                                                    "--dry-multiplier",
                                                    "0.5",
                                                    "--dry-base",
                                                    "2",
                                                    "--dry-allowed-length",
                                                    "3",
                                                    "--logit-bias",
                                                    "97:-inf",
                                                    "--logit-bias",
                                                    "98:1.5"}))
                                .out);
  EXPECT_EQ(std::ranges::count(json["tokens"], Json(97)), 0);
  for (const char* bad : {"97", "97:", ":1", "x:1", "97:1x"})
    EXPECT_EQ(run_program(on_tiny({"run", "hello", "--logit-bias", bad})).exit_code, 2) << bad;
}

class EvalText : public ::testing::Test {
 protected:
  EvalText() { write_file(path(), std::string(199, 'x')); }  // and BOS: 200 tokens
  std::string path() const { return folder_.file("text.txt"); }
  Json eval(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = on_tiny({"eval", "--json", "--text", path()}, more);
    return json_of(expect_success(arguments).out);
  }
  TemporaryFolder folder_;
};

TEST_F(EvalText, scores_the_second_half_of_each_whole_window) {
  Json json = eval({"--context", "64"});
  EXPECT_EQ(json["windows"], 3);
  EXPECT_EQ(json["text_tokens"], 200);
  EXPECT_EQ(json["tokens"], 3 * 31);
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(json["nll"].get<double>()), 1e-6);
}

TEST_F(EvalText, stride_scores_every_token_once) {
  EXPECT_EQ(eval({"--context", "64", "--stride", "32"})["tokens"], 199);
  EXPECT_EQ(eval({"--context", "64", "--stride", "63"})["tokens"], 199);
  EXPECT_EQ(eval({"--context", "64", "--stride", "10", "--max-tokens", "77"})["tokens"], 76);
}

TEST_F(EvalText, one_window_equals_its_strided_self) {
  Json whole = eval({"--context", "200", "--stride", "100"});
  Json again = eval({"--context", "256", "--stride", "10"});
  EXPECT_NEAR(whole["nll"].get<double>(), again["nll"].get<double>(), 1e-5);
}

TEST_F(EvalText, stride_must_not_leave_gaps) {
  EXPECT_EQ(run_program(on_tiny({"eval", "--text", path(), "--context", "64", "--stride", "64"})).exit_code,
            2);
}

}  // namespace
}  // namespace tattletale::testing

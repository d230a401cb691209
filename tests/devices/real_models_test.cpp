// Published models on every device, where TATTLETALE_MODELS names a folder that has them: with the CPU's
// greedy tokens fed in, each next token is the CPU's too.
//
// The CPU rounds activations to 8 bits before it multiplies packed weights, other devices need not. How far
// that moves a logit is measured with the naive kernels, exact and with that very rounding; where the CPU's
// two candidates lie closer than kTieWidths of it they count as a tie, and ties are counted and printed.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "engine/text_assets.h"
#include "model/decoder_harness.h"
#include "support/test_devices.h"

namespace tattletale::testing {
namespace {

// A logit moves by about the rounding's rms, a difference of two by the square root of 2 of it; four times
// that is passed once in 16000 choices.
constexpr double kTieWidths = 4 * 1.4142135;
constexpr size_t kSoftwareTokens = 8;  // a software driver takes a second a token
constexpr size_t kTokens = 64;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

size_t best(std::span<const float> logits) {
  return static_cast<size_t>(std::ranges::max_element(logits) - logits.begin());
}

/// rms of the difference of two rows, with their common shift taken out: it changes no probability.
double rms_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0, squares = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = double{a[i]} - double{b[i]};
    sum += difference;
    squares += difference * difference;
  }
  const double count = static_cast<double>(a.size());
  return std::sqrt(std::max(0.0, squares / count - (sum / count) * (sum / count)));
}

struct Model {
  const char* name;
  const char* file;
  const char* prompt;
};
constexpr Model kModels[] = {
    {"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "The lighthouse keeper climbed the stairs because"},
    {"gemma3", "gemma-3-270m-q4_k_m.gguf", "The capital of France is"}};

/// Rows of the last prompt token and of every further one, all tokens given.
struct Run {
  std::vector<std::vector<float>> rows;
  std::vector<uint32_t> tokens;  // the greedy choice behind each row
};

/// Computes the prompt at once and then token by token: those of `forced`, or its own choices where that is
/// empty, until there are `count`.
Result<Run> run(const ModelFiles& files, const HarnessOptions& options, const std::vector<uint32_t>& prompt,
                std::span<const uint32_t> forced, size_t count) {
  TT_ASSIGN(const std::unique_ptr<DecoderHarness> harness, DecoderHarness::open(files, options));
  Chunk chunk{0, prompt, {static_cast<uint32_t>(prompt.size() - 1)}};
  Run result;
  while (true) {
    TT_ASSIGN(std::vector<float> row, harness->step(std::span(&chunk, 1)));
    result.tokens.push_back(static_cast<uint32_t>(best(row)));
    result.rows.push_back(std::move(row));
    const size_t done = result.rows.size();
    if (done == count) return result;
    chunk = {0, {forced.empty() ? result.tokens.back() : forced[done - 1]}, {0}};
  }
}

struct Reference {
  std::string skip;  // why there is none
  ModelFiles files;
  std::vector<uint32_t> prompt;
  Run cpu;
  double rounding = 0.0;  // rms that 8-bit activations move a logit by
};

HarnessOptions options_for(std::function<Result<std::unique_ptr<Device>>()> open) {
  return {.kv_dtype = DType::f16, .num_pages = 16, .context_tokens = 128, .open_device = std::move(open)};
}

Result<Reference> make_reference(const Model& model) {
  Reference made;
  const char* folder = std::getenv("TATTLETALE_MODELS");
  if (folder == nullptr || !std::filesystem::exists(std::filesystem::path(folder) / model.file)) {
    made.skip = std::string("TATTLETALE_MODELS has no ") + model.file;
    return made;
  }
  TT_ASSIGN(made.files, open_model(std::filesystem::path(folder) / model.file));
  TT_ASSIGN(const TextAssets text, load_text_assets(made.files));
  TT_ASSIGN(made.prompt, text.encode(model.prompt, {.add_special = true, .parse_special = true}));
  TT_ASSIGN(made.cpu,
            run(made.files, options_for([] { return open_device("cpu", 2); }), made.prompt, {}, kTokens));
  HarnessOptions twin = options_for({});
  twin.twin = true;
  const auto start = Clock::now();
  TT_ASSIGN(const Run exact, run(made.files, twin, made.prompt, {}, 1));
  twin.twin_rounds = true;
  TT_ASSIGN(const Run rounded, run(made.files, twin, made.prompt, {}, 1));
  made.rounding = rms_distance(exact.rows[0], rounded.rows[0]);
  std::cout << model.name << ": 8-bit activations move a logit by " << made.rounding
            << " rms (naive kernels, " << seconds_since(start) << " s)\n";
  return made;
}

/// Made once for all devices.
const Result<Reference>& reference(size_t model) {
  static const Result<Reference> all[] = {make_reference(kModels[0]), make_reference(kModels[1])};
  return all[model];
}

struct Target {
  DeviceListing device;
  size_t model;
};

class RealModelsOnDevices : public ::testing::TestWithParam<Target> {};

TEST_P(RealModelsOnDevices, ChooseTheCpusTokens) {
  const auto& [device, model] = GetParam();
  const Result<Reference>& made = reference(model);
  ASSERT_TRUE(made.has_value()) << made.error().message();
  if (!made->skip.empty()) GTEST_SKIP() << made->skip;
  const auto start = Clock::now();
  const size_t count = device.is_cpu ? kSoftwareTokens : kTokens;
  const auto found = run(made->files, options_for([name = device.device] { return open_device(name, 2); }),
                         made->prompt, std::span(made->cpu.tokens).first(count), count);
  // A device may be too small for a model, and must say so before it computes anything.
  if (!found.has_value() && found.error().kind == ErrorKind::limit_exceeded) {
    GTEST_SKIP() << found.error().message();
  }
  ASSERT_TRUE(found.has_value()) << found.error().message();
  const double tie = kTieWidths * made->rounding;
  size_t ties = 0;
  double distance = 0.0;
  for (size_t i = 0; i < count; ++i) {
    const std::vector<float>& cpu = made->cpu.rows[i];
    distance = std::max(distance, rms_distance(cpu, found->rows[i]));
    if (found->tokens[i] == made->cpu.tokens[i]) continue;
    const double gap = cpu[made->cpu.tokens[i]] - cpu[found->tokens[i]];
    EXPECT_LT(gap, tie) << "token " << i << " is " << found->tokens[i] << ", the CPU's "
                        << made->cpu.tokens[i];
    ++ties;
  }
  // The CPU's own distance from exact, as in the naive kernels, and as much again for the device's.
  EXPECT_LT(distance, 2 * made->rounding);
  std::cout << kModels[model].name << " on " << device.device << ": " << count << " tokens, " << ties
            << " ties closer than " << tie << ", logits " << distance << " rms from the CPU's, "
            << seconds_since(start) << " s\n";
  EXPECT_LE(ties * 4, count);
}

std::vector<Target> targets() {
  std::vector<Target> all;
  for (const DeviceListing& device : list_test_devices()) {
    for (size_t model = 0; model < std::size(kModels); ++model) {
      if (device.backend != "cpu") all.push_back({device, model});
    }
  }
  return all;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealModelsOnDevices);
INSTANTIATE_TEST_SUITE_P(AllDevices, RealModelsOnDevices, ::testing::ValuesIn(targets()),
                         [](const auto& test) {
                           return test_name(test.param.device) + "_" + kModels[test.param.model].name;
                         });

}  // namespace
}  // namespace tattletale::testing

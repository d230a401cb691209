// What must not change a logit by a single bit: how a prompt is cut into chunks, where its pages lie, who
// else is in the batch, which logits are asked for, how many threads run, and where an embedding row comes
// from.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/embed.h"
#include "model/decoder_harness.h"
#include "model/tiny_checkpoint.h"

namespace tattletale::testing {
namespace {

/// A model in some stored format: f32, packed and bf16 take different paths through the kernels.
struct Stored {
  const char* name;
  const char* tiny;
  DType dtype;
  DType kv_dtype;
};

constexpr Stored kModels[] = {
    {"llama_f32", "llama_gqa3_head64", DType::f32, DType::f32},
    {"llama_q4_k", "llama_llama3_v5", DType::q4_k, DType::f16},
    {"qwen2_q4_0", "qwen2_upper_windows", DType::q4_0, DType::f16},
    {"qwen3_bf16", "qwen3_head_dim_given", DType::bf16, DType::bf16},
    {"gemma3_q8_0", "gemma3_v4", DType::q8_0, DType::f16},
    {"mistral_f16", "mistral_window", DType::f16, DType::f32},
};

class Invariance : public ::testing::TestWithParam<Stored> {
 protected:
  const TinyCase& tiny() const { return tiny_case(GetParam().tiny); }

  std::unique_ptr<DecoderHarness> open(uint32_t num_threads = 2, uint32_t page_tokens = 16) const {
    HarnessOptions options{
        .num_threads = num_threads, .kv_dtype = GetParam().kv_dtype, .page_tokens = page_tokens};
    Result<std::unique_ptr<DecoderHarness>> harness =
        DecoderHarness::open(tiny_safetensors(tiny(), all_matrices(GetParam().dtype)), options);
    if (!harness) ADD_FAILURE() << harness.error().message();
    return std::move(*harness);
  }

  /// All logits of the first `num_tokens` tokens in one chunk.
  std::vector<float> whole(size_t num_tokens = 150) const {
    return *open()->prefill(std::span(tiny().token_ids).first(num_tokens), 512);
  }
};

TEST_P(Invariance, ChunksOfAPrompt) {
  const std::vector<float> expected = whole();
  for (const uint32_t chunk_tokens : {1u, 7u, 16u, 33u, 64u, 149u}) {
    EXPECT_EQ(*open()->prefill(tiny().token_ids, chunk_tokens), expected) << "chunks of " << chunk_tokens;
  }
}

TEST_P(Invariance, LengthOfThePrompt) {
  const std::vector<float> expected = whole();
  for (const size_t num_tokens : {1u, 17u, 70u}) {
    const std::vector<float> logits = whole(num_tokens);
    EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin())) << num_tokens << " tokens";
  }
}

TEST_P(Invariance, PagesInAnyOrder) {
  const std::vector<float> expected = whole();
  std::vector<uint32_t> pages(16);
  std::iota(pages.begin(), pages.end(), 40);
  std::ranges::reverse(pages);
  std::swap(pages[3], pages[11]);
  pages[5] = 2;
  const auto harness = open();
  harness->set_pages(0, pages);
  EXPECT_EQ(*harness->prefill(tiny().token_ids, 48), expected);
}

TEST_P(Invariance, NumberOfThreads) {
  const std::vector<float> expected = *open(1)->prefill(tiny().token_ids, 150);
  for (const uint32_t num_threads : {2u, 3u}) {
    EXPECT_EQ(*open(num_threads)->prefill(tiny().token_ids, 150), expected) << num_threads << " threads";
  }
}

TEST_P(Invariance, CompanyInTheBatch) {
  const std::vector<float> expected = whole();
  const std::span<const uint32_t> tokens(tiny().token_ids);
  const auto slice = [&](size_t first, size_t count) {
    return std::vector<uint32_t>(tokens.begin() + static_cast<ptrdiff_t>(first),
                                 tokens.begin() + static_cast<ptrdiff_t>(first + count));
  };
  const auto harness = open();
  // Sequence 0 is the prompt; others decode and prefill beside it.
  const Chunk first[] = {{2, slice(60, 9), {8}}, {0, slice(0, 70), {0, 16, 69}}, {1, slice(5, 1), {0}}};
  const Chunk second[] = {{1, slice(6, 40), {39}}, {2, slice(69, 1), {0}}, {0, slice(70, 1), {0}}};
  const Chunk third[] = {{0, slice(71, 79), {0, 78}}, {3, slice(0, 150), {149}}};
  std::vector<float> logits, rows;
  const size_t vocab = kTinyVocab;
  const auto take = [&](const Result<std::vector<float>>& step, size_t row) {
    ASSERT_TRUE(step.has_value());
    logits.insert(logits.end(), step->begin() + static_cast<ptrdiff_t>(row * vocab),
                  step->begin() + static_cast<ptrdiff_t>((row + 1) * vocab));
  };
  const Result<std::vector<float>> a = harness->step(first), b = harness->step(second),
                                   c = harness->step(third);
  for (const size_t row : {1u, 2u, 3u}) take(a, row);
  take(b, 2);
  for (const size_t row : {0u, 1u, 2u}) take(c, row);
  EXPECT_EQ(logits, rows_at(expected, {0, 16, 69, 70, 71, 149, 149}));
}

TEST_P(Invariance, NoLogitsWanted) {
  const std::vector<float> expected = whole(70);
  const auto harness = open();
  Chunk prompt{0, {tiny().token_ids.begin(), tiny().token_ids.begin() + 69}, {}};
  const Result<std::vector<float>> none = harness->step(std::span(&prompt, 1));
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->empty());
  const Chunk last{0, {tiny().token_ids[69]}, {0}};
  EXPECT_EQ(*harness->step(std::span(&last, 1)), rows_at(expected, {69}));
}

TEST_P(Invariance, ReadyEmbeddings) {
  const std::vector<float> expected = whole(40);
  // The rows the table would give, scaled as the model scales them.
  const TinyCase decoded = dequantized(tiny(), all_matrices(GetParam().dtype));
  const TinyTensor& table = decoded.tensors.at("model.embed_tokens.weight");
  const auto hidden = static_cast<size_t>(table.shape[1]);
  const auto harness = open();
  std::vector<float> ready;
  std::vector<uint32_t> ids(tiny().token_ids.begin(), tiny().token_ids.begin() + 40);
  uint32_t next = 0;
  for (size_t i = 3; i < ids.size(); i += 2) {
    for (size_t d = 0; d < hidden; ++d)
      ready.push_back(table.values[ids[i] * hidden + d] * harness->config().embed_scale);
    ids[i] = next++ | kReadyEmbeddingBit;
  }
  harness->set_ready(ready);
  EXPECT_EQ(*harness->prefill(ids, 16), expected);
}

INSTANTIATE_TEST_SUITE_P(Models, Invariance, ::testing::ValuesIn(kModels),
                         [](const auto& info) { return std::string(info.param.name); });

// Larger pages group keys differently, so only near equality can be asked for.
TEST(PageSizes, AgreeClosely) {
  const TinyCase& tiny = tiny_case("mistral_window");
  for (const uint32_t page_tokens : {32u, 64u, 256u}) {
    HarnessOptions options{.page_tokens = page_tokens, .num_pages = 16};
    const auto harness = DecoderHarness::open(tiny_safetensors(tiny, all_matrices(DType::f32)), options);
    ASSERT_TRUE(harness.has_value()) << harness.error().message();
    const Result<std::vector<float>> logits = (*harness)->prefill(tiny.token_ids, 150);
    ASSERT_TRUE(logits.has_value());
    EXPECT_LT(row_error(rows_at(*logits, tiny.positions), tiny.logits, kTinyVocab), 1e-4) << page_tokens;
  }
}

}  // namespace
}  // namespace tattletale::testing

// Ids equal to the reference libraries (Hugging Face tokenizers, SentencePiece) on a seeded mixed corpus, for
// a small tokenizer of every kind and, where the model files are at hand, for real vocabularies.
// Fixtures: tests/data/tokenizer/PROVENANCE.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/json.h"
#include "text/tokenizer/corpus.h"
#include "text/tokenizer/gguf_fields.h"
#include "text/tokenizer/load_tokenizer.h"

namespace tattletale {
namespace {

constexpr uint64_t kSeed = 20240601;

std::shared_ptr<const Tokenizer> load_fixture(const std::string& name) {
  const bool is_json = std::filesystem::exists(std::string(TT_TEST_DATA) + "/tokenizer/" + name + ".json");
  const std::string file = name + (is_json ? ".json" : ".model");
  const std::string bytes = test::read_data(file);
  auto tokenizer = is_json ? load_tokenizer_json(bytes, file) : load_sentencepiece(bytes, file);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message();
  return tokenizer ? *tokenizer : nullptr;
}

/// Compares every record with its recorded hash, the first ones in full.
void expect_reference_ids(const Tokenizer& tokenizer, const std::string& name, EncodeOptions options) {
  const std::string hashes = test::read_data(name + ".ids");
  const size_t count = hashes.size() / 4;
  ASSERT_GT(count, 0u);
  const auto samples = parse_json(test::read_data(name + ".sample.json"), name);
  ASSERT_TRUE(samples);
  const auto records = test::corpus_records(test::read_data("phrases.txt"), kSeed, count);
  size_t different = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto ids = tokenizer.encode(records[i], options);
    ASSERT_TRUE(ids) << ids.error().message();
    if (i < samples->size()) {
      ASSERT_EQ(*ids, (*samples)[i].get<std::vector<TokenId>>()) << "record " << i << ": " << records[i];
    }
    uint32_t hash;
    std::memcpy(&hash, hashes.data() + 4 * i, 4);
    if (test::ids_hash(*ids) != hash && ++different <= 3) {
      ADD_FAILURE() << "record " << i << " differs: " << records[i];
    }
  }
  EXPECT_EQ(different, 0u) << "of " << count << " records";
}

class Reference : public testing::TestWithParam<const char*> {};

TEST_P(Reference, GivesTheRecordedIds) {
  const auto tokenizer = load_fixture(GetParam());
  ASSERT_TRUE(tokenizer);
  // SentencePiece itself never parses control pieces and adds nothing.
  const bool sentencepiece = std::string_view(GetParam()).starts_with("sp_");
  expect_reference_ids(*tokenizer, GetParam(),
                       {.add_special = !sentencepiece, .parse_special = !sentencepiece});
}

INSTANTIATE_TEST_SUITE_P(Json, Reference,
                         testing::Values("gpt2", "gpt2_prefix", "smollm", "llama3", "qwen2", "gpt4o",
                                         "deepseek", "forms", "words", "added", "llama2", "gemma",
                                         "metaspace", "unigram"),
                         [](const auto& info) { return std::string(info.param); });
INSTANTIATE_TEST_SUITE_P(SentencePiece, Reference,
                         testing::Values("sp_bpe", "sp_bpe_nfkc", "sp_unigram", "sp_unigram_identity"),
                         [](const auto& info) { return std::string(info.param); });

void expect_real_model(const char* file, const char* name) {
  const char* folder = std::getenv("TATTLETALE_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "TATTLETALE_MODELS does not name a folder with " << file;
  const auto path = std::filesystem::path(folder) / file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  auto map = FileMap::open(path);
  ASSERT_TRUE(map) << map.error().message();
  const auto tokenizer = load_gguf_tokenizer(test::GgufFieldReader::read(*map));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  expect_reference_ids(**tokenizer, name, {});
}

TEST(RealModel, SmolLm2GivesTheRecordedIds) {
  expect_real_model("SmolLM2-135M-Instruct.Q4_1.gguf", "real_smollm2");
}
TEST(RealModel, Gemma3GivesTheRecordedIds) {
  expect_real_model("gemma-3-270m-q4_k_m.gguf", "real_gemma3");
}

}  // namespace
}  // namespace tattletale

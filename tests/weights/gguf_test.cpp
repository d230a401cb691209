// The GGUF reader on good files: our writer's, the reference writer's, split ones, and real models.
#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "weights/gguf_builder.h"
#include "weights/gguf_writer.h"
#include "weights/temp_folder.h"

namespace tattletale {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TT_SANITIZED
#endif
#endif
#if defined(NDEBUG) && !defined(TT_SANITIZED) && !defined(__SANITIZE_ADDRESS__)
constexpr bool kTimingMeansSomething = true;
#else
constexpr bool kTimingMeansSomething = false;
#endif

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<float> kRow = {1, 2, 3, 4, 5, 6};

std::span<const std::byte> row_data() {
  return std::as_bytes(std::span(kRow));
}

TEST(Gguf, ReadsWhatTheWriterWrote) {
  GgufWriter writer;
  writer.set_alignment(64);
  writer.add_string("general.architecture", "llama");
  writer.add_u32("llama.block_count", 2);
  writer.add_f32("llama.rope.freq_base", 1e4f);
  writer.add_bool("yes", true);
  writer.add_string_array("tokens", std::vector<std::string>{"a", "", "\xff"});
  writer.add_i32_array("types", std::vector<int32_t>{1, -2});
  writer.add_f32_array("scores", std::vector<float>{0.5f});
  writer.add_tensor("a", DType::f32, {2, 3}, row_data());
  writer.add_tensor("b", DType::f32, {6}, row_data());
  const auto bytes = writer.to_bytes();
  ASSERT_TRUE(bytes);
  const auto file = parse_gguf_in_place(*bytes);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ((*file)->version(), 3u);
  EXPECT_EQ((*file)->alignment(), 64u);
  EXPECT_EQ((*file)->weight_bytes(), 48u);
  EXPECT_EQ(*(*file)->get_string("general.architecture"), "llama");
  EXPECT_EQ(*(*file)->get_u64("llama.block_count"), 2u);
  EXPECT_EQ(*(*file)->get_f32("llama.rope.freq_base"), 1e4f);
  EXPECT_TRUE(*(*file)->get_bool("yes"));
  EXPECT_THAT(*(*file)->get_string_array("tokens"), ElementsAre("a", "", "\xff"));
  EXPECT_THAT(*(*file)->get_int_array("types"), ElementsAre(1, -2));
  EXPECT_THAT(*(*file)->get_f32_array("scores"), ElementsAre(0.5f));
  const auto view = (*file)->tensor("a");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, Shape({2, 3}));
  EXPECT_EQ(view->dtype, DType::f32);
  EXPECT_EQ(std::memcmp(view->bytes.data(), kRow.data(), 24), 0);
  EXPECT_EQ((view->bytes.data() - bytes->data()) % 64, 0);
}

TEST(Gguf, ReadsAFileOfTheReferenceWriter) {
  const auto file = GgufFile::open(TT_TEST_DATA "/weights/tiny.gguf");
  ASSERT_TRUE(file) << file.error().message();
  const GgufFile& gguf = **file;
  EXPECT_EQ(*gguf.get_string("general.name"), "tiny");
  EXPECT_EQ(*gguf.get_i64("test.i8"), -8);
  EXPECT_EQ(*gguf.get_u64("test.u8"), 200u);
  EXPECT_EQ(*gguf.get_i64("test.i16"), -1600);
  EXPECT_EQ(*gguf.get_u64("test.u16"), 60000u);
  EXPECT_EQ(*gguf.get_i64("test.i32"), -32);
  EXPECT_EQ(*gguf.get_i64("test.i64"), -(int64_t{1} << 40));
  EXPECT_EQ(*gguf.get_u64("test.u64"), uint64_t{1} << 63);
  EXPECT_EQ(*gguf.get_f32("test.f64"), 0.1f);
  EXPECT_THAT(*gguf.get_string_array("tokenizer.ggml.tokens"), ElementsAre("<s>", "a", "\u00e9", ""));
  EXPECT_THAT(*gguf.get_f32_array("tokenizer.ggml.scores"), ElementsAre(0, -1.5f, -2));
  EXPECT_THAT(*gguf.get_int_array("test.flags"), ElementsAre(1, 0));
  const GgufValue* nested = gguf.find("test.nested");
  ASSERT_NE(nested, nullptr);
  ASSERT_EQ(nested->values.size(), 2u);
  EXPECT_EQ(nested->values[0].count, 2u);
  ASSERT_EQ(gguf.tensors().size(), 3u);
  EXPECT_EQ(gguf.tensors()[0].name, "token_embd.weight");
  EXPECT_EQ(gguf.tensors()[0].shape, Shape({4, 32}));
  EXPECT_EQ(gguf.find_tensor("norm.weight")->dtype, DType::f16);
  EXPECT_EQ(gguf.find_tensor("out.weight")->dtype, DType::q4_0);
  EXPECT_EQ(gguf.find_tensor("out.weight")->bytes.size(), 2u * 18);
  EXPECT_EQ(gguf.find_tensor("absent"), nullptr);
}

TEST(Gguf, ReadsVersion2) {
  const auto file = parse_gguf(ByteBuilder().header(0, 1, 2).key("k", 0).put<uint8_t>(7).bytes);
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->version(), 2u);
  EXPECT_EQ(*(*file)->get_u64("k"), 7u);
}

TEST(Gguf, AccessorsNameKeyFoundAndExpected) {
  GgufWriter writer;
  writer.add_string("text", "x");
  writer.add_i32("minus", -5);
  writer.add_u64("big", UINT64_MAX);
  writer.add_i32_array("ints", std::vector<int32_t>{1});
  const auto bytes = writer.to_bytes();
  const auto file = parse_gguf(*bytes);
  ASSERT_TRUE(file);
  const GgufFile& gguf = **file;
  EXPECT_EQ(gguf.get_u64("absent").error().message(), "test.gguf: has no metadata key \"absent\"");
  EXPECT_EQ(gguf.get_u64("absent").error().kind, ErrorKind::not_found);
  EXPECT_EQ(gguf.get_u64("text").error().message(),
            "test.gguf, key text: is of type string, expected an integer");
  EXPECT_EQ(gguf.get_u64("minus").error().message(), "test.gguf, key minus: is -5, expected 0 or more");
  EXPECT_EQ(gguf.get_i64("big").error().message(),
            "test.gguf, key big: is 18446744073709551615, past 2^63 - 1");
  EXPECT_EQ(gguf.get_f32("ints").error().message(),
            "test.gguf, key ints: is of type array of i32, expected f32 or f64");
  EXPECT_THAT(gguf.get_string_array("ints").error().message(), HasSubstr("expected array of string"));
  EXPECT_THAT(gguf.get_bool("minus").error().message(), HasSubstr("is of type i32, expected bool"));
  EXPECT_THAT(gguf.get_string("minus").error().message(), HasSubstr("is of type i32, expected string"));
  EXPECT_THAT(gguf.get_int_array("text").error().message(), HasSubstr("expected array of integers"));
  EXPECT_THAT(gguf.get_f32_array("ints").error().message(), HasSubstr("expected array of f32 or f64"));
  EXPECT_EQ(gguf.tensor("w").error().message(), "test.gguf: has no tensor \"w\"");
}

TEST(Gguf, UnknownTensorTypeIsRefusedOnlyWhenAskedFor) {
  const auto file = parse_gguf(ByteBuilder()
                                   .header(3, 0)
                                   .tensor("iq", {256}, 16, 0)
                                   .tensor("odd", {8}, 99, 64)
                                   .tensor("f", {8}, 0, 128)
                                   .pad(32, 160)
                                   .bytes);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_TRUE((*file)->tensor("f"));
  EXPECT_EQ((*file)->tensors().size(), 3u);
  const auto refused = (*file)->tensor("iq");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(refused.error().message(), HasSubstr("tensor \"iq\": is stored as IQ2_XXS (ggml type 16)"));
  EXPECT_THAT((*file)->tensor("odd").error().message(), HasSubstr("type 99"));
}

TEST(Gguf, EveryGgmlTypeNumberRoundTrips) {
  for (const DTypeInfo& info : all_dtypes()) {
    if (const auto number = ggml_from_dtype(info.dtype)) EXPECT_EQ(dtype_from_ggml(*number), info.dtype);
  }
  EXPECT_EQ(dtype_from_ggml(12), DType::q4_k);
  EXPECT_EQ(dtype_from_ggml(4), std::nullopt);
  EXPECT_EQ(ggml_from_dtype(DType::u8), std::nullopt);
  EXPECT_EQ(ggml_type_name(12), "Q4_K");
}

// Split models.

std::vector<std::byte> part(uint16_t number, uint16_t count, int32_t total, const std::string& tensor) {
  GgufWriter writer;
  if (number == 0) writer.add_string("general.name", "split");
  writer.add_u16("split.no", number);
  writer.add_u16("split.count", count);
  writer.add_i32("split.tensors.count", total);
  writer.add_tensor(tensor, DType::f32, {6}, row_data());
  return *writer.to_bytes();
}

TEST(GgufSplit, OpensAllPartsFromAny) {
  TempFolder folder;
  folder.write("m-00001-of-00002.gguf", part(0, 2, 2, "a"));
  folder.write("m-00002-of-00002.gguf", part(1, 2, 2, "b"));
  for (const char* name : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}) {
    const auto file = GgufFile::open(folder / name);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ((*file)->tensors().size(), 2u);
    EXPECT_EQ((*file)->find_tensor("b")->part, 1u);
    EXPECT_EQ(std::memcmp((*file)->tensor("b")->bytes.data(), kRow.data(), 24), 0);
    EXPECT_EQ((*file)->weight_bytes(), 48u);
    EXPECT_EQ(*(*file)->get_string("general.name"), "split");
  }
}

TEST(GgufSplit, RefusesMissingMisnamedAndMismatchedParts) {
  TempFolder folder;
  folder.write("m-00001-of-00002.gguf", part(0, 2, 2, "a"));
  auto file = GgufFile::open(folder / "m-00001-of-00002.gguf");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::not_found);
  EXPECT_THAT(file.error().message(), HasSubstr("m-00002-of-00002.gguf: cannot open"));
  folder.write("m-00002-of-00002.gguf", part(0, 2, 2, "b"));
  file = GgufFile::open(folder / "m-00001-of-00002.gguf");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message(), HasSubstr("says it is part 0 of 2"));
  folder.write("m-00002-of-00002.gguf", part(1, 2, 2, "a"));
  file = GgufFile::open(folder / "m-00001-of-00002.gguf");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message(), HasSubstr("tensor \"a\" also occurs in an earlier part"));
  folder.write("m-00001-of-00002.gguf", part(0, 2, 3, "a"));
  folder.write("m-00002-of-00002.gguf", part(1, 2, 3, "b"));
  file = GgufFile::open(folder / "m-00001-of-00002.gguf");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message(), HasSubstr("the parts hold 2 tensors, expected 3"));
  folder.write("model.gguf", part(0, 2, 2, "a"));
  file = GgufFile::open(folder / "model.gguf");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message(), HasSubstr("is one of 2 parts (split.count) but is not named like "
                                                "\"model-00001-of-00002.gguf\""));
}

// Real models: TATTLETALE_MODELS names a folder with them.

struct RealModel {
  const char* file;
  size_t num_keys;
  size_t num_tokens;
  uint64_t weight_bytes;  // by the gguf package: sum of n_bytes
  double max_ms;
};

class GgufRealModel : public ::testing::TestWithParam<RealModel> {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("TATTLETALE_MODELS");
    if (folder == nullptr) GTEST_SKIP() << "set TATTLETALE_MODELS to the folder of the models";
    path_ = std::filesystem::path(folder) / GetParam().file;
    if (!std::filesystem::exists(path_)) GTEST_SKIP() << path_ << " is absent";
  }
  std::filesystem::path path_;
};

/// One line per tensor: name, type, shape, bytes, the first eight bytes in hex.
std::string listing(const GgufFile& file) {
  std::ostringstream text;
  for (const GgufTensor& tensor : file.tensors()) {
    text << tensor.name << " " << ggml_type_name(tensor.type_number) << " " << tensor.shape.to_string() << " "
         << tensor.bytes.size() << " ";
    for (int i = 0; i < 8; ++i) {
      char hex[3];
      std::snprintf(hex, sizeof(hex), "%02x", static_cast<unsigned>(tensor.bytes[i]));
      text << hex;
    }
    text << "\n";
  }
  return text.str();
}

TEST_P(GgufRealModel, ListsAsTheReferencePackageDoes) {
  const auto file = GgufFile::open(path_);
  ASSERT_TRUE(file) << file.error().message();
  std::ifstream recorded(std::string(TT_TEST_DATA "/weights/") + GetParam().file + ".tensors.txt");
  ASSERT_TRUE(recorded);
  const std::string expected{std::istreambuf_iterator<char>(recorded), {}};
  EXPECT_EQ(listing(**file), expected);
  EXPECT_EQ((*file)->keys().size(), GetParam().num_keys);
  EXPECT_EQ((*file)->get_string_array("tokenizer.ggml.tokens")->size(), GetParam().num_tokens);
  EXPECT_EQ((*file)->weight_bytes(), GetParam().weight_bytes);
}

TEST_P(GgufRealModel, OpensWithinItsTime) {
  double best_ms = 1e9;
  for (int run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(GgufFile::open(path_));
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    best_ms = std::min(best_ms, elapsed.count());
  }
  std::printf("%s: %.2f ms\n", GetParam().file, best_ms);
  if (kTimingMeansSomething) EXPECT_LT(best_ms, GetParam().max_ms);
}

INSTANTIATE_TEST_SUITE_P(Models, GgufRealModel,
                         ::testing::Values(RealModel{"SmolLM2-135M-Instruct.Q4_1.gguf", 33, 49152, 96576768,
                                                     5},
                                           RealModel{"gemma-3-270m-q4_k_m.gguf", 33, 262144, 246587904, 20}),
                         [](const auto& model) { return model.index == 0 ? "SmolLM2" : "Gemma3"; });

}  // namespace
}  // namespace tattletale

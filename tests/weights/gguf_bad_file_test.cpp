// The GGUF reader on broken files: every refusal with its message, every truncation, every corrupted field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/gguf.h"
#include "weights/gguf_builder.h"
#include "weights/gguf_writer.h"
#include "weights/temp_folder.h"

namespace tattletale {
namespace {

using ::testing::HasSubstr;

void expect_error(const ByteBuilder& file, ErrorKind kind, const std::string& part_of_message) {
  const auto parsed = parse_gguf(file.bytes);
  ASSERT_FALSE(parsed) << "expected: " << part_of_message;
  EXPECT_EQ(parsed.error().kind, kind) << parsed.error().message();
  EXPECT_THAT(parsed.error().message(), HasSubstr(part_of_message));
  EXPECT_THAT(parsed.error().where, HasSubstr("test.gguf"));
}

void expect_bad(const ByteBuilder& file, const std::string& part_of_message) {
  expect_error(file, ErrorKind::bad_file, part_of_message);
}

TEST(GgufBadFile, Header) {
  expect_bad(ByteBuilder().raw("GGML").put<uint32_t>(3), "byte 0: not a GGUF file: it starts with \"GGML\"");
  expect_bad(ByteBuilder().raw("GG"), "the magic number needs 4 bytes but only 2 are left");
  expect_error(ByteBuilder().header(0, 0, 1), ErrorKind::unsupported, "GGUF version 1; versions 2 and 3");
  expect_error(ByteBuilder().header(0, 0, 4), ErrorKind::unsupported, "GGUF version 4");
  expect_error(ByteBuilder().header(0, 0, 0x03000000), ErrorKind::unsupported, "a big-endian GGUF file");
  expect_error(ByteBuilder().header(0, 0, 0x02000000), ErrorKind::unsupported, "a big-endian GGUF file");
}

TEST(GgufBadFile, HugeCounts) {
  expect_bad(ByteBuilder().header(0, UINT64_MAX), "claims 18446744073709551615 metadata keys");
  expect_bad(ByteBuilder().header(0, 3).key("a", 0).put<uint8_t>(1), "claims 3 metadata keys");
  expect_bad(ByteBuilder().header(uint64_t{1} << 60, 0), "claims 1152921504606846976 tensors");
  expect_bad(ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(8).put<uint64_t>(UINT64_MAX),
             "key \"a\" claims an array of 18446744073709551615 elements");
  expect_bad(ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(10).put<uint64_t>(uint64_t{1} << 61),
             "claims an array of 2305843009213693952 elements");  // 2^61 * 8 wraps to 0
  expect_bad(ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(9).put<uint64_t>(1000),
             "claims an array of 1000 elements");
}

TEST(GgufBadFile, LengthsPastTheEnd) {
  expect_bad(ByteBuilder().header(0, 1).put<uint64_t>(1000).raw("some key in the file"),
             "metadata key 0 needs 1000 bytes but only 20 are left");
  expect_bad(ByteBuilder().header(0, 1).key("a", 8).put<uint64_t>(UINT64_MAX),
             "the value of key \"a\" needs 18446744073709551615 bytes but only 0 are left");
  expect_bad(
      ByteBuilder().header(0, 1).key("list", 9).put<uint32_t>(8).put<uint64_t>(2).text("x").put<uint64_t>(9),
      "string 1 of key \"list\" needs 17 bytes but only 8 are left");
  expect_bad(
      ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(8).put<uint64_t>(1).put<uint64_t>(UINT64_MAX),
      "string 0 of key \"a\"");
}

TEST(GgufBadFile, LengthsOneByteTooLong) {
  expect_bad(ByteBuilder().header(0, 1).key("a", 8).put<uint64_t>(5).raw("text"),
             "the value of key \"a\" needs 5 bytes but only 4 are left");
  expect_bad(
      ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(8).put<uint64_t>(1).put<uint64_t>(5).raw("text"),
      "string 0 of key \"a\" needs 13 bytes but only 12 are left");
  expect_bad(ByteBuilder().header(0, 1).key("a", 9).put<uint32_t>(0).put<uint64_t>(5).raw("text"),
             "claims an array of 5 elements");
  EXPECT_TRUE(parse_gguf(ByteBuilder().header(0, 1).key("a", 8).put<uint64_t>(4).raw("text").bytes));
}

TEST(GgufBadFile, Metadata) {
  expect_bad(ByteBuilder().header(0, 2).key("k", 0).put<uint8_t>(1).key("k", 0).put<uint8_t>(1),
             "metadata key \"k\" occurs twice");
  expect_bad(ByteBuilder().header(0, 1).key("", 0).put<uint64_t>(1), "metadata key 0 is \"\"");
  expect_bad(ByteBuilder().header(0, 1).key("\xff\xfe", 0).put<uint8_t>(1),
             "metadata key 0 is \"\\xff\\xfe\", expected 1 to 65535 bytes of UTF-8");
  expect_bad(ByteBuilder().header(0, 1).key("k", 13).put<uint64_t>(1), "key \"k\" has value type 13");
  expect_bad(ByteBuilder().header(0, 1).key("k", 9).put<uint32_t>(13).put<uint64_t>(0),
             "is an array of type 13");
  expect_bad(ByteBuilder().header(0, 1).key("k", 7).put<uint8_t>(2),
             "is a bool with the byte 2, expected 0 or 1");
  expect_bad(
      ByteBuilder().header(0, 1).key("k", 9).put<uint32_t>(7).put<uint64_t>(2).put<uint8_t>(1).put<uint8_t>(
          9),
      "key \"k\" is an array of bools with the byte 9 at 1, expected 0 or 1");
}

TEST(GgufBadFile, DeeplyNestedArrays) {
  ByteBuilder file;
  file.header(0, 1).key("deep", 9);
  for (int i = 0; i < 100000; ++i) file.put<uint32_t>(9).put<uint64_t>(1);
  expect_error(file, ErrorKind::limit_exceeded, "key \"deep\" nests arrays deeper than 4 levels");
}

TEST(GgufBadFile, Alignment) {
  for (const uint32_t alignment : {0u, 3u, 4u, 24u, 1u << 31}) {
    expect_bad(ByteBuilder().header(0, 1).key("general.alignment", 4).put(alignment).put<uint32_t>(0),
               "key general.alignment: is " + std::to_string(alignment) + ", expected a power of two from 8");
  }
  expect_bad(ByteBuilder().header(0, 1).key("general.alignment", 8).text("32"), "is of type string");
  const uint32_t large = 1u << 24;  // accepted, but then the data section lies past the end
  expect_bad(
      ByteBuilder().header(1, 1).key("general.alignment", 4).put(large).tensor("t", {1}, 0, 0).pad(32, 64),
      "past the end of the file");
}

TEST(GgufBadFile, Tensors) {
  expect_bad(ByteBuilder().header(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).pad(32, 64),
             "tensor \"t\" occurs twice");
  expect_bad(ByteBuilder().header(1, 0).tensor("", {8}, 0, 0).pad(32, 64), "tensor 0 is named \"\"");
  expect_bad(ByteBuilder().header(1, 0).tensor("\xc0\xaf", {8}, 0, 0).pad(32, 64),
             "tensor 0 is named \"\\xc0\\xaf\"");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0).pad(32, 64),
             "tensor \"t\" has 9 dimensions, expected at most 8");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {uint64_t{1} << 63}, 0, 0).pad(32, 64),
             "a dimension of 9223372036854775808, past 2^63 - 1");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {uint64_t{1} << 32, uint64_t{1} << 31}, 0, 0).pad(32, 64),
             "of shape [2147483648, 4294967296] has more than 2^63 - 1 elements");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {uint64_t{1} << 62}, 28, 0).pad(32, 64),
             "of f64 is not whole blocks of 1 or too large");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {33}, 2, 0).pad(32, 64),
             "tensor \"t\": shape [33] of q4_0 is not whole blocks of 32");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {8}, 0, 4).pad(32, 64),
             "tensor \"t\" starts at data offset 4, which is not a multiple of the alignment 32");
}

TEST(GgufBadFile, TensorsPastTheEnd) {
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {16}, 0, 32).pad(32, 64),
             "test.gguf, tensor \"t\": takes 64 bytes at data offset 32, past the end of the file: the data "
             "section has "
             "64 bytes and starts at byte 64");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {16}, 0, UINT64_MAX - 31).pad(32, 64), "past the end");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {16}, 99, 96).pad(32, 64), "past the end");
  expect_bad(ByteBuilder().header(1, 0).tensor("t", {1}, 0, 0), "past the end");
}

TEST(GgufBadFile, OverlappingTensors) {
  expect_bad(ByteBuilder().header(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).pad(32, 64),
             "tensor \"b\": data bytes 32 to 64 overlap tensor \"a\", bytes 0 to 64");
  expect_bad(ByteBuilder().header(2, 0).tensor("a", {8}, 0, 32).tensor("b", {16}, 0, 0).pad(32, 64),
             "tensor \"a\": data bytes 32 to 64 overlap tensor \"b\"");
  const auto apart =
      parse_gguf(ByteBuilder().header(2, 0).tensor("a", {8}, 0, 32).tensor("b", {8}, 0, 0).pad(32, 64).bytes);
  EXPECT_TRUE(apart);
}

TEST(GgufBadFile, LongHostileNamesAreShortenedInMessages) {
  const std::string name(5000, '\n');
  const auto file = parse_gguf(ByteBuilder().header(1, 0).tensor(name, {33}, 2, 0).pad(32, 64).bytes);
  ASSERT_FALSE(file);
  EXPECT_LT(file.error().message().size(), 600u);
  EXPECT_EQ(file.error().message().find('\n'), std::string::npos);
}

TEST(GgufBadFile, FilesThatAreNoFiles) {
  TempFolder folder;
  EXPECT_EQ(GgufFile::open(folder / "absent.gguf").error().kind, ErrorKind::not_found);
  folder.write("empty.gguf", "");
  EXPECT_THAT(GgufFile::open(folder / "empty.gguf").error().message(), HasSubstr("the file is empty"));
  EXPECT_EQ(GgufFile::open(folder.path()).error().kind, ErrorKind::bad_file);
}

/// A file with every kind of value and three tensors.
std::vector<std::byte> complete_file() {
  static const std::vector<float> data(64, 1.5f);
  GgufWriter writer;
  writer.set_alignment(64);
  writer.add_u8("u8", 1);
  writer.add_f64("f64", 1.0);
  writer.add_bool("bool", true);
  writer.add_string("string", "text");
  writer.add_string_array("strings", std::vector<std::string>{"a", "bc", ""});
  writer.add_u32_array("numbers", std::vector<uint32_t>{1, 2, 3});
  const auto bytes = std::as_bytes(std::span(data));
  writer.add_tensor("f32", DType::f32, {2, 8}, bytes.first(64));
  writer.add_tensor("q8_0", DType::q8_0, {2, 32}, bytes.first(68));
  writer.add_tensor("scalar", DType::f32, {}, bytes.first(4));
  return *writer.to_bytes();
}

/// Reads everything a caller could; sanitizers watch.
uint64_t touch_everything(const GgufFile& file) {
  uint64_t sum = 0;
  for (const std::string_view key : file.keys()) {
    const GgufValue& value = *file.find(key);
    for (const std::byte b : value.bytes) sum += static_cast<uint8_t>(b);
    for (const std::string_view text : value.strings) sum += text.size() + (text.empty() ? 0 : text.back());
  }
  for (const GgufTensor& tensor : file.tensors()) {
    for (const std::byte b : tensor.bytes) sum += static_cast<uint8_t>(b);
  }
  return sum;
}

TEST(GgufBadFile, EveryTruncationIsRefused) {
  const std::vector<std::byte> whole = complete_file();
  const auto file = parse_gguf_in_place(whole);
  ASSERT_TRUE(file) << file.error().message();
  // Padding after the last tensor may be missing, nothing else.
  const GgufTensor& last = (*file)->tensors().back();
  const size_t needed = static_cast<size_t>(last.bytes.data() + last.bytes.size() - whole.data());
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const auto parsed = parse_gguf(cut);
    ASSERT_EQ(parsed.has_value(), size >= needed) << "cut to " << size << " of " << whole.size();
    if (parsed) touch_everything(**parsed);
  }
}

TEST(GgufBadFile, EveryCorruptedByteIsRefusedOrReadSafely) {
  const std::vector<std::byte> whole = complete_file();
  size_t refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::vector<std::byte> bad = whole;
      bad[at] = std::byte{value};
      const auto parsed = parse_gguf(bad);
      if (parsed) {
        touch_everything(**parsed);
      } else {
        ++refused;
        ASSERT_FALSE(parsed.error().what.empty());
        ASSERT_THAT(parsed.error().where, HasSubstr("test.gguf"));
      }
    }
  }
  EXPECT_GT(refused, 500u);
}

TEST(GgufWriter, RefusesWhatItCannotWrite) {
  const std::vector<std::byte> data(64);
  GgufWriter twice;
  twice.add_tensor("t", DType::f32, {16}, data);
  twice.add_tensor("t", DType::f32, {16}, data);
  EXPECT_EQ(twice.to_bytes().error().message(), "tensor \"t\": was added twice");
  GgufWriter bytes;
  bytes.add_tensor("t", DType::u8, {64}, data);
  EXPECT_EQ(bytes.to_bytes().error().message(), "tensor \"t\": GGUF has no element type u8");
  GgufWriter partial;
  partial.add_tensor("t", DType::q4_0, {33}, data);
  EXPECT_THAT(partial.to_bytes().error().message(), HasSubstr("are not whole blocks of q4_0"));
  GgufWriter keys;
  keys.add_u32("k", 1);
  keys.add_u32("k", 2);
  EXPECT_EQ(keys.to_bytes().error().message(), "key k: was added twice");
  TempFolder folder;
  EXPECT_EQ(GgufWriter().write(folder / "no/such/folder.gguf").error().kind, ErrorKind::io);
  EXPECT_FALSE(keys.write(folder / "k.gguf"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace tattletale

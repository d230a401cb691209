// The safetensors reader: good files, shards, every refusal, every truncation.
#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "weights/safetensors_writer.h"
#include "weights/temp_folder.h"

namespace tattletale {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::vector<float> kRow = {1, 2, 3, 4, 5, 6};

std::span<const std::byte> row_data() {
  return std::as_bytes(std::span(kRow));
}

std::vector<std::byte> raw_file(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

Result<std::shared_ptr<const SafetensorsFile>> parse(const std::vector<std::byte>& bytes) {
  return SafetensorsFile::parse(bytes, nullptr, "test.safetensors");
}

/// Expects a refusal of this header in front of this much data.
void expect_bad(const std::string& header, size_t data_bytes, const std::string& part_of_message) {
  const auto parsed = parse(raw_file(header, data_bytes));
  ASSERT_FALSE(parsed) << header;
  EXPECT_EQ(parsed.error().kind, ErrorKind::bad_file);
  EXPECT_THAT(parsed.error().where, HasSubstr("test.safetensors"));
  EXPECT_THAT(parsed.error().message(), HasSubstr(part_of_message)) << header;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, uint64_t begin,
                  uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST(Safetensors, ReadsWhatTheWriterWrote) {
  SafetensorsWriter writer;
  writer.add_metadata("format", "pt");
  writer.add_tensor("a \"quoted\" name", DType::f32, {2, 3}, row_data());
  writer.add_tensor("b", DType::bf16, {4}, row_data().first(8));
  writer.add_tensor("scalar", DType::f32, {}, row_data().first(4));
  const auto bytes = writer.to_bytes();
  ASSERT_TRUE(bytes);
  const auto file = parse(*bytes);
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ((*file)->metadata().size(), 1u);
  EXPECT_EQ((*file)->metadata()[0].second, "pt");
  EXPECT_EQ((*file)->weight_bytes(), 36u);
  const auto view = (*file)->tensor("a \"quoted\" name");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, Shape({2, 3}));
  EXPECT_EQ(std::memcmp(view->bytes.data(), kRow.data(), 24), 0);
  EXPECT_EQ((*file)->tensor("scalar")->shape.rank(), 0);
  EXPECT_EQ((*file)->tensor("b")->dtype, DType::bf16);
}

TEST(Safetensors, ReadsAFileOfTheReferenceWriter) {
  const auto file = SafetensorsFile::open(TT_TEST_DATA "/weights/tiny.safetensors");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_THAT((*file)->metadata(), UnorderedElementsAre(Pair("format", "np")));
  ASSERT_EQ((*file)->tensors().size(), 6u);
  EXPECT_EQ((*file)->tensor("a.weight")->shape, Shape({3, 5}));
  EXPECT_EQ((*file)->tensor("b.weight")->dtype, DType::f16);
  EXPECT_EQ((*file)->tensor("mask")->dtype, DType::boolean);
  EXPECT_EQ((*file)->tensor("empty")->bytes.size(), 0u);
  int64_t c[4];
  std::memcpy(c, (*file)->tensor("c")->bytes.data(), sizeof(c));
  EXPECT_EQ(c[3], 3);
  double scalar = 0;
  std::memcpy(&scalar, (*file)->tensor("scalar")->bytes.data(), 8);
  EXPECT_EQ(scalar, 2.5);
}

TEST(Safetensors, EveryDtypeOfTheFormatIsKnownOrRefusedByName) {
  for (const char* name : {"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32",
                           "U32", "F32", "F64", "I64", "U64"}) {
    const auto dtype = dtype_from_safetensors(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_EQ(safetensors_from_dtype(*dtype), name);
    const size_t size = dtype_info(*dtype).block_bytes * 3;
    EXPECT_TRUE(parse(raw_file("{" + entry("t", name, "3", 0, size) + "}", size))) << name;
  }
  for (const char* name : {"F8_E8M0", "F4", "F6_E2M3", "C64", "nonsense"}) {
    const auto file = parse(raw_file("{" + entry("t", name, "4", 0, 4) + "}", 4));
    ASSERT_TRUE(file) << name;
    const auto refused = (*file)->tensor("t");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(refused.error().message(),
                HasSubstr("tensor \"t\": is stored as \"" + std::string(name) + "\""));
  }
  EXPECT_EQ(safetensors_from_dtype(DType::q4_0), std::nullopt);
}

TEST(SafetensorsBadFile, HeaderLength) {
  EXPECT_THAT(parse(std::vector<std::byte>(7)).error().message(), HasSubstr("it has 7 bytes"));
  EXPECT_THAT(parse(std::vector<std::byte>(8)).error().message(), HasSubstr("the header starts with \"\""));
  std::vector<std::byte> bytes = raw_file("{}", 0);
  bytes[0] = std::byte{3};
  EXPECT_THAT(parse(bytes).error().message(), HasSubstr("claims 3 bytes but only 2 follow"));
  std::memset(bytes.data(), 0xff, 8);
  const auto huge = parse(bytes);
  EXPECT_EQ(huge.error().kind, ErrorKind::limit_exceeded);
  EXPECT_THAT(huge.error().message(), HasSubstr("claims 18446744073709551615 bytes, at most 100000000"));
}

TEST(SafetensorsBadFile, Json) {
  expect_bad("[]", 0, "the header starts with \"[\", expected \"{\"");
  expect_bad(" {}", 0, "the header starts with \" \"");
  expect_bad("{", 0, "header: not valid JSON at byte 2");
  expect_bad("{\"\xff\":1}", 0, "not valid JSON");
  expect_bad("{} x", 0, "not valid JSON");
  expect_bad("{\"t\":5}", 0,
             "found the number 5, expected an object with dtype, shape and data_offsets of tensor \"t\"");
  expect_bad("{\"t\":{\"dtype\":7}}", 0,
             "found the number 7, expected the dtype of tensor \"t\" as a string");
  expect_bad("{\"t\":{\"shape\":\"x\"}}", 0, "expected the shape of tensor \"t\" as an array");
  expect_bad("{\"t\":{\"shape\":[-1]}}", 0, "found the number -1, expected dimensions of tensor \"t\"");
  expect_bad("{\"t\":{\"shape\":[1.5]}}", 0, "found the number 1.5");
  expect_bad("{\"t\":{\"shape\":[[1]]}}", 0, "found an array");
  expect_bad("{\"t\":{\"shape\":[null]}}", 0, "found null");
  expect_bad("{\"t\":{\"data_offsets\":[1]}}", 0, "data_offsets of tensor \"t\" has 1 numbers, expected 2");
  expect_bad("{\"t\":{\"data_offsets\":[1,2,3]}}", 0, "has 3 numbers, expected 2");
  expect_bad("{\"t\":{\"color\":\"red\"}}", 0, "has the unknown field \"color\"");
  expect_bad("{\"t\":{}}", 0, "tensor \"t\" has no dtype");
  expect_bad("{\"t\":{\"dtype\":\"F32\"}}", 0, "tensor \"t\" has no shape");
  expect_bad("{\"t\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "tensor \"t\" has no data_offsets");
  expect_bad("{\"\":{}}", 0, "a tensor has an empty name");
  expect_bad("{\"__metadata__\":5}", 0, "expected __metadata__ as an object");
  expect_bad("{\"__metadata__\":{\"a\":1}}", 0, "expected a string as value in __metadata__");
  expect_bad("{\"t\":{\"dtype\":\"F32\",\"shape\":[1e400]}}", 0, "not valid JSON");
}

TEST(SafetensorsBadFile, Duplicates) {
  expect_bad("{" + entry("t", "F32", "1", 0, 4) + "," + entry("t", "F32", "1", 4, 8) + "}", 8,
             "\"t\" occurs twice");
  expect_bad("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "\"__metadata__\" occurs twice");
  expect_bad("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "__metadata__ key \"a\" occurs twice");
  expect_bad("{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F16\"}}", 0, "tensor \"t\" has dtype twice");
}

TEST(SafetensorsBadFile, OffsetsAndShapes) {
  expect_bad("{" + entry("t", "F32", "2", 0, 4) + "}", 4,
             "shape [2] of F32 takes 8 bytes, but data_offsets 0 to 4");
  expect_bad("{" + entry("t", "F32", "1", 8, 4) + "}", 8,
             "data_offsets are 8 to 4, outside the data section");
  expect_bad("{" + entry("t", "F32", "2", 0, 8) + "}", 4,
             "data_offsets are 0 to 8, outside the data section of 4");
  expect_bad("{" + entry("t", "F32", "9223372036854775808", 0, 4) + "}", 4,
             "a dimension of 9223372036854775808, past 2^63 - 1");
  expect_bad("{" + entry("t", "F32", "4294967296,4294967296", 0, 4) + "}", 4,
             "has more than 2^63 - 1 elements");
  expect_bad("{" + entry("t", "F64", "4611686018427387904", 0, 4) + "}", 4, "takes more than 2^63 bytes");
  expect_bad("{" + entry("a", "F32", "2", 0, 8) + "," + entry("b", "F32", "2", 4, 12) + "}", 12,
             "tensor \"b\": data_offsets 4 to 12 overlap tensor \"a\", 0 to 8");
  expect_bad("{" + entry("a", "F32", "1", 0, 4) + "," + entry("b", "F32", "1", 8, 12) + "}", 12,
             "bytes 4 to 8 of the data section belong to no tensor");
  expect_bad("{" + entry("a", "F32", "1", 0, 4) + "}", 12,
             "bytes 4 to 12 of the data section belong to no tensor");
  expect_bad("{}", 3, "bytes 0 to 3 of the data section belong to no tensor");
  EXPECT_EQ(parse(raw_file("{" + entry("t", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) + "}", 4)).error().kind,
            ErrorKind::unsupported);
  EXPECT_TRUE(
      parse(raw_file("{" + entry("b", "F32", "1", 4, 8) + "," + entry("a", "F32", "1", 0, 4) + "}", 8)));
}

TEST(SafetensorsBadFile, EveryTruncationIsRefused) {
  SafetensorsWriter writer;
  writer.add_metadata("format", "pt");
  writer.add_tensor("a", DType::f32, {2, 3}, row_data());
  writer.add_tensor("b", DType::u8, {5}, row_data().first(5));
  const std::vector<std::byte> whole = *writer.to_bytes();
  ASSERT_TRUE(parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)})) << size;
  }
}

TEST(SafetensorsBadFile, EveryCorruptedByteIsRefusedOrReadSafely) {
  SafetensorsWriter writer;
  writer.add_tensor("a", DType::f32, {2, 3}, row_data());
  writer.add_tensor("b", DType::u8, {5}, row_data().first(5));
  const std::vector<std::byte> whole = *writer.to_bytes();
  size_t refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char value : {'\0', '9', '"', '}', '[', ' ', '\x7f', '\xff'}) {
      std::vector<std::byte> bad = whole;
      bad[at] = static_cast<std::byte>(value);
      const auto parsed = parse(bad);
      refused += !parsed;
      if (!parsed) continue;
      uint64_t covered = 0;
      for (const SafetensorsEntry& tensor : (*parsed)->tensors()) covered += tensor.bytes.size();
      EXPECT_EQ(covered, 29u);
    }
  }
  EXPECT_GT(refused, 500u);
}

// Sharded models.

void write_shard(const TempFolder& folder, const std::string& name, const std::vector<std::string>& tensors) {
  SafetensorsWriter writer;
  writer.add_metadata("shard", name);
  for (const std::string& tensor : tensors) writer.add_tensor(tensor, DType::f32, {6}, row_data());
  ASSERT_TRUE(writer.write(folder / name));
}

std::string index_error(const TempFolder& folder, const std::string& index) {
  folder.write("model.safetensors.index.json", index);
  const auto file = SafetensorsFile::open(folder / "model.safetensors.index.json");
  return file ? "opened" : file.error().message();
}

TEST(SafetensorsShards, OpensAllShards) {
  TempFolder folder;
  write_shard(folder, "m-1.safetensors", {"a", "b"});
  write_shard(folder, "m-2.safetensors", {"c"});
  folder.write("model.safetensors.index.json",
               R"({"metadata":{"total_size":72,"deep":[{"weight_map":1}]},
                  "weight_map":{"a":"m-1.safetensors","c":"m-2.safetensors","b":"m-1.safetensors"}})");
  const auto file = SafetensorsFile::open(folder / "model.safetensors.index.json");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ((*file)->tensors().size(), 3u);
  EXPECT_EQ((*file)->find_tensor("c")->part, 1u);
  EXPECT_EQ((*file)->weight_bytes(), 72u);
  EXPECT_EQ((*file)->metadata()[0].second, "m-1.safetensors");
  EXPECT_EQ(std::memcmp((*file)->tensor("c")->bytes.data(), kRow.data(), 24), 0);
}

TEST(SafetensorsShards, RefusesBrokenIndexes) {
  TempFolder folder;
  write_shard(folder, "m-1.safetensors", {"a"});
  write_shard(folder, "m-2.safetensors", {"a"});
  EXPECT_THAT(index_error(folder, "{}"), HasSubstr("model.safetensors.index.json: has no weight_map"));
  EXPECT_THAT(index_error(folder, "7"), HasSubstr("found a number, expected an object"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":[]}"),
              HasSubstr("found an array, expected weight_map as an object"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"a\":1}}"),
              HasSubstr("found a number, expected the name of the file of tensor \"a\""));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}"),
              HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{},\"weight_map\":{}}"),
              HasSubstr("weight_map occurs twice"));
  for (const char* name : {"../m-1.safetensors", "/etc/passwd", "..", ""}) {
    EXPECT_THAT(index_error(folder, std::string("{\"weight_map\":{\"a\":\"") + name + "\"}}"),
                HasSubstr("expected the name of a file beside the index"));
  }
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"a\":\"m-3.safetensors\"}}"),
              HasSubstr("cannot open the file"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"z\":\"m-1.safetensors\"}}"),
              HasSubstr("tensor \"z\" is not in \"m-1.safetensors\", where weight_map says it is"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}"),
              HasSubstr("tensor \"a\" occurs in two shards"));
  EXPECT_THAT(index_error(folder, "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}"),
              HasSubstr("expected the name of a file beside the index"));  // no cycles
}

TEST(SafetensorsWriter, RefusesWhatItCannotWrite) {
  SafetensorsWriter twice;
  twice.add_tensor("t", DType::f32, {6}, row_data());
  twice.add_tensor("t", DType::f32, {6}, row_data());
  EXPECT_EQ(twice.to_bytes().error().message(), "tensor \"t\": was added twice");
  SafetensorsWriter packed;
  packed.add_tensor("t", DType::q4_0, {32}, row_data().first(18));
  EXPECT_THAT(packed.to_bytes().error().message(), HasSubstr("cannot hold shape [32] of q4_0"));
  SafetensorsWriter name;
  name.add_tensor("\xff", DType::f32, {6}, row_data());
  EXPECT_THAT(name.to_bytes().error().message(), HasSubstr("expected a name in UTF-8"));
}

}  // namespace
}  // namespace tattletale

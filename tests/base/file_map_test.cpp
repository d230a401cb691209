#include "base/file_map.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace tattletale {
namespace {

namespace fs = std::filesystem;

class FileMapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tattletale_file_map_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  fs::path folder_;
};

TEST_F(FileMapTest, MapsTheWholeFile) {
  const std::string text = std::string(10000, 'x') + '\0' + "end";
  const auto map = FileMap::open(write("file", text));
  ASSERT_TRUE(map) << map.error().message();
  (*map)->prefetch();
  const std::span<const std::byte> bytes = (*map)->bytes();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
  EXPECT_EQ((*map)->path(), (folder_ / "file").string());
}

TEST_F(FileMapTest, StaysReadableAfterTheFileIsRemoved) {
  const auto map = FileMap::open(write("file", "text"));
  ASSERT_TRUE(map);
  fs::remove(folder_ / "file");
  EXPECT_EQ((*map)->bytes()[3], std::byte{'t'});
}

TEST_F(FileMapTest, ErrorsNameThePath) {
  const auto missing = FileMap::open(folder_ / "missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_EQ(missing.error().where, (folder_ / "missing").string());
  EXPECT_EQ(FileMap::open(write("empty", "")).error().kind, ErrorKind::bad_file);
  EXPECT_EQ(FileMap::open(folder_).error().kind, ErrorKind::bad_file);
  EXPECT_EQ(FileMap::open(write("file", "x") / "below").error().kind, ErrorKind::not_found);
}

TEST_F(FileMapTest, ReadTextFileHoldsToItsLimit) {
  const fs::path path = write("text", "12345");
  EXPECT_EQ(read_text_file(path, 5).value(), "12345");
  EXPECT_EQ(read_text_file(write("empty", ""), 5).value(), "");
  const auto too_long = read_text_file(path, 4);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().kind, ErrorKind::limit_exceeded);
  EXPECT_EQ(read_text_file(folder_ / "missing", 4).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace tattletale

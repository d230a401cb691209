#include "base/json.h"

#include <gtest/gtest.h>

namespace tattletale {
namespace {

std::string nested(int levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(Json, KeepsTheOrderOfKeys) {
  EXPECT_EQ(parse_json(R"({"b": 1, "a": [true, null], "c": "x"})", "test").value().dump(),
            R"({"b":1,"a":[true,null],"c":"x"})");
}

TEST(Json, NestingIsBounded) {
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth), "test"));
  for (const int levels : {kMaxJsonDepth + 1, 1'000'000}) {
    const auto deep = parse_json(nested(levels), "request body");
    ASSERT_FALSE(deep) << levels;
    EXPECT_EQ(deep.error().kind, ErrorKind::limit_exceeded);
    EXPECT_EQ(deep.error().where, "request body");
  }
  EXPECT_FALSE(parse_json(std::string(200'000, '['), "test"));  // never closed
}

TEST(Json, BracketsInsideStringsDoNotNest) {
  EXPECT_TRUE(parse_json("\"" + std::string(1000, '[') + "\"", "test"));
  EXPECT_TRUE(parse_json(R"({"a\"[": "\\", "b": [[]]})", "test"));
  EXPECT_FALSE(parse_json("\"\\\\\"" + nested(kMaxJsonDepth + 1), "test"));
}

TEST(Json, FaultsNameThePlace) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\" 1}", "nul", "\"\\ud800\"", "\"\xff\"", "1 2", "1e999999"}) {
    const auto result = parse_json(text, "config.json");
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::bad_file) << text;
    EXPECT_EQ(result.error().where, "config.json");
  }
}

}  // namespace
}  // namespace tattletale

#include "base/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"

namespace tattletale {
namespace {

Result<int> half_of(int n) {
  if (n % 2 != 0) return make_error(ErrorKind::invalid_argument, "n", std::to_string(n) + " is odd");
  return n / 2;
}
Result<void> must_be_even(int n) {
  TT_TRY(half_of(n));
  return {};
}
Result<std::string> quarter_text(int n) {
  TT_TRY(must_be_even(n));
  TT_ASSIGN(const int half, half_of(n));
  TT_ASSIGN(const int quarter, half_of(half));
  return std::to_string(quarter);
}
Result<std::unique_ptr<int>> boxed(int n) {
  return std::make_unique<int>(n);
}

TEST(Result, PropagatesValuesAndErrorsAcrossTypes) {
  EXPECT_EQ(quarter_text(12).value(), "3");
  const Result<std::string> failed = quarter_text(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(failed.error().message(), "n: 3 is odd");
  EXPECT_EQ(quarter_text(7).error().what, "7 is odd");
}

TEST(Result, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> box = boxed(5);
  ASSERT_TRUE(box);
  EXPECT_EQ(*std::move(*box), 5);
}

TEST(Error, MessageWithoutAPlaceIsJustWhat) {
  EXPECT_EQ(make_error(ErrorKind::io, "", "gone").message(), "gone");
}

TEST(Error, EveryKindHasItsOwnName) {
  std::vector<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    names.push_back(error_kind_name(static_cast<ErrorKind>(kind)));
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Check, FailureNamesTheConditionAndThePlace) {
  const int three = 3;
  EXPECT_NO_THROW(CHECK(three == 3));
  try {
    CHECK(three == 4);
    FAIL();
  } catch (const InvariantError& error) {
    EXPECT_NE(std::string(error.what()).find("three == 4"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("error_test.cpp"), std::string::npos);
  }
}

}  // namespace
}  // namespace tattletale

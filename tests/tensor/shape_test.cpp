#include "tensor/shape.h"

#include <gtest/gtest.h>

#include <limits>

namespace tattletale {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

TEST(Shape, DimensionsFromEitherEnd) {
  const Shape shape{2, 3, 576};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 576);
  EXPECT_EQ(shape[-3], 2);
  EXPECT_EQ(shape.to_string(), "[2, 3, 576]");
  EXPECT_EQ(shape, (Shape{2, 3, 576}));
  EXPECT_NE(shape, (Shape{2, 3}));
}

TEST(Shape, CountsElementsAndBytes) {
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ((Shape{2, 0, 5}).num_elements(), 0);
  EXPECT_EQ((Shape{3, 64}).num_bytes(DType::q4_0), 108u);
  EXPECT_EQ(Shape().num_bytes(DType::f16), 2u);
  EXPECT_EQ((Shape{4, 0}).num_bytes(DType::q4_0), 0u);
  EXPECT_FALSE((Shape{64, 3}).num_bytes(DType::q4_0));  // rows of 3 are not whole blocks
}

TEST(Shape, HostileSizesAreRefused) {
  EXPECT_FALSE((Shape{-1, 5}).num_elements());
  EXPECT_FALSE((Shape{-1, -5}).num_bytes(DType::f32));
  EXPECT_FALSE((Shape{kMost, 2}).num_elements());
  EXPECT_FALSE((Shape{int64_t{1} << 32, int64_t{1} << 31}).num_elements());
  EXPECT_EQ((Shape{kMost, 1}).num_elements(), kMost);
  EXPECT_EQ((Shape{kMost, 1}).num_bytes(DType::u8), static_cast<uint64_t>(kMost));
  EXPECT_FALSE((Shape{kMost, 1}).num_bytes(DType::f32));
  EXPECT_FALSE((Shape{kMost}).num_bytes(DType::f32));
}

TEST(Shape, TooManyDimensionsBreakAnInvariant) {
  EXPECT_NO_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), InvariantError);
}

}  // namespace
}  // namespace tattletale

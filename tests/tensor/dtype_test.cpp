#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <limits>

namespace tattletale {
namespace {

TEST(DType, TableAndNamesAgree) {
  for (const DTypeInfo& info : all_dtypes()) {
    EXPECT_EQ(&dtype_info(info.dtype), &info);
    EXPECT_EQ(dtype_from_name(info.name), info.dtype);
    EXPECT_EQ(info.packed, info.block_elements > 1) << info.name;
  }
  EXPECT_FALSE(dtype_from_name("q9_9"));
  EXPECT_FALSE(dtype_from_name(""));
}

TEST(DType, SizesOfKnownFormats) {
  EXPECT_EQ(row_bytes(DType::f32, 3), 12u);
  EXPECT_EQ(row_bytes(DType::bf16, 0), 0u);
  EXPECT_EQ(row_bytes(DType::q4_0, 64), 36u);
  EXPECT_EQ(row_bytes(DType::q8_0, 32), 34u);
  EXPECT_EQ(row_bytes(DType::q4_k, 512), 288u);
  EXPECT_EQ(row_bytes(DType::q6_k, 256), 210u);
}

TEST(DType, RowsMustBeWholeBlocksAndFit64Bits) {
  EXPECT_FALSE(row_bytes(DType::q4_0, 33));
  EXPECT_FALSE(row_bytes(DType::q4_k, 128));
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(row_bytes(DType::f32, kMost));
  EXPECT_FALSE(row_bytes(DType::q8_0, kMost / 32 * 32));
  EXPECT_EQ(row_bytes(DType::u8, kMost), kMost);
}

}  // namespace
}  // namespace tattletale

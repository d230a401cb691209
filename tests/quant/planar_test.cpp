// Planes hold exactly the numbers of the blocks they were made from.
#include "quant/planar.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "quant/block_format.h"

namespace tattletale {
namespace {

TEST(Planar, EveryPackedFormatHasOneAndPlainOnesHaveNone) {
  for (const DTypeInfo& info : all_dtypes()) {
    EXPECT_EQ(planar_format(info.dtype) != nullptr, info.packed) << info.name;
  }
}

TEST(Planar, DecodesToTheBlocksOwnNumbers) {
  for (const DTypeInfo& info : all_dtypes()) {
    if (!info.packed) continue;
    SCOPED_TRACE(info.name);
    const PlanarFormat& format = *planar_format(info.dtype);
    const uint64_t columns = 3 * info.block_elements, rows = 7;
    const uint64_t bytes = row_bytes(info.dtype, columns).value();
    std::vector<std::byte> blocks(rows * bytes);
    for (uint64_t r = 0; r < rows; ++r) {
      block_format(info.dtype)
          .fill_random_row(blocks.data() + r * bytes, static_cast<int64_t>(columns), r + 1, 1.0f);
    }
    const PlanarLayout layout = planar_layout(format, rows, columns);
    EXPECT_EQ(layout.high % 16 + layout.scale % 16 + layout.super % 16 + layout.total_bytes % 16, 0u);
    EXPECT_LE(layout.total_bytes, blocks.size() * 107 / 100 + 64);  // never much larger than the file
    std::vector<std::byte> planes(layout.total_bytes);
    // In two parts, as threads would.
    planar_from_blocks(format, layout, columns, 0, 3, std::span(blocks).first(3 * bytes), planes);
    planar_from_blocks(format, layout, columns, 3, 4, std::span(blocks).subspan(3 * bytes), planes);
    std::vector<float> expected(columns), actual(columns);
    for (uint64_t r = 0; r < rows; ++r) {
      block_format(info.dtype)
          .dequantize_row(blocks.data() + r * bytes, expected.data(), static_cast<int64_t>(columns));
      dequantize_planar_row(format, layout, columns, r, planes, actual.data());
      ASSERT_EQ(std::memcmp(expected.data(), actual.data(), columns * 4), 0) << "row " << r;
    }
  }
}

}  // namespace
}  // namespace tattletale

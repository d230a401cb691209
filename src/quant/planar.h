// GGUF's packed matrices rearranged for accelerators. A file's blocks have odd sizes (18, 34, 210 bytes), so
// no lane could load them in aligned words. Here each kind of bits lies in a plane of its own: low bits of
// the levels, high bits, scales, super-block scales. One description covers all formats, so one device-side
// reader (kernels/matrix_reader.h) decodes them all. Values are exactly those of BlockFormat::dequantize_row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tensor/dtype.h"

namespace tattletale {

enum class PlanarScale : uint8_t {
  none,     // x = d * level
  i8,       // x = d * scale[group] * level
  nibbles,  // one byte a group: low four bits scale, high four min
  pair,     // two bytes a group: scale, min
};
enum class PlanarLevel : uint8_t {
  offset,  // level = bits - level_offset
  i8,      // eight bits, two's complement
  iq4,     // kIq4Values[bits]
};

/// Number i of a row is  d * scale * level  [ - dmin * min   (nibbles, pair) | + m   (has_offset) ].
struct PlanarFormat {
  DType dtype;
  uint8_t low_bits;   // 2, 4 or 8 of each level; number 0 in the lowest bits
  uint8_t high_bits;  // 0, 1 or 2 more
  uint32_t group;     // numbers under one scale
  uint32_t super;     // numbers under one d
  PlanarScale scale;
  PlanarLevel level;
  int level_offset;
  bool has_offset;  // the second f16 of a super-block is an addend m

  bool has_min() const { return scale == PlanarScale::nibbles || scale == PlanarScale::pair; }
  /// Bytes a super-block has in the last plane: d, and dmin or m behind it. binary16 each.
  uint32_t super_bytes() const { return has_min() || has_offset ? 4 : 2; }
  uint32_t group_bytes() const { return scale == PlanarScale::none ? 0 : scale == PlanarScale::pair ? 2 : 1; }
};

/// Byte offsets of the planes of a [rows, columns] matrix; each starts on 16 bytes.
struct PlanarLayout {
  uint64_t low = 0, high = 0, scale = 0, super = 0, total_bytes = 0;
};

/// The description of a packed dtype; nothing for plain ones.
const PlanarFormat* planar_format(DType dtype);

/// columns: a multiple of the dtype's block.
PlanarLayout planar_layout(const PlanarFormat& format, uint64_t rows, uint64_t columns);

/// Rearranges rows first_row .. first_row + num_rows of blocks into `planes` (of the whole matrix of `rows`
/// rows). `blocks`: the wanted rows as the file has them. Calls for distinct rows may run on several threads.
void planar_from_blocks(const PlanarFormat& format, const PlanarLayout& layout, uint64_t columns,
                        uint64_t first_row, uint64_t num_rows, std::span<const std::byte> blocks,
                        std::span<std::byte> planes);

/// Decodes one row of the planes: the naive twin of the device-side reader.
void dequantize_planar_row(const PlanarFormat& format, const PlanarLayout& layout, uint64_t columns,
                           uint64_t row, std::span<const std::byte> planes, float* dst);

}  // namespace tattletale

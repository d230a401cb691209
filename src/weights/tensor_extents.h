// Where tensors lie in a file's data section, and whether two of them share bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace tattletale {

struct TensorExtent {
  uint64_t begin = 0;  // bytes from the start of the data section
  uint64_t end = 0;    // begin <= end
  size_t tensor = 0;   // index in the reader's table
};

/// Two tensors that overlap, the earlier-lying first, or nothing. Sorts `extents` by begin. Empty extents
/// overlap nothing.
std::optional<std::pair<TensorExtent, TensorExtent>> find_overlap(std::vector<TensorExtent>& extents);

}  // namespace tattletale

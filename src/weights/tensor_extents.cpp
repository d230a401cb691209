#include "weights/tensor_extents.h"

#include <algorithm>

namespace tattletale {

std::optional<std::pair<TensorExtent, TensorExtent>> find_overlap(std::vector<TensorExtent>& extents) {
  std::ranges::sort(extents, [](const TensorExtent& a, const TensorExtent& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const TensorExtent* previous = nullptr;
  for (const TensorExtent& extent : extents) {
    if (extent.begin == extent.end) continue;
    if (previous != nullptr && extent.begin < previous->end) return std::pair(*previous, extent);
    previous = &extent;
  }
  return std::nullopt;
}

}  // namespace tattletale

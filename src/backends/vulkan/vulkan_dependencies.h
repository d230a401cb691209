// Which dispatches must wait for which: byte ranges read and written since the last barrier of a list.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace tattletale::vulkan {

/// Device addresses [first, end).
struct Touched {
  uint64_t first = 0;
  uint64_t end = 0;
  bool written = false;
};

class Dependencies {
 public:
  /// Notes a dispatch. True when a barrier must come before it: it touches what an earlier dispatch wrote, or
  /// writes what an earlier one reads.
  bool add(std::span<const Touched> touched) {
    const auto conflicts = [&](const Touched& now) {
      return std::ranges::any_of(since_, [&](const Touched& before) {
        return (before.written || now.written) && now.first < before.end && before.first < now.end;
      });
    };
    const bool barrier = std::ranges::any_of(touched, conflicts);
    if (barrier) since_.clear();
    since_.insert(since_.end(), touched.begin(), touched.end());
    return barrier;
  }

 private:
  std::vector<Touched> since_;
};

}  // namespace tattletale::vulkan

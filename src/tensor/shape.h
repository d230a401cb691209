// Shapes of up to eight dimensions, outermost first (row-major, as Hugging Face writes them; GGUF's
// reversed order is turned round by its reader). Sizes are 64 bit and checked for overflow.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace tattletale {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    CHECK(dims.size() <= kMaxRank);
    for (int i = 0; i < rank_; ++i) dims_[i] = dims[i];
  }

  int rank() const { return rank_; }
  /// Dimension i; negative i counts from the innermost, so [-1] is the row length.
  int64_t operator[](int i) const { return dims_[i < 0 ? rank_ + i : i]; }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  bool operator==(const Shape&) const = default;

  /// Elements, or nothing when a dimension is negative or the product overflows int64.
  std::optional<int64_t> num_elements() const;
  /// Bytes when rows of `dtype` are stored densely; nothing when a row is not whole blocks or on overflow.
  std::optional<uint64_t> num_bytes(DType dtype) const;
  std::string to_string() const;  // "[2, 576]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

}  // namespace tattletale

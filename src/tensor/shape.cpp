#include "tensor/shape.h"

namespace tattletale {

std::optional<int64_t> Shape::num_elements() const {
  int64_t product = 1;
  for (const int64_t dim : dims()) {
    if (dim < 0 || __builtin_mul_overflow(product, dim, &product)) return std::nullopt;
  }
  return product;
}

std::optional<uint64_t> Shape::num_bytes(DType dtype) const {
  const std::optional<int64_t> elements = num_elements();
  if (!elements) return std::nullopt;
  const uint64_t row = rank_ == 0 ? 1 : static_cast<uint64_t>((*this)[-1]);
  const std::optional<uint64_t> bytes_per_row = row_bytes(dtype, row);
  if (!bytes_per_row) return std::nullopt;
  if (row == 0) return 0;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(*elements) / row, *bytes_per_row, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i > 0 ? ", " : "") + std::to_string(dims_[i]);
  return text + "]";
}

}  // namespace tattletale

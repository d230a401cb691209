#include "tensor/layout.h"

#include "base/check.h"

namespace tattletale {

Layout::Layout(int64_t shape, int64_t stride) : shape_(shape), stride_(stride) {
  CHECK(shape >= 1 && stride >= 0);
}
Layout::Layout(std::vector<Layout> modes) : modes_(std::move(modes)) {}

Layout Layout::column_major(std::span<const int64_t> shape) {
  std::vector<Layout> modes;
  int64_t stride = 1;
  for (const int64_t extent : shape) {
    modes.emplace_back(extent, stride);
    stride *= extent;
  }
  return Layout(std::move(modes));
}
Layout Layout::row_major(std::span<const int64_t> shape) {
  std::vector<Layout> modes(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) modes[i] = Layout(shape[i], stride);
  return Layout(std::move(modes));
}

std::vector<Layout> Layout::flatten() const {
  if (is_leaf()) return {*this};
  std::vector<Layout> leaves;
  for (const Layout& mode : modes_) {
    for (Layout& leaf : mode.flatten()) leaves.push_back(std::move(leaf));
  }
  return leaves;
}

int64_t Layout::size() const {
  int64_t product = shape_;
  for (const Layout& mode : modes_) product *= mode.size();
  return product;
}
int64_t Layout::cosize() const {
  int64_t last = (shape_ - 1) * stride_;
  for (const Layout& mode : modes_) last += mode.cosize() - 1;
  return last + 1;
}

int64_t Layout::operator()(int64_t index) const {
  if (is_leaf()) return index * stride_;
  int64_t sum = 0;
  for (size_t i = 0; i + 1 < modes_.size(); ++i) {
    const int64_t extent = modes_[i].size();
    sum += modes_[i](index % extent);
    index /= extent;
  }
  return sum + modes_.back()(index);
}
int64_t Layout::operator()(std::span<const int64_t> coordinate) const {
  CHECK(coordinate.size() == rank());
  int64_t sum = 0;
  for (size_t i = 0; i < coordinate.size(); ++i) sum += mode(i)(coordinate[i]);
  return sum;
}

Result<Swizzle> Swizzle::make(uint32_t bits, uint32_t base, uint32_t shift) {
  if (shift < bits || base > 62 || shift > 62 || bits > 62 || base + shift + bits > 62) {
    return make_error(ErrorKind::invalid_argument, "swizzle",
                      "<" + std::to_string(bits) + "," + std::to_string(base) + "," + std::to_string(shift) +
                          ">: needs shift >= bits and base + shift + bits <= 62");
  }
  return Swizzle{bits, base, shift};
}

}  // namespace tattletale

// The layout algebra of tiles: functions from a coordinate to an offset, written as nested shape:stride
// pairs, and the operations that build tilings from them. Host code only: kernels see the offsets it yields.
// Source: C. Cecka et al., CuTe (NVIDIA CUTLASS 3), "Layout algebra"; semantics are defined here by formulas.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tattletale {

/// A function from 0 .. size()-1 to offsets >= 0. A leaf maps i to i * stride. A tuple of modes splits its
/// index with the first mode fastest (i0 = i % size0, i1 = i / size0 % size1, ...) and adds what the modes
/// yield. Shapes are >= 1, strides >= 0; sizes and offsets must fit int64, which is the caller's duty.
class Layout {
 public:
  Layout() = default;  // 1:0
  /// A leaf. CHECKs shape >= 1 and stride >= 0.
  Layout(int64_t shape, int64_t stride);
  /// A tuple; of no modes it is 1:0.
  explicit Layout(std::vector<Layout> modes);
  /// (s0,s1,...):(1,s0,s0*s1,...), the first mode contiguous.
  static Layout column_major(std::span<const int64_t> shape);
  /// (s0,s1,...):(...,1), the last mode contiguous.
  static Layout row_major(std::span<const int64_t> shape);
  /// Reads "(4,(2,8)):(1,(4,16))". Error: invalid_argument, with the place.
  static Result<Layout> parse(std::string_view text);
  std::string to_string() const;

  bool is_leaf() const { return modes_.empty(); }
  int64_t shape() const { return shape_; }    // leaves only
  int64_t stride() const { return stride_; }  // leaves only
  size_t rank() const { return is_leaf() ? 1 : modes_.size(); }
  /// A leaf is its own mode 0.
  const Layout& mode(size_t i) const { return is_leaf() ? *this : modes_[i]; }
  std::vector<Layout> modes() const { return is_leaf() ? std::vector<Layout>{*this} : modes_; }
  /// The leaves from left to right.
  std::vector<Layout> flatten() const;

  /// Number of coordinates.
  int64_t size() const;
  /// Largest offset + 1.
  int64_t cosize() const;
  /// The offset of a coordinate, 0 <= index < size(). Larger ones run on in the last leaf.
  int64_t operator()(int64_t index) const;
  /// One index for each mode.
  int64_t operator()(std::span<const int64_t> coordinate) const;

  bool operator==(const Layout&) const = default;

 private:
  int64_t shape_ = 1;
  int64_t stride_ = 0;
  std::vector<Layout> modes_;  // empty: a leaf
};

/// The same function with the fewest leaves.
Layout coalesce(const Layout& layout);

/// R(i) = a(b(i)) for i < size(b), with the modes of b. Error: invalid_argument where b reaches beyond
/// size(a), or where no layout with b's modes is that function by b's strides and shapes dividing a's
/// (a(b(i)) bends inside a mode of b, or modes of b carry into one another inside a).
Result<Layout> composition(const Layout& a, const Layout& b);

/// The layout of what `layout` leaves out: with R = complement, (layout, R) is injective and covers 0 .. n-1
/// exactly, n the least multiple of what it must repeat that is >= `bound`; R's offsets increase.
/// Error: invalid_argument where layout's offsets repeat or leave gaps that no repetition fills.
Result<Layout> complement(const Layout& layout, int64_t bound);

/// R with layout(R(i)) = i for every i < size(R), as long as whole leaves of `layout` make it.
Layout right_inverse(const Layout& layout);
/// R with R(layout(i)) = i for every i < size(layout). Error: as complement().
Result<Layout> left_inverse(const Layout& layout);

/// (tile, rest): mode 0 goes through one tile as `tiler` lists its elements, mode 1 from tile to tile.
/// = composition(layout, (tiler, complement(tiler, size(layout)))).
/// Errors: as composition() and complement(); a tiler that does not divide the layout is one of them.
Result<Layout> logical_divide(const Layout& layout, const Layout& tiler);
/// By modes: ((tile0, tile1, ...), (rest0, rest1, ...)), modes without a tiler go to the rest whole.
Result<Layout> zipped_divide(const Layout& layout, std::span<const Layout> tilers);
/// By modes: ((tile0, tile1, ...), rest0, rest1, ...).
Result<Layout> tiled_divide(const Layout& layout, std::span<const Layout> tilers);

/// (layout, copies): `layout` repeated as often and in the order that `tiler` says, in units of its own
/// extent. = (layout, composition(complement(layout, size(layout) * cosize(tiler)), tiler)).
Result<Layout> logical_product(const Layout& layout, const Layout& tiler);

/// Permutes offsets so that a column of a tile meets different banks: bits [base + shift, base + shift +
/// bits) are xor-ed onto bits [base, base + bits). shift >= bits, which makes it its own inverse.
struct Swizzle {
  uint32_t bits = 0;
  uint32_t base = 0;
  uint32_t shift = 0;

  /// Error: invalid_argument unless shift >= bits and base + shift + bits <= 62.
  static Result<Swizzle> make(uint32_t bits, uint32_t base, uint32_t shift);
  int64_t operator()(int64_t offset) const {
    const int64_t mask = ((int64_t{1} << bits) - 1) << base;
    return offset ^ ((offset >> shift) & mask);
  }
};

}  // namespace tattletale

// Operations on layouts. Each works on the coalesced leaves of its first operand, where a mode ends exactly
// where the function bends.
#include <algorithm>

#include "base/check.h"
#include "tensor/layout.h"

namespace tattletale {
namespace {

Error inadmissible(const char* operation, const Layout& a, const std::string& b, std::string what) {
  return make_error(ErrorKind::invalid_argument,
                    std::string(operation) + " of " + a.to_string() + " and " + b, std::move(what));
}

/// One leaf of the right operand of a composition, taken through the leaves of the left one. `reach[k]` grows
/// by the largest coordinate that this leaf contributes in leaf k.
class LeafComposer {
 public:
  LeafComposer(const Layout& a, const Layout& b)
      : a_(a), b_(b), leaves_(coalesce(a).flatten()), reach_(leaves_.size(), 0) {}

  Result<Layout> compose(const Layout& part) {
    if (!part.is_leaf()) {
      std::vector<Layout> modes;
      for (size_t i = 0; i < part.rank(); ++i) {
        TT_ASSIGN(Layout mode, compose(part.mode(i)));
        modes.push_back(std::move(mode));
      }
      return Layout(std::move(modes));
    }
    if (part.shape() == 1 || part.stride() == 0) return Layout(part.shape(), 0);
    return compose_leaf(part);
  }

  /// Modes of b may only be added up if no leaf of a overflows into the next.
  Result<void> check_carries() const {
    for (size_t k = 0; k < leaves_.size(); ++k) {
      if (reach_[k] >= leaves_[k].shape()) {
        return inadmissible(
            "composition", a_, b_.to_string(),
            "modes of the second carry into one another at " + leaves_[k].to_string() + " of the first");
      }
    }
    return {};
  }

 private:
  Result<Layout> compose_leaf(const Layout& part) {
    int64_t shape = part.shape();
    int64_t stride = part.stride();
    std::vector<Layout> modes;
    for (size_t k = 0; k < leaves_.size() && shape > 1; ++k) {
      const int64_t extent = leaves_[k].shape();
      if (stride % extent == 0) {  // steps over this leaf entirely
        stride /= extent;
        continue;
      }
      if ((shape - 1) * stride < extent) {  // ends within it
        add(modes, k, shape, stride);
        shape = 1;
        break;
      }
      const int64_t steps = extent / stride;
      if (extent % stride != 0 || shape % steps != 0) {
        return inadmissible("composition", a_, b_.to_string(),
                            "mode " + part.to_string() + " does not divide into mode " +
                                leaves_[k].to_string() + " of the first");
      }
      add(modes, k, steps, stride);
      shape /= steps;
      stride = 1;
    }
    if (shape > 1)
      return inadmissible("composition", a_, b_.to_string(), "the second reaches beyond the first");
    return modes.size() == 1 ? modes[0] : Layout(std::move(modes));
  }
  void add(std::vector<Layout>& modes, size_t k, int64_t shape, int64_t stride) {
    modes.emplace_back(shape, stride * leaves_[k].stride());
    reach_[k] += (shape - 1) * stride;
  }

  const Layout& a_;
  const Layout& b_;
  std::vector<Layout> leaves_;
  std::vector<int64_t> reach_;
};

std::vector<Layout> by_stride(const Layout& layout) {
  std::vector<Layout> leaves = coalesce(layout).flatten();
  std::erase_if(leaves, [](const Layout& leaf) { return leaf.shape() == 1; });
  std::ranges::stable_sort(leaves, {}, &Layout::stride);
  return leaves;
}

Result<std::pair<std::vector<Layout>, std::vector<Layout>>> divide_modes(const Layout& layout,
                                                                         std::span<const Layout> tilers) {
  if (tilers.size() > layout.rank()) {
    return inadmissible("divide", layout, std::to_string(tilers.size()) + " tilers",
                        "more tilers than modes: " + std::to_string(layout.rank()));
  }
  std::pair<std::vector<Layout>, std::vector<Layout>> parts;
  for (size_t i = 0; i < layout.rank(); ++i) {
    if (i >= tilers.size()) {
      parts.second.push_back(layout.mode(i));
      continue;
    }
    TT_ASSIGN(Layout divided, logical_divide(layout.mode(i), tilers[i]));
    parts.first.push_back(divided.mode(0));
    parts.second.push_back(divided.mode(1));
  }
  return parts;
}

}  // namespace

Layout coalesce(const Layout& layout) {
  std::vector<Layout> leaves;
  for (const Layout& leaf : layout.flatten()) {
    if (leaf.shape() == 1) continue;
    if (!leaves.empty() && leaf.stride() == leaves.back().shape() * leaves.back().stride()) {
      leaves.back() = Layout(leaves.back().shape() * leaf.shape(), leaves.back().stride());
    } else {
      leaves.push_back(leaf);
    }
  }
  if (leaves.size() == 1) return leaves[0];
  return Layout(std::move(leaves));
}

Result<Layout> composition(const Layout& a, const Layout& b) {
  LeafComposer composer(a, b);
  TT_ASSIGN(Layout result, composer.compose(b));
  TT_TRY(composer.check_carries());
  return result;
}

Result<Layout> complement(const Layout& layout, int64_t bound) {
  std::vector<Layout> gaps;
  int64_t covered = 1;
  for (const Layout& leaf : by_stride(layout)) {
    if (leaf.stride() < covered || leaf.stride() % covered != 0) {
      return inadmissible("complement", layout, std::to_string(bound),
                          "mode " + leaf.to_string() + " meets what smaller strides cover, 0 to " +
                              std::to_string(covered - 1));
    }
    gaps.emplace_back(leaf.stride() / covered, covered);
    covered = leaf.stride() * leaf.shape();
  }
  gaps.emplace_back(std::max<int64_t>(1, (bound + covered - 1) / covered), covered);
  return coalesce(Layout(std::move(gaps)));
}

Layout right_inverse(const Layout& layout) {
  struct Leaf {
    Layout leaf;
    int64_t place;  // what one step of this leaf adds to the index
  };
  std::vector<Leaf> leaves;
  int64_t place = 1;
  for (const Layout& leaf : coalesce(layout).flatten()) {
    if (leaf.shape() > 1) leaves.push_back({leaf, place});
    place *= leaf.shape();
  }
  std::ranges::stable_sort(leaves, {}, [](const Leaf& entry) { return entry.leaf.stride(); });
  std::vector<Layout> modes;
  int64_t covered = 1;
  for (const Leaf& entry : leaves) {
    if (entry.leaf.stride() != covered) {
      if (entry.leaf.stride() > covered) break;
      continue;  // a repeated offset
    }
    modes.emplace_back(entry.leaf.shape(), entry.place);
    covered *= entry.leaf.shape();
  }
  return coalesce(Layout(std::move(modes)));
}

Result<Layout> left_inverse(const Layout& layout) {
  TT_ASSIGN(Layout rest, complement(layout, 1));
  // With the gaps filled the layout is a bijection, whose right inverse is its inverse.
  return right_inverse(Layout({layout, rest}));
}

Result<Layout> logical_divide(const Layout& layout, const Layout& tiler) {
  TT_ASSIGN(Layout rest, complement(tiler, layout.size()));
  return composition(layout, Layout({tiler, rest}));
}

Result<Layout> zipped_divide(const Layout& layout, std::span<const Layout> tilers) {
  TT_ASSIGN(auto parts, divide_modes(layout, tilers));
  return Layout({Layout(std::move(parts.first)), Layout(std::move(parts.second))});
}

Result<Layout> tiled_divide(const Layout& layout, std::span<const Layout> tilers) {
  TT_ASSIGN(auto parts, divide_modes(layout, tilers));
  std::vector<Layout> modes{Layout(std::move(parts.first))};
  for (Layout& rest : parts.second) modes.push_back(std::move(rest));
  return Layout(std::move(modes));
}

Result<Layout> logical_product(const Layout& layout, const Layout& tiler) {
  TT_ASSIGN(Layout places, complement(layout, layout.size() * tiler.cosize()));
  TT_ASSIGN(Layout copies, composition(places, tiler));
  return Layout({layout, copies});
}

}  // namespace tattletale

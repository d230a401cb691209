// Text form of layouts: "(4,(2,8)):(1,(4,16))", shapes first, then strides in the same nesting.
#include <charconv>

#include "tensor/layout.h"

namespace tattletale {
namespace {

constexpr int kMaxNesting = 16;
constexpr int64_t kMaxNumber = int64_t{1} << 40;  // keeps sums of products of what is parsed sane

/// A number or a tuple, before shapes and strides are joined.
struct Tree {
  int64_t number = 0;
  bool is_tuple = false;
  std::vector<Tree> items;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Layout> layout() {
    TT_ASSIGN(const Tree shape, tree(0));
    if (!take(':')) return fail("expected ':' between shapes and strides");
    TT_ASSIGN(const Tree stride, tree(0));
    if (at_ != text_.size()) return fail("text after the layout");
    TT_ASSIGN(Layout joined, join(shape, stride));
    __int128 size = 1;
    for (const Layout& leaf : joined.flatten()) {
      size *= leaf.shape();
      if (size > kMaxNumber) return fail("more than 2^40 coordinates");
    }
    return joined;
  }

 private:
  bool take(char wanted) {
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  Error fail(std::string what) const {
    return make_error(ErrorKind::invalid_argument,
                      "layout \"" + std::string(text_) + "\", column " + std::to_string(at_ + 1),
                      std::move(what));
  }
  Result<Tree> tree(int depth) {
    if (depth > kMaxNesting) return fail("nested deeper than 16");
    Tree result;
    if (take('(')) {
      result.is_tuple = true;
      do {
        TT_ASSIGN(Tree item, tree(depth + 1));
        result.items.push_back(std::move(item));
      } while (take(','));
      if (!take(')')) return fail("expected ',' or ')'");
      return result;
    }
    const char* end = text_.data() + text_.size();
    const auto [rest, code] = std::from_chars(text_.data() + at_, end, result.number);
    if (code != std::errc() || result.number < 0 || result.number > kMaxNumber) {
      return fail("expected a number from 0 to 2^40");
    }
    at_ = static_cast<size_t>(rest - text_.data());
    return result;
  }
  Result<Layout> join(const Tree& shape, const Tree& stride) {
    if (shape.is_tuple != stride.is_tuple || shape.items.size() != stride.items.size()) {
      return fail("shapes and strides are nested differently");
    }
    if (!shape.is_tuple) {
      if (shape.number == 0) return fail("a shape of 0");
      return Layout(shape.number, stride.number);
    }
    std::vector<Layout> modes;
    for (size_t i = 0; i < shape.items.size(); ++i) {
      TT_ASSIGN(Layout mode, join(shape.items[i], stride.items[i]));
      modes.push_back(std::move(mode));
    }
    return Layout(std::move(modes));
  }

  std::string_view text_;
  size_t at_ = 0;
};

template <class Number>
std::string tree_text(const Layout& layout, Number number) {
  if (layout.is_leaf()) return std::to_string(number(layout));
  std::string text = "(";
  for (size_t i = 0; i < layout.rank(); ++i) {
    if (i > 0) text += ",";
    text += tree_text(layout.mode(i), number);
  }
  return text + ")";
}

}  // namespace

Result<Layout> Layout::parse(std::string_view text) {
  return Reader(text).layout();
}

std::string Layout::to_string() const {
  return tree_text(*this, [](const Layout& leaf) { return leaf.shape(); }) + ":" +
         tree_text(*this, [](const Layout& leaf) { return leaf.stride(); });
}

}  // namespace tattletale

// The layout algebra against its definitions: known layouts by hand, then thousands of random ones by
// counting.
#include "tensor/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace tattletale {
namespace {

Layout of(std::string_view text) {
  auto layout = Layout::parse(text);
  EXPECT_TRUE(layout) << layout.error().message();
  return layout ? *layout : Layout();
}
std::string text_of(const Result<Layout>& layout) {
  return layout ? layout->to_string() : layout.error().message();
}

TEST(Layout, MapsCoordinatesToOffsets) {
  const Layout layout = of("(4,(2,8)):(1,(4,16))");
  EXPECT_EQ(layout.size(), 64);
  EXPECT_EQ(layout.cosize(), 3 + 4 + 7 * 16 + 1);
  EXPECT_EQ(layout(0), 0);
  EXPECT_EQ(layout(5), 1 + 4);  // (1, (1, 0))
  EXPECT_EQ(layout(63), 3 + 4 + 112);
  EXPECT_EQ(layout(std::vector<int64_t>{2, 3}), 2 + 4 + 16);
  const std::vector<int64_t> shape{3, 5};
  EXPECT_EQ(Layout::column_major(shape).to_string(), "(3,5):(1,3)");
  EXPECT_EQ(Layout::row_major(shape).to_string(), "(3,5):(5,1)");
}

TEST(Layout, TextThatIsNotALayoutIsRefused) {
  for (const char* text : {"", "4", "4:", "(4:1", "(4,2):(1)", "(4,(2,2)):(1,2)", "0:1", "4:-1", "4:1 ",
                           "():()", "99999999999999999999:1", "(1099511627776,2):(1,1)"}) {
    const auto layout = Layout::parse(text);
    ASSERT_FALSE(layout) << text;
    EXPECT_EQ(layout.error().kind, ErrorKind::invalid_argument) << text;
  }
  EXPECT_THAT(Layout::parse("(4,2):(1)").error().message(), testing::HasSubstr("nested differently"));
}

TEST(Layout, OperationsOnKnownLayouts) {
  EXPECT_EQ(coalesce(of("(2,(1,6)):(1,(6,2))")).to_string(), "12:1");
  EXPECT_EQ(text_of(composition(of("(6,2):(8,2)"), of("(4,3):(3,1)"))), "((2,2),3):((24,2),8)");
  EXPECT_EQ(text_of(complement(of("4:1"), 24)), "6:4");
  EXPECT_EQ(text_of(complement(of("(2,4):(1,6)"), 24)), "3:2");
  EXPECT_EQ(text_of(logical_divide(of("(4,2,3):(2,1,8)"), of("4:2"))), "((2,2),(2,3)):((4,1),(2,8))");
  EXPECT_EQ(text_of(logical_product(of("(2,2):(4,1)"), of("6:1"))), "((2,2),(2,3)):((4,1),(2,8))");
  const std::vector<Layout> tilers{of("2:1"), of("4:1")};
  EXPECT_EQ(text_of(zipped_divide(of("(8,8):(8,1)"), tilers)), "((2,4),(4,2)):((8,1),(16,4))");
  EXPECT_EQ(text_of(tiled_divide(of("(8,8,3):(8,1,64)"), tilers)), "((2,4),4,2,3):((8,1),16,4,64)");
  EXPECT_EQ(right_inverse(of("(4,8):(8,1)")).to_string(), "(8,4):(4,1)");
}

TEST(Layout, InadmissibleOperationsSayWhy) {
  EXPECT_THAT(text_of(composition(of("(4,2):(1,10)"), of("6:1"))), testing::HasSubstr("does not divide"));
  EXPECT_THAT(text_of(composition(of("(4,2):(1,10)"), of("9:1"))), testing::HasSubstr("divide"));
  EXPECT_THAT(text_of(composition(of("4:1"), of("2:4"))), testing::HasSubstr("beyond"));
  EXPECT_THAT(text_of(composition(of("(4,2):(1,10)"), of("(2,2):(2,2)"))), testing::HasSubstr("carry"));
  EXPECT_THAT(text_of(complement(of("(4,2):(1,2)"), 16)), testing::HasSubstr("meets"));
  EXPECT_THAT(text_of(complement(of("(4,2):(1,0)"), 16)), testing::HasSubstr("meets"));
  EXPECT_FALSE(logical_divide(of("10:1"), of("4:1")));
  EXPECT_FALSE(zipped_divide(of("8:1"), std::vector<Layout>{of("2:1"), of("2:1")}));
}

class LayoutProperties : public testing::Test {
 protected:
  int64_t draw(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  /// Small shapes with many common divisors, strides that are often products of shapes.
  Layout random_layout(int depth = 0) {
    if (depth == 2 || draw(0, 2) == 0) {
      constexpr int64_t kStrides[] = {0, 1, 1, 2, 2, 3, 4, 4, 6, 8, 12, 16, 24};
      constexpr int64_t kShapes[] = {1, 2, 2, 3, 4, 4, 6, 8};
      return Layout(kShapes[draw(0, 7)], kStrides[draw(0, 12)]);
    }
    std::vector<Layout> modes(static_cast<size_t>(draw(1, 3)));
    for (Layout& mode : modes) mode = random_layout(depth + 1);
    return Layout(std::move(modes));
  }
  /// Injective without gaps: strides are products of the shapes in some order.
  Layout random_bijection() {
    std::vector<int64_t> shape(static_cast<size_t>(draw(1, 4)));
    for (int64_t& extent : shape) extent = draw(1, 4) * draw(1, 2);
    std::vector<Layout> modes = Layout::column_major(shape).modes();
    std::ranges::shuffle(modes, random_);
    return Layout(std::move(modes));
  }
  /// Few enough coordinates to count through.
  Layout any_layout() {
    while (true) {
      Layout layout = draw(0, 1) == 0 ? random_layout() : random_bijection();
      if (layout.size() <= 512) return layout;
    }
  }
  std::mt19937 random_{20240611};
};

TEST_F(LayoutProperties, TextRoundTrips) {
  for (int i = 0; i < 3000; ++i) {
    const Layout layout = random_layout();
    EXPECT_EQ(of(layout.to_string()), layout) << layout.to_string();
  }
}

TEST_F(LayoutProperties, SizesAndCoordinates) {
  for (int i = 0; i < 3000; ++i) {
    const Layout layout = any_layout();
    int64_t last = 0;
    for (int64_t k = 0; k < layout.size(); ++k) last = std::max(last, layout(k));
    EXPECT_EQ(layout.cosize(), last + 1) << layout.to_string();
    // An index is its coordinate with the first mode fastest.
    const int64_t index = draw(0, layout.size() - 1);
    std::vector<int64_t> coordinate;
    int64_t rest = index;
    for (const Layout& mode : layout.modes()) {
      coordinate.push_back(rest % mode.size());
      rest /= mode.size();
    }
    EXPECT_EQ(layout(coordinate), layout(index)) << layout.to_string();
  }
}

TEST_F(LayoutProperties, CoalesceKeepsTheFunction) {
  for (int i = 0; i < 3000; ++i) {
    const Layout layout = any_layout();
    const Layout less = coalesce(layout);
    ASSERT_EQ(less.size(), layout.size()) << layout.to_string();
    for (int64_t k = 0; k < layout.size(); ++k) ASSERT_EQ(less(k), layout(k)) << layout.to_string();
    EXPECT_EQ(coalesce(less), less);
    EXPECT_LE(less.flatten().size(), layout.flatten().size());
  }
}

TEST_F(LayoutProperties, CompositionIsComposition) {
  int admitted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Layout a = any_layout(), b = any_layout();
    const auto both = composition(a, b);
    if (!both) continue;
    ++admitted;
    ASSERT_EQ(both->size(), b.size());
    ASSERT_EQ(both->rank(), b.is_leaf() ? both->rank() : b.rank());
    for (int64_t k = 0; k < b.size(); ++k) {
      ASSERT_LT(b(k), a.size());
      ASSERT_EQ((*both)(k), a(b(k))) << a.to_string() << " o " << b.to_string() << " at " << k;
    }
  }
  EXPECT_GT(admitted, 2000);
}

// Contiguous layouts compose with everything that stays inside them.
TEST_F(LayoutProperties, CompositionAdmitsWhatItShould) {
  for (int i = 0; i < 3000; ++i) {
    const Layout b = any_layout();
    const auto both = composition(Layout(b.cosize(), 3), b);
    ASSERT_TRUE(both) << text_of(both);
    const Layout a = any_layout();
    ASSERT_TRUE(composition(a, Layout(a.size(), 1)));
    EXPECT_FALSE(composition(a, Layout(a.size() + 1, 1)));
  }
}

TEST_F(LayoutProperties, ComplementFillsTheGapsOnce) {
  int admitted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Layout layout = any_layout();
    const int64_t bound = draw(1, 64);
    const auto rest = complement(layout, bound);
    if (!rest) continue;
    ++admitted;
    for (int64_t k = 1; k < rest->size(); ++k) ASSERT_GT((*rest)(k), (*rest)(k - 1));
    const Layout whole({layout, *rest});
    std::set<int64_t> offsets;
    for (int64_t k = 0; k < whole.size(); ++k) offsets.insert(whole(k));
    ASSERT_EQ(static_cast<int64_t>(offsets.size()), whole.size()) << layout.to_string();
    ASSERT_EQ(*offsets.rbegin() + 1, whole.size()) << layout.to_string();
    ASSERT_GE(whole.size(), bound);
  }
  EXPECT_GT(admitted, 3000);
}

TEST_F(LayoutProperties, InversesInvert) {
  int admitted = 0;
  for (int i = 0; i < 10000; ++i) {
    const Layout layout = any_layout();
    const Layout right = right_inverse(layout);
    for (int64_t k = 0; k < right.size(); ++k) {
      ASSERT_LT(right(k), layout.size());
      ASSERT_EQ(layout(right(k)), k) << layout.to_string();
    }
    const auto left = left_inverse(layout);
    if (!left) continue;
    ++admitted;
    for (int64_t k = 0; k < layout.size(); ++k) ASSERT_EQ((*left)(layout(k)), k) << layout.to_string();
  }
  EXPECT_GT(admitted, 1000);
  for (int i = 0; i < 1000; ++i) {
    const Layout bijection = random_bijection();
    EXPECT_EQ(right_inverse(bijection).size(), bijection.size()) << bijection.to_string();
  }
}

TEST_F(LayoutProperties, DivideVisitsEachElementOnceTileByTile) {
  int admitted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Layout layout = any_layout(), tiler = any_layout();
    const auto divided = logical_divide(layout, tiler);
    if (!divided) continue;
    ++admitted;
    ASSERT_EQ(divided->rank(), 2u);
    ASSERT_EQ(divided->size(), layout.size());
    const auto rest = complement(tiler, layout.size());
    ASSERT_TRUE(rest);
    for (int64_t t = 0; t < tiler.size(); ++t) {
      for (int64_t r = 0; r < rest->size(); ++r) {
        ASSERT_EQ((*divided)(std::vector<int64_t>{t, r}), layout(tiler(t) + (*rest)(r)))
            << layout.to_string() << " / " << tiler.to_string();
      }
    }
  }
  EXPECT_GT(admitted, 500);
}

TEST_F(LayoutProperties, ProductRepeatsTheLayoutWithoutOverlap) {
  int admitted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Layout layout = any_layout(), tiler = random_bijection();
    const auto product = logical_product(layout, tiler);
    if (!product || product->size() > 2048) continue;
    ++admitted;
    ASSERT_EQ(product->mode(0), layout);
    ASSERT_EQ(product->mode(1).size(), tiler.size());
    std::set<int64_t> offsets;
    for (int64_t k = 0; k < product->size(); ++k) offsets.insert((*product)(k));
    ASSERT_EQ(static_cast<int64_t>(offsets.size()), product->size())
        << layout.to_string() << " x " << tiler.to_string();
    const auto places = complement(layout, layout.size() * tiler.cosize());
    ASSERT_TRUE(places);
    for (int64_t k = 0; k < tiler.size(); ++k) ASSERT_EQ(product->mode(1)(k), (*places)(tiler(k)));
  }
  EXPECT_GT(admitted, 2000);
}

TEST(Swizzle, IsItsOwnInverseAndSpreadsColumns) {
  const auto swizzle = Swizzle::make(3, 3, 3);
  ASSERT_TRUE(swizzle);
  std::set<int64_t> images;
  for (int64_t k = 0; k < 4096; ++k) {
    EXPECT_EQ((*swizzle)((*swizzle)(k)), k);
    EXPECT_EQ((*swizzle)(k) % 8, k % 8) << "the low bits stay: vectors of 8 stay whole";
    images.insert((*swizzle)(k));
  }
  EXPECT_EQ(images.size(), 4096u);
  // Column 0 of an 8 x 64 tile of halves: eight different 16-byte banks instead of one.
  std::set<int64_t> banks;
  for (int64_t row = 0; row < 8; ++row) banks.insert((*swizzle)(row * 64) / 8 % 8);
  EXPECT_EQ(banks.size(), 8u);
  EXPECT_FALSE(Swizzle::make(3, 3, 2));
  EXPECT_FALSE(Swizzle::make(30, 30, 30));
}

}  // namespace
}  // namespace tattletale

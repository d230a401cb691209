#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;
using I = Val<int32_t>;

TEST(Range, ShowsBeforeAndAfter) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U n = k.param<uint32_t>("n", 0);
  $if (local_id() < 64u) {
    $for (i, U(0u), min(n, 8u), 1u) {
      y.store(i & 15u, i % 9u);
    }
  }
  const ir::Kernel before = k.finish();
  EXPECT_EQ(body_text(before), R"(
  %0 = param u32 p0.n
  %1 = constant u32 64
  %2 = constant u32 0
  %3 = constant u32 8
  %4 = constant u32 1
  %5 = constant u32 15
  %6 = constant u32 9
  %7 = local_id u32
  %8 = lt bool %7, %1
  if %8 {
    %10 = min u32 %0, %3
    %11 = for u32 %2, %10, %4 {
      %12 = and u32 %11, %5
      %13 = rem u32 %11, %6
      store u32 b0.y %12, %13
    }
  }
)");
  EXPECT_EQ(body_text(after(before, {range, fold, dce})), R"(
  %0 = constant u32 0
  %1 = constant u32 8
  %2 = constant u32 1
  %3 = param u32 p0.n
  %4 = min u32 %3, %1
  %5 = for u32 %0, %4, %2 {
    store u32 b0.y %5, %5
  }
)");
}

std::string ranged(auto body) {
  KernelScope k("k", 64, small_target(8));
  const Buffer y = k.output("y"), x = k.input("x");
  const U a = k.param<uint32_t>("a", 0), b = k.param<uint32_t>("b", 1);
  y.store(0u, select(body(a, b, x), U(7u), U(5u)));
  return stored(after(k.finish(), {range, fold, dce}, small_target(8)));
}

TEST(Range, KnowsSizesMasksAndSmallLoads) {
  EXPECT_EQ(ranged([](U, U, auto&) { return lane_id() < 8u; }), "7");
  EXPECT_EQ(ranged([](U, U, auto&) { return subgroup_id() >= 8u; }), "5");
  EXPECT_EQ(ranged([](U, U, auto& x) { return x.template load<Storage::u8>(0u) < 256u; }), "7");
  EXPECT_EQ(ranged([](U a, U b, auto&) { return (a & 7u) + (b & 7u) <= 14u; }), "7");
  EXPECT_EQ(ranged([](U a, U b, auto&) { return (a % 5u) * (b >> 28u) < 61u; }), "7");
  EXPECT_EQ(ranged([](U a, U, auto&) { return ((a & 12u) | 3u) < 16u; }), "7");
  EXPECT_EQ(ranged([](U a, U, auto&) { return max(a, 10u) < 10u; }), "5");
  EXPECT_THAT(ranged([](U a, U, auto&) { return a + 1u > 0u; }), testing::StartsWith("select")) << "wraps";
  EXPECT_THAT(ranged([](U a, U, auto&) { return (a & 7u) - 1u < 7u; }), testing::StartsWith("select"));
}

TEST(Range, ConditionsNarrowTheirBranchOnly) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0), n = k.param<uint32_t>("n", 1);
  $if ((a < 8u) & (n >= 100u)) {
    y.store(0u, select(a < n, U(1u), U(2u)));
  }
  $else {
    y.store(1u, select(a < n, U(3u), U(4u)));
  }
  y.store(2u, select(a < 8u, U(5u), U(6u)));
  const ir::Kernel result = after(k.finish(), {range, fold, dce});
  EXPECT_EQ(count(result, Op::select), 2u) << ir::print(result);
}

TEST(Range, SignedComparisonsOnlyBelowTwoToThe31) {
  const auto signed_result = [](auto body) {
    KernelScope k("k", 64, small_target());
    const Buffer y = k.output("y");
    const I a = k.param<int32_t>("a", 0);
    y.store(0u, select(body(a), U(7u), U(5u)));
    return stored(after(k.finish(), {range, fold, dce}));
  };
  EXPECT_EQ(signed_result([](I a) { return (a & 7) < 8; }), "7");
  EXPECT_THAT(signed_result([](I a) { return a < 8; }), testing::StartsWith("select"));
  EXPECT_THAT(signed_result([](I a) { return (a | 8) > 7; }), testing::StartsWith("select"));
}

TEST(Range, ALoopThatCannotRunGoes) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  $for (i, (a & 7u) + 8u, min(a, 8u), 1u) {
    y.store(i, i);
  }
  y.store(0u, U(1u));
  EXPECT_EQ(count(after(k.finish(), {range, dce}), Op::for_), 0u);
}

}  // namespace
}  // namespace tattletale::compiler

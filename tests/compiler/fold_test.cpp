// Each rule on a small expression; that they keep the meaning is pipeline_test's part.
#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;
using I = Val<int32_t>;
using F = Val<float>;
using B = Val<bool>;

/// What becomes of an expression of two unknown parameters.
template <class T>
std::string folded(auto body, const ir::TargetInfo& target = small_target()) {
  KernelScope k("k", 64, target);
  const Buffer y = k.output("y");
  const Val<T> a = k.param<T>("a", 0), b = k.param<T>("b", 1);
  const auto value = body(a, b);
  if constexpr (std::is_same_v<std::remove_const_t<decltype(value)>, B>) {
    y.store(0u, select(value, U(7u), U(5u)));
  } else {
    y.store(0u, value);
  }
  return stored(after(k.finish(), {fold, dce}, target));
}

TEST(Fold, ShowsBeforeAndAfter) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  y.store(0u, ((a + 1u) * 8u + 2u) / 4u);
  const ir::Kernel before = k.finish();
  EXPECT_EQ(body_text(before), R"(
  %0 = param u32 p0.a
  %1 = constant u32 0
  %2 = constant u32 1
  %3 = constant u32 8
  %4 = constant u32 2
  %5 = constant u32 4
  %6 = add u32 %0, %2
  %7 = mul u32 %6, %3
  %8 = add u32 %7, %4
  %9 = div u32 %8, %5
  store u32 b0.y %1, %9
)");
  EXPECT_EQ(body_text(after(before, {fold, dce})), R"(
  %0 = constant u32 0
  %1 = constant u32 2
  %2 = constant u32 3
  %3 = constant u32 10
  %4 = param u32 p0.a
  %5 = shl u32 %4, %2
  %6 = add u32 %5, %3
  %7 = shr u32 %6, %1
  store u32 b0.y %0, %7
)");
}

TEST(Fold, Integers) {
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a + 3u) - 3u; }), "a");
  EXPECT_EQ(folded<uint32_t>([](U a, U b) { return (a + b) - b; }), "a");
  EXPECT_EQ(folded<uint32_t>([](U a, U b) { return (a + 1u) + (b + 2u); }), "add(add(a, b), 3)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return 3u * (a * 5u); }), "mul(a, 15)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a + 2u) << 3u; }), "add(shl(a, 3), 16)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a % 16u; }), "and(a, 15)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a / 1u + a * 0u; }), "a");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a & 12u) & 10u; }), "and(a, 8)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a << 4u) >> 4u; }), "and(a, 268435455)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a << 20u) << 12u; }), "0");
  EXPECT_EQ(folded<int32_t>([](I a, I) { return (a >> 20u) >> 20u; }), "shr(a, 31)");
  EXPECT_EQ(folded<int32_t>([](I a, I) { return a * 8; }), "shl(a, 3)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return min(a, a) ^ a; }), "0");
}

TEST(Fold, DivisionByConstants) {
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a / 12u; }), "shr(mul_hi(a, 2863311531), 3)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a % 12u; }),
            "sub(a, mul(shr(mul_hi(a, 2863311531), 3), 12))");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a / 7u; }),
            "shr(add(shr(sub(a, mul_hi(a, 613566757)), 1), mul_hi(a, 613566757)), 2)");
  ir::TargetInfo target = small_target();
  target.mul_hi = false;
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a / 12u; }, target), "div(a, 12)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return a / 0u; }), "0") << "undefined, but no longer refused";
}

TEST(Fold, FloatsOnlyWhereEveryBitStays) {
  EXPECT_EQ(folded<float>([](F a, F) { return a * 1.0f; }), "a");
  EXPECT_EQ(folded<float>([](F a, F) { return a + -0.0f; }), "a");
  EXPECT_EQ(folded<float>([](F a, F) { return a - 0.0f; }), "a");
  EXPECT_EQ(folded<float>([](F a, F) { return a / 4.0f; }), "mul(a, 0.250000)");
  EXPECT_EQ(folded<float>([](F a, F) { return neg(neg(a)); }), "a");
  EXPECT_EQ(folded<float>([](F, F) { return F(1.5f) * F(2.0f); }), "3.000000");
  // -0 + 0 = +0, NaN and infinity times 0 or minus themselves, rounding, overflow to infinity.
  EXPECT_EQ(folded<float>([](F a, F) { return a + 0.0f; }), "add(a, 0.000000)");
  EXPECT_EQ(folded<float>([](F a, F) { return a * 0.0f; }), "mul(a, 0.000000)");
  EXPECT_EQ(folded<float>([](F a, F) { return a - a; }), "sub(a, a)");
  EXPECT_EQ(folded<float>([](F a, F) { return a / 3.0f; }), "div(a, 3.000000)");
  EXPECT_EQ(folded<float>([](F a, F) { return (a + 1.0f) + 2.0f; }), "add(add(a, 1.000000), 2.000000)");
  EXPECT_THAT(folded<float>([](F, F) { return F(3e38f) * F(10.0f); }), testing::StartsWith("mul(30"));
}

TEST(Fold, ComparisonsAndSelects) {
  EXPECT_EQ(folded<uint32_t>([](U a, U b) { return select(a <= a, a, b); }), "a");
  EXPECT_EQ(folded<uint32_t>([](U a, U b) { return !(a < b); }), "select(ge(a, b), 7, 5)");
  EXPECT_EQ(folded<float>([](F a, F b) { return !(a < b); }), "select(lt(a, b), 5, 7)");
  EXPECT_EQ(folded<float>([](F a, F) { return a <= a; }), "select(le(a, a), 7, 5)");
  EXPECT_EQ(folded<uint32_t>([](U a, U b) { return (a < b) & B(true); }), "select(lt(a, b), 7, 5)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return U(3u) < a; }), "select(gt(a, 3), 7, 5)");
  EXPECT_EQ(folded<uint32_t>([](U a, U) { return (a < 3u) | B(true); }), "7");
}

TEST(Fold, ControlFlowWithKnownConditions) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  $if (U(1u) < 2u) {
    y.store(1u, a);
  }
  $else {
    y.store(2u, a);
  }
  $for (i, U(8u), U(8u), 1u) {
    y.store(i, a);
  }
  $while (B(false)) {
    y.store(3u, a);
  }
  EXPECT_EQ(body_text(after(k.finish(), {fold, dce})), R"(
  %0 = constant u32 1
  %1 = param u32 p0.a
  store u32 b0.y %0, %1
)");
}

TEST(Fold, IdsOfASingleSubgroupOrLane) {
  KernelScope k("k", 32, small_target(32));
  const Buffer y = k.output("y");
  y.store(lane_id(), subgroup_id() + 5u);
  EXPECT_EQ(body_text(after(k.finish(), {fold, dce}, small_target(32))), R"(
  %0 = constant u32 5
  %1 = local_id u32
  store u32 b0.y %1, %0
)");
}

}  // namespace
}  // namespace tattletale::compiler

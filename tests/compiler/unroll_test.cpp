#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;

/// for (i = first; i < end; i += step) y[i] = i, with a hint.
ir::Kernel counting(auto first, auto end, uint32_t step, uint32_t hint) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U n = k.param<uint32_t>("n", 0);
  $for (i, U(first(n)), U(end(n)), step, hint) {
    y.store(i, i);
  }
  return k.finish();
}
const auto zero = [](U) { return U(0u); };
const auto six = [](U) { return U(6u); };
const auto parameter = [](U n) { return n; };

TEST(Unroll, ShowsBeforeAndAfter) {
  EXPECT_EQ(body_text(counting(zero, six, 2, 4)), R"(
  %0 = param u32 p0.n
  %1 = constant u32 0
  %2 = constant u32 6
  %3 = constant u32 2
  %4 = for u32 @4 %1, %2, %3 {
    store u32 b0.y %4, %4
  }
)");
  EXPECT_EQ(body_text(after(counting(zero, six, 2, 4), {unroll, dce})), R"(
  %0 = constant u32 0
  %1 = constant u32 2
  %2 = constant u32 4
  store u32 b0.y %0, %0
  store u32 b0.y %1, %1
  store u32 b0.y %2, %2
)");
}

TEST(Unroll, GroupsOfCopiesAndALoopForTheRest) {
  EXPECT_EQ(body_text(after(counting(zero, parameter, 1, 2), {unroll, fold, dce})), R"(
  %0 = constant u32 0
  %1 = constant u32 1
  %2 = constant u32 2
  %3 = constant u32 4294967294
  %4 = param u32 p0.n
  %5 = gt bool %4, %0
  %6 = select u32 %5, %4, %0
  %7 = and u32 %6, %3
  %8 = for u32 %0, %7, %2 {
    store u32 b0.y %8, %8
    %10 = add u32 %8, %1
    store u32 b0.y %10, %10
  }
  %12 = for u32 %7, %4, %1 {
    store u32 b0.y %12, %12
  }
)");
}

TEST(Unroll, WithoutAHintOnlyASingleTurn) {
  EXPECT_EQ(count(after(counting(zero, six, 2, 0), {unroll, dce}), Op::for_), 1u);
  EXPECT_EQ(count(after(counting(zero, six, 7, 0), {unroll, dce}), Op::for_), 0u);
}

TEST(Unroll, BudgetsLimitTheCopies) {
  const auto copies = [](uint32_t body, uint32_t kernel) {
    PipelineOptions options;
    options.max_unrolled_body = body;
    options.max_unrolled_kernel = kernel;
    return count(after(counting(zero, parameter, 1, 16), {unroll, dce}, small_target(), options), Op::store);
  };
  EXPECT_EQ(copies(1000, 3000), 17u);
  EXPECT_EQ(copies(10, 3000), 9u);
  EXPECT_EQ(copies(1000, 12), 5u);
  EXPECT_EQ(copies(1, 3000), 1u);
}

TEST(Unroll, InnerLoopsFirstAndLocalsStayMutable) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Var<uint32_t> sum(0u);
  $for (i, U(0u), U(3u), 1u, 3) {
    $for (j, U(0u), U(3u), 1u, 3) {
      sum = sum + i * j;
    }
  }
  y.store(0u, sum);
  const ir::Kernel kernel = k.finish();
  const ir::Kernel result = after(kernel, {unroll, fold, cse, fold, cse, dce});
  EXPECT_EQ(stored(result), "9") << ir::print(result);
}

}  // namespace
}  // namespace tattletale::compiler

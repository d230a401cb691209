#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;

TEST(Cse, ShowsBeforeAndAfter) {
  KernelScope k("k", 64, small_target());
  const Buffer x = k.input("x"), y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  Var<uint32_t> sum(a * a);
  $if (x.load<Storage::u32>(a * a) < sum.get()) {
    y.store(0u, x.load<Storage::u32>(a * a) + sum);
  }
  const ir::Kernel before = k.finish();
  EXPECT_EQ(body_text(before), R"(
  %0 = param u32 p0.a
  %1 = constant u32 0
  %2 = mul u32 %0, %0
  local_set l0 %2
  %4 = mul u32 %0, %0
  %5 = load u32 u32 b0.x %4
  %6 = local_get u32 l0
  %7 = lt bool %5, %6
  if %7 {
    %9 = mul u32 %0, %0
    %10 = load u32 u32 b0.x %9
    %11 = local_get u32 l0
    %12 = add u32 %10, %11
    store u32 b1.y %1, %12
  }
)");
  EXPECT_EQ(body_text(after(before, {cse, dce})), R"(
  %0 = constant u32 0
  %1 = param u32 p0.a
  %2 = mul u32 %1, %1
  %3 = load u32 u32 b0.x %2
  %4 = lt bool %3, %2
  if %4 {
    %6 = add u32 %3, %2
    store u32 b1.y %0, %6
  }
)");
}

TEST(Cse, SiblingBranchesShareNothing) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  $if (a < 3u) {
    y.store(0u, a * a);
  }
  $else {
    y.store(1u, a * a);
  }
  EXPECT_EQ(count(after(k.finish(), {cse, dce}), Op::mul), 2u);
}

TEST(Cse, LoadsSurviveNoStoreBarrierOrLoop) {
  const auto loads = [](auto between) {
    KernelScope k("k", 64, small_target());
    const Buffer y = k.output("y");
    Shared<uint32_t> tile("tile", 64);
    const U first = y.load<Storage::u32>(0u);
    between(y, tile);
    y.store(1u, first + y.load<Storage::u32>(0u));
    return count(after(k.finish(), {cse, dce}), Op::load);
  };
  EXPECT_EQ(loads([](const Buffer&, auto&) {}), 1u);
  EXPECT_EQ(loads([](const Buffer& y, auto&) { y.store(0u, U(3u)); }), 2u);
  EXPECT_EQ(loads([](const Buffer&, auto&) { barrier(); }), 2u);
  EXPECT_EQ(loads([](const Buffer& y, auto&) {
              $if (local_id() < 3u) {
                y.store(0u, U(3u));
              }
            }),
            2u);
  EXPECT_EQ(loads([](const Buffer& y, auto&) { static_cast<void>(y.atomic_add(0u, U(3u))); }), 2u);
}

TEST(Cse, ALoopForgetsWhatItsBodyChanges) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Var<uint32_t> v(1u), kept(2u);
  const U before = y.load<Storage::u32>(0u);
  $for (i, U(0u), U(4u), 1u) {
    y.store(i, y.load<Storage::u32>(0u) + v + kept);
    v = v + before;
  }
  y.store(9u, v.get() + kept);
  const ir::Kernel result = after(k.finish(), {cse, dce});
  EXPECT_EQ(count(result, Op::load), 2u);       // before the loop and in each turn
  EXPECT_EQ(count(result, Op::local_get), 2u);  // of v, in the loop and after it; kept is 2
  EXPECT_EQ(result.locals.size(), 1u);
}

TEST(Cse, SharedLoadsAreSharedBetweenBarriersOnly) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Shared<uint32_t> tile("tile", 64);
  tile.store(local_id(), local_id());
  barrier();
  const U a = tile.load(U(5u)) + tile.load(U(5u));
  barrier();
  tile.store(U(5u) + local_id() % 2u * 0u, U(1u));
  y.store(local_id(), a + tile.load(U(5u)));
  ir::Kernel kernel = k.finish();
  cse(kernel, {small_target(), {}});
  dce(kernel, {small_target(), {}});
  EXPECT_EQ(count(kernel, Op::shared_load), 2u);
}

}  // namespace
}  // namespace tattletale::compiler

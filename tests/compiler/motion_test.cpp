// licm, vectorise_memory, plan_shared and dce.
#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;
using F = Val<float>;

TEST(Licm, ShowsBeforeAndAfter) {
  KernelScope k("k", 64, small_target());
  const Buffer x = k.input("x"), y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  $for (i, U(0u), U(9u), 1u) {
    y.store(a * 3u + i, x.load<Storage::u32>(a) + i);
  }
  const ir::Kernel before = k.finish();
  EXPECT_EQ(body_text(before), R"(
  %0 = param u32 p0.a
  %1 = constant u32 0
  %2 = constant u32 9
  %3 = constant u32 1
  %4 = constant u32 3
  %5 = for u32 %1, %2, %3 {
    %6 = mul u32 %0, %4
    %7 = add u32 %6, %5
    %8 = load u32 u32 b0.x %0
    %9 = add u32 %8, %5
    store u32 b1.y %7, %9
  }
)");
  EXPECT_EQ(body_text(after(before, {licm})), R"(
  %0 = param u32 p0.a
  %1 = constant u32 0
  %2 = constant u32 9
  %3 = constant u32 1
  %4 = constant u32 3
  %5 = mul u32 %0, %4
  %6 = load u32 u32 b0.x %0
  %7 = for u32 %1, %2, %3 {
    %8 = add u32 %5, %7
    %9 = add u32 %6, %7
    store u32 b1.y %8, %9
  }
)");
}

/// Number of instructions of the kind left inside the loop of a kernel that has one.
size_t in_loop(const ir::Kernel& kernel, Op op) {
  for (const ir::Instruction& in : kernel.instructions) {
    if (in.op != Op::for_) continue;
    return static_cast<size_t>(std::ranges::count_if(
        kernel.regions[in.regions[0]], [&](ir::Value value) { return kernel.at(value).op == op; }));
  }
  return SIZE_MAX;
}

TEST(Licm, WhatMustStayStays) {
  const auto body = [](bool surely_runs, auto inside) {
    KernelScope k("k", 64, small_target());
    const Buffer x = k.input("x"), y = k.output("y");
    const U a = k.param<uint32_t>("a", 0);
    $for (i, U(0u), surely_runs ? U(9u) : a, 1u) {
      inside(x, y, a, i);
    }
    return after(k.finish(), {licm, dce});
  };
  const auto read_only = [](auto& x, auto& y, U a, U i) { y.store(i, x.template load<Storage::u32>(a)); };
  EXPECT_EQ(in_loop(body(true, read_only), Op::load), 0u);
  EXPECT_EQ(in_loop(body(false, read_only), Op::load), 1u) << "the loop may not run: the load might fault";
  const auto written = [](auto&, auto& y, U a, U i) { y.store(i, y.template load<Storage::u32>(a)); };
  EXPECT_EQ(in_loop(body(true, written), Op::load), 1u) << "the loop changes what it reads";
  const auto division = [](auto&, auto& y, U a, U i) { y.store(i, a / a); };
  EXPECT_EQ(in_loop(body(false, division), Op::div), 1u) << "a may be 0 where the loop does not run";
}

TEST(Licm, RegistersAreLimited) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  $for (i, U(0u), U(9u), 1u) {
    for (uint32_t j = 2; j < 12; ++j) y.store(i, a * (2u * j + 1u));
  }
  PipelineOptions options;
  options.max_hoisted = 4;
  EXPECT_EQ(in_loop(after(k.finish(), {licm}, small_target(), options), Op::mul), 6u);
}

TEST(VectoriseMemory, ShowsBeforeAndAfter) {
  KernelScope k("k", 64, small_target());
  const Buffer x = k.input("x"), y = k.output("y");
  const U at = local_id() << 2u;
  for (uint32_t i = 0; i < 4; ++i) y.store(at + (3 - i), x.load<Storage::f32>(at + i));
  const ir::Kernel before = after(k.finish(), {fold, cse, dce});
  EXPECT_EQ(count(before, Op::load), 4u);
  EXPECT_EQ(body_text(after(before, {vectorise_memory, dce})), R"(
  %0 = constant u32 2
  %1 = local_id u32
  %2 = shl u32 %1, %0
  %3 = load f32x4 f32 b0.x %2
  %4 = extract f32 @0 %3
  %5 = extract f32 @1 %3
  %6 = extract f32 @2 %3
  %7 = extract f32 @3 %3
  %8 = make_vector f32x4 %7, %6, %5, %4
  store f32 b1.y %2, %8
)");
}

/// Lanes of the loads and stores that are left, in order.
std::string accesses(auto body) {
  KernelScope k("k", 64, small_target());
  const Buffer x = k.input("x"), y = k.output("y");
  Shared<uint32_t> tile("tile", 512);
  body(x, y, tile, k.param<uint32_t>("a", 0));
  const ir::Kernel kernel = after(k.finish(), {fold, cse, vectorise_memory, dce});
  std::string text;
  for (const ir::Instruction& in : kernel.instructions) {
    const bool loads = in.op == Op::load || in.op == Op::shared_load;
    const bool stores = in.op == Op::store || in.op == Op::shared_store;
    if (loads) text += "l" + std::to_string(in.type.lanes);
    if (stores) text += "s" + std::to_string(kernel.at(in.operands[1]).type.lanes);
  }
  return text;
}

TEST(VectoriseMemory, OnlyWhereAlignedAndUndisturbed) {
  using B = const Buffer&;
  constexpr auto load = [](B b, U i) { return b.load<Storage::u32>(i); };
  const auto pair = [&](U first, B x, B y) { y.store(0u, load(x, first) * load(x, first + 1u)); };
  EXPECT_EQ(accesses([&](B x, B y, auto&, U a) { pair(a * 2u, x, y); }), "l2s1");
  EXPECT_EQ(accesses([&](B x, B y, auto&, U a) { pair(a * 2u + 1u, x, y); }), "l1l1s1");
  EXPECT_EQ(accesses([&](B x, B y, auto&, U a) { pair(a, x, y); }), "l1l1s1") << "alignment unknown";
  EXPECT_EQ(accesses([&](B x, B y, auto&, U) { pair(U(6u), x, y); }), "l2s1");
  EXPECT_EQ(accesses([&](B, B y, auto&, U a) {
              const U first = load(y, a * 2u);
              y.store(a, U(5u));  // may be the second word
              y.store(a, first + load(y, a * 2u + 1u));
            }),
            "l1s1l1s1");
  EXPECT_EQ(accesses([&](B x, B y, auto&, U a) {
              const U first = load(x, a * 2u);
              y.store(a, U(5u));  // another binding, and x is not written
              y.store(a, first + load(x, a * 2u + 1u));
            }),
            "l2s1s1");
  EXPECT_EQ(accesses([&](B, B y, auto&, U a) {
              y.store(a * 2u, a);
              y.store(a, a);  // between them in time: may be the same word
              y.store(a * 2u + 1u, a);
            }),
            "s1s1s1");
  EXPECT_EQ(accesses([&](B, B y, auto&, U a) {
              y.store(a * 2u, a);
              barrier();
              y.store(a * 2u + 1u, a);
            }),
            "s1s1");
  EXPECT_EQ(accesses([&](B, B y, auto&, U a) {
              y.store(a * 2u, a);
              y.store(7u, load(y, a * 2u + 1u));
              y.store(a * 2u + 1u, a);
            }),
            "s1l1s1s1");
  EXPECT_EQ(accesses([&](B, B y, auto& tile, U) {
              const U at = local_id() * 4u;
              for (uint32_t i = 0; i < 4; ++i) tile.store(at + i, local_id());
              y.store(local_id(), tile.load(at + 2u) + tile.load(at + 3u));
            }),
            "s4l2s1");
}

TEST(VectoriseMemory, ABaseMustBeAligned) {
  const auto with_base = [](auto stride) {
    return accesses([&](const Buffer& x, const Buffer& y, auto&, U a) {
      const auto row = x.at(a, stride(a));
      y.store(0u, row.template load<Storage::u32>(0u) + row.template load<Storage::u32>(1u));
    });
  };
  EXPECT_EQ(with_base([](U) { return U(24u); }), "l2s1");
  EXPECT_EQ(with_base([](U a) { return a; }), "l1l1s1");
}

TEST(PlanShared, ArraysThatNeverMeetShareTheirWords) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Shared<uint32_t> a("a", 64), b("b", 128), c("c", 32);
  a.store(local_id(), local_id());
  barrier();
  b.store(local_id(), a.load(63u - local_id()));
  barrier();
  c.store(local_id() >> 1u, U(0u) + b.load(63u - local_id()) * 0u);
  y.store(local_id(), b.load(63u - local_id()));
  ir::Kernel kernel = k.finish();
  plan_shared(kernel, {small_target(), {}});
  ASSERT_EQ(kernel.shared.size(), 2u);  // a and c take turns; b meets both
  EXPECT_EQ(kernel.shared[0].num_words, 128u);
  EXPECT_EQ(kernel.shared[1].num_words, 64u);
}

TEST(PlanShared, ABarrierInALoopDividesNothing) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Shared<uint32_t> a("a", 64), b("b", 64);
  $for (i, U(0u), U(2u), 1u) {
    a.store(local_id(), i);
    barrier();
    b.store(local_id(), a.load(63u - local_id()));
    barrier();
  }
  y.store(local_id(), b.load(local_id()));
  EXPECT_EQ(after(k.finish(), {plan_shared}).shared.size(), 2u);
}

TEST(PlanShared, ACopyMayArriveLate) {
  ir::TargetInfo target = small_target();
  target.async_copy = true;
  KernelScope k("k", 64, target);
  const Buffer x = k.input("x"), y = k.output("y");
  Shared<uint32_t> a("a", 256), b("b", 256);
  copy_async(a, local_id() * 4u, x, local_id() * 4u);
  copy_commit();
  barrier();
  b.store(local_id(), local_id());
  y.store(local_id(), b.load(local_id()));
  EXPECT_EQ(after(k.finish(), {plan_shared}, target).shared.size(), 2u);
}

TEST(Dce, WhatNobodyUsesGoes) {
  KernelScope k("k", 64, small_target());
  const Buffer x = k.input("x"), y = k.output("y");
  Shared<uint32_t> unused("unused", 64), used("used", 64);
  Var<uint32_t> only_set(0u), chained(1u);
  static_cast<void>(x.load<Storage::u32>(local_id()) * 3u);
  $for (i, U(0u), U(5u), 1u) {
    only_set = i + chained;
  }
  $if (local_id() < 3u) {
    chained = local_id() * 2u;
  }
  $else {}
  used.store(local_id(), U(1u));
  $if (local_id() < 5u) {
    y.store(local_id(), U(4u));
  }
  $else {
    only_set = U(7u);
  }
  const ir::Kernel kernel = after(k.finish(), {dce});
  EXPECT_TRUE(kernel.locals.empty());
  ASSERT_EQ(kernel.shared.size(), 1u);
  EXPECT_EQ(kernel.shared[0].name, "used");
  EXPECT_EQ(body_text(kernel), R"(
  %0 = constant u32 1
  %1 = constant u32 5
  %2 = constant u32 4
  %3 = local_id u32
  shared_store u32 s0.used %3, %0
  %5 = local_id u32
  %6 = lt bool %5, %1
  if %6 {
    %8 = local_id u32
    store u32 b1.y %8, %2
  }
)");
}

TEST(Dce, SetsThatNobodySeesGo) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Var<uint32_t> v(1u), w(2u);
  v = U(3u);  // over the 1, which nobody has read
  $if (local_id() < 3u) {
    y.store(local_id(), v);
  }  // reads the 3
  v = U(4u);  // set again below
  $if (local_id() < 5u) {
    w = U(5u);
  }  // may not happen: the 2 stays
  v = U(6u);
  $for (i, U(0u), U(2u), 1u) {
    y.store(local_id(), v);
    v = v + 1u;  // read in the next turn
  }
  y.store(local_id(), v + w);
  EXPECT_EQ(count(after(k.finish(), {dce}), Op::local_set), 5u);
}

}  // namespace
}  // namespace tattletale::compiler

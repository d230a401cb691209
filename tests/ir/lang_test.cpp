// What the embedded language records: operators, literals on either side, control flow, lines.
#include "ir/lang.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

ir::TargetInfo target(uint32_t subgroup_size) {
  ir::TargetInfo info;
  info.subgroup_size = subgroup_size;
  return info;
}

uint32_t count(const ir::Kernel& kernel, Op op) {
  return static_cast<uint32_t>(
      std::ranges::count_if(kernel.instructions, [&](const auto& i) { return i.op == op; }));
}

struct ScaleParams {
  uint32_t n = 0;
  float scale[2] = {0.0f, 0.0f};
};

TEST(Lang, RecordsABodyWithItsLines) {
  KernelScope k("scale", 64, target(32));
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> n = TT_PARAM(k, ScaleParams, n);
  const Val<float> scale = TT_PARAM(k, ScaleParams, scale[1]);
  Var<float> sum(0.0f);
  $for (i, local_id(), n, 64u) {
    $if (i + 1 < n) {
      sum += 2.0f * x.load<Storage::f16>(i);
    }
    $else {
      sum = scale - 1;
    }
  }
  const uint32_t line = __LINE__ + 1;
  y.store(local_id(), sum * 0.5f);
  const ir::Kernel kernel = k.finish();

  EXPECT_EQ(kernel.name, "scale");
  EXPECT_EQ(kernel.writes_mask(), 2u);
  ASSERT_EQ(kernel.params.size(), 3u);
  EXPECT_EQ(kernel.params[0].name, "n");
  EXPECT_EQ(kernel.params[1].name, "unused_1");
  EXPECT_EQ(kernel.params[2].scalar, ir::Scalar::f32);
  EXPECT_EQ(count(kernel, Op::for_), 1u);
  EXPECT_EQ(count(kernel, Op::if_), 1u);
  const auto branch =
      std::ranges::find_if(kernel.instructions, [](const auto& i) { return i.op == Op::if_; });
  EXPECT_NE(branch->regions[0], ir::kNoRegion);
  EXPECT_NE(branch->regions[1], ir::kNoRegion);
  EXPECT_EQ(kernel.regions[branch->regions[1]].size(), 2u);  // scale - 1 and the assignment
  const ir::Value last = kernel.regions[ir::kRootRegion].back();
  EXPECT_EQ(kernel.at(last).op, Op::store);
  EXPECT_EQ(kernel.where(last), "lang_test.cpp:" + std::to_string(line));
}

TEST(Lang, AWhileConditionIsRecordedOnceAndEvaluatedEveryTurn) {
  KernelScope k("halve", 1, target(1));
  const Buffer y = k.output("y");
  Var<uint32_t> v(100u);
  $while (v > 1u) {
    v = v / 2;
  }
  y.store(0u, v);
  const ir::Kernel kernel = k.finish();
  const auto loop =
      std::ranges::find_if(kernel.instructions, [](const auto& i) { return i.op == Op::while_; });
  ASSERT_NE(loop, kernel.instructions.end());
  EXPECT_EQ(kernel.at(kernel.regions[loop->regions[0]].back()).op, Op::yield);
  EXPECT_EQ(count(kernel, Op::gt), 1u);
  EXPECT_EQ(kernel.at(kernel.regions[loop->regions[1]].back()).op, Op::local_set);
}

TEST(Lang, ConstantsAreSharedAndComeFirst) {
  KernelScope k("constants", 1, target(1));
  const Buffer y = k.output("y");
  $if (local_id() < 7u) {
    y.store(0u, Val<float>(1.5f));
  }
  $else {
    y.store(0u, Val<float>(1.5f));
  }
  const ir::Kernel kernel = k.finish();
  EXPECT_EQ(count(kernel, Op::constant), 3u);
  EXPECT_EQ(kernel.at(kernel.regions[ir::kRootRegion].front()).op, Op::constant);
}

TEST(Lang, ASubgroupOfOneNeedsNoSubgroupOperations) {
  KernelScope k("one", 8, target(1));
  const Buffer y = k.output("y");
  y.store(local_id(), subgroup_add(to_f32(lane_id())));
  const ir::Kernel kernel = k.finish();
  EXPECT_EQ(count(kernel, Op::subgroup_add) + count(kernel, Op::lane_id), 0u);
}

TEST(Lang, ElseWithoutIfAndTracingOutsideAScopeAreBrokenInvariants) {
  EXPECT_THROW(static_cast<void>(local_id()), InvariantError);
  KernelScope k("bad", 1, target(1));
  EXPECT_THROW(detail::ElseScope(), InvariantError);
}

}  // namespace
}  // namespace tattletale

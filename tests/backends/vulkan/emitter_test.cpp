// The SPIR-V writer without a driver: every operation, under every set of features, makes a valid module.
#include <gtest/gtest.h>

#include "backends/vulkan/spirv_check.h"
#include "backends/vulkan/spirv_writer.h"
#include "ir/lang.h"
#include "support/op_kernels.h"

namespace tattletale {
namespace {

using test::check_structure;
using test::OpKernel;

struct FeatureSet {
  const char* name;
  SpirvFeatures features;
  ir::TargetInfo target;
};

ir::TargetInfo target_of(uint32_t subgroup_size, const SpirvFeatures& features) {
  ir::TargetInfo target;
  target.name = "vulkan";
  target.subgroup_size = subgroup_size;
  target.max_shared_bytes = 48 << 10;
  target.f16x2 = features.float16;
  target.dot4_i8 = features.packed_dot;
  if (features.cooperative_matrix) target.f16_fragments = ir::FragmentTier::opaque;
  if (features.bfloat16_matrix) target.bf16_fragments = ir::FragmentTier::opaque;
  return target;
}

std::vector<FeatureSet> feature_sets() {
  const SpirvFeatures none;
  SpirvFeatures words = none;  // 64-bit addresses, words only
  words.int64 = words.wide_offsets = words.inexact_u32_to_f32 = words.slow_vector_loads =
      words.float_atomic_fault = true;
  SpirvFeatures all = none;
  all.int64 = all.storage16 = all.storage8 = all.float16 = all.f16_round_to_even = true;
  all.packed_dot = all.explicit_workgroup_layout = true;
  SpirvFeatures wide = all;
  wide.wide_offsets = true;
  SpirvFeatures matrices = all;
  matrices.cooperative_matrix = matrices.bfloat16_matrix = true;
  std::vector<FeatureSet> sets;
  sets.push_back({"none", none, target_of(4, none)});
  sets.push_back({"single lane", none, target_of(1, none)});
  sets.push_back({"words", words, target_of(8, words)});
  sets.push_back({"all", all, target_of(32, all)});
  sets.push_back({"wide", wide, target_of(32, wide)});
  sets.push_back({"matrices", matrices, target_of(32, matrices)});
  return sets;
}

bool has_fragments(const ir::Kernel& kernel) {
  return kernel.name.find("fragments") != std::string::npos;
}

TEST(SpirvWriter, EveryOperationMakesAWellFormedModule) {
  for (const FeatureSet& set : feature_sets()) {
    for (const OpKernel& op : test::op_kernels(set.target, 64)) {
      SCOPED_TRACE(std::string(set.name) + ": " + op.kernel.name);
      const auto words = emit_spirv(op.kernel, set.features);
      ASSERT_TRUE(words) << words.error().message();
      EXPECT_EQ(check_structure(*words), "");
    }
  }
}

TEST(SpirvWriter, SpirvValAcceptsEveryModuleThatItKnows) {
  if (test::spirv_val_year() == 0) GTEST_SKIP() << "spirv-val is not installed (package spirv-tools)";
  for (const FeatureSet& set : feature_sets()) {
    for (const OpKernel& op : test::op_kernels(set.target, 64)) {
      if (has_fragments(op.kernel) && test::spirv_val_year() < 2025) continue;  // newer than the tool
      SCOPED_TRACE(std::string(set.name) + ": " + op.kernel.name);
      const auto words = emit_spirv(op.kernel, set.features);
      ASSERT_TRUE(words) << words.error().message();
      EXPECT_EQ(test::spirv_val(*words), "");
    }
  }
}

}  // namespace
}  // namespace tattletale

// Every launch of the conformance suite, planned and traced for every kind of target, is a legal kernel
// there.
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <set>

#include "ir/verify.h"
#include "kernels/conformance/kernel_case.h"
#include "kernels/kernel_contract.h"

namespace tattletale::conformance {
namespace {

ir::TargetInfo target(uint32_t subgroup_size, bool is_cpu) {
  ir::TargetInfo info;
  info.name = "test";
  info.subgroup_size = subgroup_size;
  info.is_cpu = is_cpu;
  info.num_processors = is_cpu ? 2 : 132;
  return info;
}

TEST(Portable, EveryCaseOfTheSuiteIsLegalOnEveryKindOfTarget) {
  std::vector<ir::TargetInfo> targets;
  for (const uint32_t size : {1u, 4u, 8u, 16u, 32u, 64u}) targets.push_back(target(size, size <= 8));
  for (const ir::TargetInfo& info : targets) {
    std::set<std::string> seen;
    uint32_t planned = 0, refused = 0;
    for (const KernelContract* contract : all_kernel_contracts()) {
      if (contract->plan == nullptr) continue;
      for (const KernelCase& test : cases_of(*contract)) {
        SCOPED_TRACE(test.name);
        const LaunchData data = test.make();
        std::vector<BufferSlice> bindings(data.bindings.size());
        for (size_t i = 0; i < bindings.size(); ++i) {
          if (!data.bindings[i].empty())
            bindings[i] = {static_cast<BufferId>(i + 1), 0, data.bindings[i].size()};
        }
        const Result<LaunchPlan> plan =
            contract->plan({info, data.comptime.data(), data.params.data(), bindings});
        if (!plan) {
          EXPECT_EQ(plan.error().kind, ErrorKind::unsupported) << plan.error().message();
          ++refused;
          continue;
        }
        ++planned;
        for (const Stage& stage : plan->stages) {
          const std::span<const std::byte> bytes = stage.comptime.bytes();
          std::string key(stage.body->name);
          key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          for (const uint32_t count : stage.workgroups) EXPECT_TRUE(count >= 1 && count <= kMaxWorkgroups);
          if (!seen.insert(key).second) continue;
          const ir::Kernel kernel = stage.body->trace(info, stage.comptime.data());
          const Result<void> legal = ir::verify(kernel, info);
          ASSERT_TRUE(legal) << legal.error().message();
          EXPECT_EQ(kernel.bindings.size(), stage.bindings.size());
          EXPECT_LE(kernel.params.size() * 4, stage.params.bytes().size());
        }
      }
    }
    std::cout << "subgroup size " << info.subgroup_size << ": " << planned << " launches planned, " << refused
              << " refused, " << seen.size() << " kernels\n";
    EXPECT_GT(planned, refused);
  }
}

}  // namespace
}  // namespace tattletale::conformance

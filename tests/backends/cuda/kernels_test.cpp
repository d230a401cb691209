// The engine's own kernels, as the conformance suite launches them, compiled for a card that need not be
// here: none runs out of registers or takes arrays to local memory.
#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "backends/cuda/cuda_dialect.h"
#include "backends/cuda/nvrtc_fixture.h"
#include "compiler/pipeline.h"
#include "kernels/conformance/kernel_case.h"
#include "kernels/kernel_contract.h"
#include "kernels/portable.h"

namespace tattletale::cuda {
namespace {

using conformance::KernelCase;

/// Distinct kernels of all launches of the suite, by body and comptime.
std::vector<ir::Kernel> engine_kernels(const ir::TargetInfo& target) {
  std::vector<ir::Kernel> kernels;
  std::set<std::string> seen;
  for (const KernelContract* contract : all_kernel_contracts()) {
    if (!contract->plan) continue;
    for (const KernelCase& test : conformance::cases_of(*contract)) {
      const conformance::LaunchData data = test.make();
      std::vector<BufferSlice> bindings(data.bindings.size());
      for (size_t i = 0; i < bindings.size(); ++i) {
        if (!data.bindings[i].empty())
          bindings[i] = {BufferId{static_cast<uint32_t>(i + 1)}, 0, data.bindings[i].size()};
      }
      const auto plan = contract->plan({target, data.comptime.data(), data.params.data(), bindings});
      if (!plan) continue;
      for (const Stage& stage : plan->stages) {
        const auto bytes = stage.comptime.bytes();
        std::string key(stage.body->name);
        key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (seen.insert(key).second) kernels.push_back(stage.body->trace(target, stage.comptime.data()));
      }
    }
  }
  return kernels;
}

/// Compiling all of them takes minutes; up to six of each body, spread over its specialisations, do not.
std::vector<ir::Kernel> sample(const std::vector<ir::Kernel>& kernels) {
  constexpr size_t kEach = 6;
  std::map<std::string, std::vector<const ir::Kernel*>> by_name;
  for (const ir::Kernel& kernel : kernels) by_name[kernel.name].push_back(&kernel);
  std::vector<ir::Kernel> chosen;
  for (const auto& [name, all] : by_name) {
    const size_t count = std::min(kEach, all.size());
    for (size_t i = 0; i < count; ++i) chosen.push_back(*all[i * all.size() / count]);
  }
  return chosen;
}

TEST_F(WithNvrtc, TheEnginesKernelsStayInRegisters) {
  // The assembler spills the registers of its own barriers for divergent branches, a few bytes outside of any
  // loop's inner part; a kernel that runs out of ordinary registers spills hundreds.
  constexpr uint32_t kMaxSpillBytes = 16;
  ir::TargetInfo target = cuda_target_info(90);
  target.num_processors = 132;
  const std::vector<ir::Kernel> all = engine_kernels(target);
  ASSERT_FALSE(all.empty());
  uint32_t most_registers = 0, compiled = 0;
  for (const ir::Kernel& traced : sample(all)) {
    const auto passed = compiler::run_pipeline(traced, target);
    ASSERT_TRUE(passed) << passed.error().message();
    const ir::Kernel& kernel = *passed;
    const auto source = print_cuda(kernel, target);
    ASSERT_TRUE(source) << source.error().message();
    const auto cubin = nvrtc_->compile(kernel, *source, "sm_90a");
    ASSERT_TRUE(cubin) << cubin.error().message();
    EXPECT_LE(cubin->resources->spill_bytes, kMaxSpillBytes) << kernel.name;
    EXPECT_LE(cubin->resources->stack_bytes, kMaxSpillBytes) << kernel.name;
    most_registers = std::max(most_registers, cubin->resources->registers);
    ++compiled;
  }
  std::cout << compiled << " of " << all.size() << " kernels compiled, at most " << most_registers
            << " registers\n";
}

}  // namespace
}  // namespace tattletale::cuda

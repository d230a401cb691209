// The conformance cases of the forward pass's kernels on the WebGPU device, against their naive twins.
// Software drivers take minutes for all of them: there every 16th case runs, all with TATTLETALE_ALL_CASES=1.
#include <algorithm>
#include <iostream>

#include "backends/webgpu/webgpu_fixture.h"
#include "kernels/conformance/suite.h"
#include "kernels/portable_device.h"

namespace tattletale::test {
namespace {

class WebgpuKernels : public ::testing::TestWithParam<std::string> {};

TEST_P(WebgpuKernels, MatchTheirTwins) {
  const auto all = all_kernel_contracts();
  const auto found = std::ranges::find_if(all, [](const KernelContract* c) { return c->name == GetParam(); });
  ASSERT_NE(found, all.end());
  const KernelContract& contract = **found;
  if (contract.plan == nullptr) GTEST_SKIP() << contract.name << " has no portable body";
  std::string why_not;
  if (shared_device(why_not) == nullptr) GTEST_SKIP() << why_not;
  auto programs = webgpu::open_webgpu_program_device(device_index());
  ASSERT_TRUE(programs.has_value()) << programs.error().message();
  const std::unique_ptr<Device> device =
      make_portable_device(std::move(*programs), {.use_disk_cache = false});
  const bool all_cases = std::getenv("TATTLETALE_ALL_CASES") != nullptr;
  const uint32_t stride = shared_device(why_not)->target().is_cpu && !all_cases ? 16 : 1;
  const conformance::SuiteReport report = conformance::run_suite(*device, contract, {.stride = stride});
  EXPECT_EQ(report.num_failed, 0u);
  for (const auto& failure : report.failures) ADD_FAILURE() << failure.case_name << ": " << failure.what;
  ASSERT_FALSE(report.stopped) << report.stopped->message();
  for (const auto& [reason, skip] : report.skipped) {
    std::cout << "skipped " << skip.count << " cases: " << reason << "; the first: " << skip.first_case
              << "\n";
  }
  std::cout << contract.name << ": " << report.num_run << " of " << report.num_cases << " cases run, "
            << report.num_skipped << " skipped\n";
  if (report.num_run == 0) GTEST_SKIP() << "no case of this kernel is supported here";
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const KernelContract* contract : all_kernel_contracts()) out.emplace_back(contract->name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(All, WebgpuKernels, ::testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tattletale::test

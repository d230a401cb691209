// The conformance cases of the forward pass's kernels on the WebGPU device, against their naive twins.
// Software drivers take minutes for all of them: there every 16th case runs, all with TATTLETALE_ALL_CASES=1.
#include <algorithm>
#include <iostream>
#include <map>

#include "backends/webgpu/webgpu_fixture.h"
#include "kernels/kernel_runner.h"
#include "kernels/portable_device.h"

namespace tattletale::test {
namespace {

using testing::KernelCase;

class WebgpuKernels : public ::testing::TestWithParam<std::string> {};

TEST_P(WebgpuKernels, MatchTheirTwins) {
  const std::map<std::string, std::vector<KernelCase> (*)()> table = {
      {"embed", testing::embed_cases},
      {"rms_norm", testing::rms_norm_cases},
      {"linear", testing::linear_cases},
      {"rope_append", testing::rope_append_cases},
      {"gather_rows", testing::gather_rows_cases},
      {"paged_attention", testing::paged_attention_cases},
      {"copy_kv_rows", testing::copy_kv_rows_cases}};
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
  uint32_t num_run = 0, num_skipped = 0;
  const std::vector<KernelCase> cases = table.at(std::string(contract.name))();
  const size_t step =
      shared_device(why_not)->target().is_cpu && std::getenv("TATTLETALE_ALL_CASES") == nullptr ? 16 : 1;
  for (size_t i = 0; i < cases.size(); i += step) {
    const KernelCase& test = cases[i];
    SCOPED_TRACE(test.name);
    const testing::LaunchData data = test.make();
    Result<std::vector<testing::Bytes>> actual = testing::run_on_device(*device, contract, data);
    if (!actual && actual.error().kind == ErrorKind::unsupported) {
      constexpr uint32_t kNamed = 3;
      if (++num_skipped <= kNamed)
        std::cout << "skipped: " << test.name << ": " << actual.error().message() << "\n";
      continue;
    }
    ASSERT_TRUE(actual.has_value()) << actual.error().message();
    ++num_run;
    const std::vector<testing::Bytes> expected = testing::run_twin(contract, data);
    for (const testing::OutputCheck& check : data.outputs) {
      EXPECT_EQ(testing::compare_output((*actual)[check.binding], expected[check.binding], check), "");
    }
  }
  std::cout << contract.name << ": " << num_run << " of " << cases.size() << " cases run, " << num_skipped
            << " skipped\n";
  if (num_run == 0) GTEST_SKIP() << "no case of this kernel is supported here";
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

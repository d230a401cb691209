// Every kernel on every device against its naive twin. A new device joins by a line in device_factories(), a
// new kernel by its cases in case_table().
#include <algorithm>
#include <iostream>
#include <map>

#include "backends/cpu/cpu_device.h"
#include "compiler/interpreter_device.h"
#include "kernels/kernel_case.h"
#include "kernels/kernel_runner.h"
#include "kernels/portable_device.h"
#include "support/test_devices.h"

namespace tattletale::testing {
namespace {

struct DeviceFactory {
  std::string name;
  std::function<Result<std::unique_ptr<Device>>()> open;
  uint32_t stride = 1;  // of the suite's cases that are run
};

std::vector<DeviceFactory> device_factories() {
  std::vector<DeviceFactory> all = {{"cpu_1_thread", [] { return open_cpu_device(1); }},
                                    {"cpu_2_threads", [] { return open_cpu_device(2); }},
                                    {"cpu_3_threads", [] { return open_cpu_device(3); }}};
  // The interpreter checks every access, race and barrier; with fragments it runs the bodies for matrix
  // units, which no software driver has.
  for (const uint32_t subgroup_size : {1u, 4u, 32u}) {
    if (!is_wanted("interpreter")) break;
    all.push_back({"interpreter_" + std::to_string(subgroup_size),
                   [subgroup_size]() -> Result<std::unique_ptr<Device>> {
                     ir::TargetInfo target = compiler::interpreter_target(subgroup_size);
                     target.max_shared_bytes = 227 << 10;
                     return make_portable_device(compiler::open_interpreter_device(target),
                                                 {.use_disk_cache = false});
                   }});
  }
  for (const DeviceListing& listed : list_test_devices()) {
    if (listed.backend == "cpu") continue;
    // PoCL takes a second for each program: there the suite is thinned out, unless all of it is asked for.
    const bool thin =
        listed.backend == "opencl" && listed.is_cpu && std::getenv("TATTLETALE_TEST_ALL") == nullptr;
    all.push_back(
        {test_name(listed), [device = listed.device] { return open_device(device, 0); }, thin ? 5u : 1u});
  }
  return all;
}

std::map<std::string, std::vector<KernelCase> (*)()> case_table() {
  return {{"argmax", argmax_cases},
          {"embed", embed_cases},
          {"rms_norm", rms_norm_cases},
          {"linear", linear_cases},
          {"rope_append", rope_append_cases},
          {"gather_rows", gather_rows_cases},
          {"paged_attention", paged_attention_cases},
          {"copy_kv_rows", copy_kv_rows_cases}};
}

struct Target {
  DeviceFactory device;
  const KernelContract* contract;
};

class Conformance : public ::testing::TestWithParam<Target> {};

TEST_P(Conformance, MatchesTwin) {
  const KernelContract& contract = *GetParam().contract;
  Result<std::unique_ptr<Device>> device = GetParam().device.open();
  ASSERT_TRUE(device) << device.error().message();
  uint32_t num_run = 0;
  uint32_t num_skipped = 0;
  const auto table = case_table();
  const std::vector<KernelCase> cases = table.at(std::string(contract.name))();
  const uint32_t stride = GetParam().device.stride;
  if (stride > 1) std::cout << "one case in " << stride << " of " << cases.size() << " is run here\n";
  for (size_t i = 0; i < cases.size(); i += stride) {
    const KernelCase& test = cases[i];
    SCOPED_TRACE(test.name);
    const LaunchData data = test.make();
    ASSERT_EQ(data.comptime.size(), contract.comptime_bytes);
    ASSERT_EQ(data.params.size(), contract.params_bytes);
    ASSERT_EQ(data.bindings.size(), contract.num_bindings);
    ASSERT_FALSE(data.outputs.empty());
    Result<std::vector<Bytes>> actual = run_on_device(**device, contract, data);
    if (!actual && actual.error().kind == ErrorKind::unsupported) {
      constexpr uint32_t kNamed = 3;
      if (++num_skipped <= kNamed)
        std::cout << "skipped: " << test.name << ": " << actual.error().message() << "\n";
      continue;
    }
    ASSERT_TRUE(actual) << actual.error().message();
    ++num_run;
    const std::vector<Bytes> expected = run_twin(contract, data);
    for (const OutputCheck& check : data.outputs) {
      const std::string fault = compare_output((*actual)[check.binding], expected[check.binding], check);
      EXPECT_EQ(fault, "") << "binding " << check.binding;
    }
  }
  std::cout << contract.name << " on " << GetParam().device.name << ": " << num_run << " cases run, "
            << num_skipped << " skipped\n";
  EXPECT_EQ((*device)->allocated_bytes(), 0u);
  if (num_run == 0) GTEST_SKIP() << "no case of this kernel is supported here";
}

std::vector<Target> targets() {
  std::vector<Target> all;
  for (const DeviceFactory& device : device_factories()) {
    for (const KernelContract* contract : all_kernel_contracts()) all.push_back({device, contract});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Conformance, ::testing::ValuesIn(targets()), [](const auto& test) {
  return test.param.device.name + "_" + std::string(test.param.contract->name);
});

TEST(ConformanceSuite, EveryKernelHasCasesAndItsOutputsAreWritten) {
  const auto table = case_table();
  for (const KernelContract* contract : all_kernel_contracts()) {
    ASSERT_TRUE(table.contains(std::string(contract->name))) << contract->name << " has no cases";
    const std::vector<KernelCase> cases = table.at(std::string(contract->name))();
    ASSERT_FALSE(cases.empty()) << contract->name;
    uint32_t checked = 0;
    for (const OutputCheck& check : cases.front().make().outputs) checked |= 1u << check.binding;
    EXPECT_EQ(checked, contract->writes_mask) << contract->name << ": cases must check every written binding";
  }
}

TEST(ConformanceSuite, ComparisonSeesWrongElements) {
  const OutputCheck check{
      .binding = 0, .dtype = DType::f32, .tolerance = {.relative = 1e-3, .absolute = 0.0}};
  const Bytes expected = bytes_of(std::vector<float>{1.0f, 2.0f, NAN});
  EXPECT_EQ(compare_output(bytes_of(std::vector<float>{1.0005f, 2.0f, NAN}), expected, check), "");
  EXPECT_NE(compare_output(bytes_of(std::vector<float>{1.002f, 2.0f, NAN}), expected, check), "");
  EXPECT_NE(compare_output(bytes_of(std::vector<float>{1.0f, NAN, NAN}), expected, check), "");
  EXPECT_NE(compare_output(bytes_of(std::vector<float>{1.0f, 2.0f, 0.0f}), expected, check), "");
  EXPECT_NE(compare_output(bytes_of(std::vector<float>{1.0f, INFINITY, NAN}), expected, check), "");
}

}  // namespace
}  // namespace tattletale::testing

// Every kernel on every device against its naive twin. A new device joins by a line in device_factories(), a
// new kernel by its cases in kernels/conformance.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>

#include "backends/cpu/cpu_device.h"
#include "compiler/interpreter_device.h"
#include "kernels/conformance/suite.h"
#include "kernels/portable_device.h"
#include "support/test_devices.h"

namespace tattletale::conformance {
namespace {

using tattletale::testing::is_wanted;
using tattletale::testing::list_test_devices;
using tattletale::testing::test_name;

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

struct Target {
  DeviceFactory device;
  const KernelContract* contract;
};

class Conformance : public ::testing::TestWithParam<Target> {};

TEST_P(Conformance, MatchesTwin) {
  const KernelContract& contract = *GetParam().contract;
  Result<std::unique_ptr<Device>> device = GetParam().device.open();
  ASSERT_TRUE(device) << device.error().message();
  const uint32_t stride = GetParam().device.stride;
  if (stride > 1) std::cout << "one case in " << stride << " is run here\n";
  const SuiteReport report = run_suite(**device, contract, {.stride = stride});
  EXPECT_GT(report.num_cases, 0u);
  EXPECT_EQ(report.num_failed, 0u);
  for (const CaseFailure& failure : report.failures)
    ADD_FAILURE() << failure.case_name << ": " << failure.what;
  ASSERT_FALSE(report.stopped) << report.stopped->message();
  for (const auto& [reason, skip] : report.skipped) {
    std::cout << "skipped " << skip.count << " cases: " << reason << "; the first: " << skip.first_case
              << "\n";
  }
  std::cout << contract.name << " on " << GetParam().device.name << ": " << report.num_run << " cases run, "
            << report.num_skipped << " skipped\n";
  EXPECT_EQ((*device)->allocated_bytes(), 0u);
  if (report.num_run == 0) GTEST_SKIP() << "no case of this kernel is supported here";
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
  for (const KernelContract* contract : all_kernel_contracts()) {
    const std::vector<KernelCase> cases = cases_of(*contract);
    ASSERT_FALSE(cases.empty()) << contract->name << " has no cases";
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

TEST(ConformanceSuite, BytesAreComparedOneByOne) {
  const OutputCheck check{.binding = 0, .dtype = DType::i8};
  const Bytes expected = {std::byte{1}, std::byte{2}, std::byte{0xff}};
  EXPECT_EQ(compare_output(expected, expected, check), "");
  Bytes other = expected;
  other[2] = std::byte{0xfe};
  const std::optional<Mismatch> found = find_mismatch(other, expected, check);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->element, 2u);
  EXPECT_EQ(found->got, -2.0);
  EXPECT_EQ(found->expected, -1.0);
}

}  // namespace
}  // namespace tattletale::conformance

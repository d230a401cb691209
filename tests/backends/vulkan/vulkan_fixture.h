// What the tests of this backend share: every Vulkan device of the machine, and short ways to use one.
// Software drivers that the loader would not find by itself (SwiftShader, which comes with chromium) are
// added.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "backends/vulkan/vulkan_device.h"
#include "backends/vulkan/vulkan_physical.h"
#include "ir/lang.h"
#include "support/device_use.h"

namespace tattletale::test {

/// list_vulkan_devices() with the added drivers, less those that TT_VULKAN_DEVICE (part of a name) leaves
/// out.
const std::vector<std::pair<uint32_t, VulkanDeviceInfo>>& vulkan_devices();

/// Number `place` of vulkan_devices() with what `change` made of its description; null when that says false.
std::unique_ptr<compiler::ProgramDevice> open_changed(
    size_t place, const std::function<bool(vulkan::PhysicalDevice&)>& change);

/// A test over one device; the parameter is its place in vulkan_devices().
class VulkanTest : public testing::TestWithParam<size_t>, protected DeviceUse {
 protected:
  void SetUp() override;

  compiler::ProgramDevice& device() override { return *device_; }
  /// Compiles and loads; where spirv-val knows the module's features it must find it valid.
  KernelId load(const ir::Kernel& kernel);
  /// One dispatch, waited for.
  void run(const Dispatch& dispatch);

  std::unique_ptr<compiler::ProgramDevice> device_;
};

std::string device_test_name(const testing::TestParamInfo<size_t>& info);

/// Instantiates a fixture derived from VulkanTest over all devices.
#define TT_FOR_ALL_VULKAN_DEVICES(fixture)                                                         \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(fixture);                                          \
  INSTANTIATE_TEST_SUITE_P(Devices, fixture,                                                       \
                           testing::Range(size_t{0}, ::tattletale::test::vulkan_devices().size()), \
                           ::tattletale::test::device_test_name)

}  // namespace tattletale::test

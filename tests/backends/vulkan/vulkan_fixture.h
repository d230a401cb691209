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

namespace tattletale::test {

/// list_vulkan_devices() with the added drivers, less those that TT_VULKAN_DEVICE (part of a name) leaves
/// out.
const std::vector<std::pair<uint32_t, VulkanDeviceInfo>>& vulkan_devices();

/// Number `place` of vulkan_devices() with what `change` made of its description; null when that says false.
std::unique_ptr<compiler::ProgramDevice> open_changed(
    size_t place, const std::function<bool(vulkan::PhysicalDevice&)>& change);

/// A test over one device; the parameter is its place in vulkan_devices().
class VulkanTest : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override;

  compiler::ProgramDevice& device() { return *device_; }
  const ir::TargetInfo& target() { return device_->target(); }

  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return std::move(*result);
  }
  static void must(Result<void> result) {
    if (!result) throw std::runtime_error(result.error().message());
  }

  BufferId make_buffer(uint64_t size_bytes) { return must(device().create_buffer(size_bytes, "test")); }
  template <class T>
  BufferId make_buffer(const std::vector<T>& values) {
    const BufferId buffer = make_buffer(values.size() * sizeof(T));
    must(device().write(buffer, 0, std::as_bytes(std::span(values))));
    return buffer;
  }
  template <class T>
  std::vector<T> read(BufferId buffer, size_t count, uint64_t offset_bytes = 0) {
    std::vector<T> values(count);
    const BufferSlice slice{buffer, offset_bytes, count * sizeof(T)};
    must(device().wait(must(device().read(slice, std::as_writable_bytes(std::span(values))))));
    return values;
  }
  /// Compiles and loads; where spirv-val knows the module's features it must find it valid.
  KernelId load(const ir::Kernel& kernel);
  /// One dispatch, waited for.
  void run(const Dispatch& dispatch);

  std::unique_ptr<compiler::ProgramDevice> device_;
};

template <class... Words>
Dispatch dispatch_of(KernelId kernel, uint32_t workgroups, std::initializer_list<BufferSlice> bindings,
                     Words... words) {
  Dispatch dispatch;
  dispatch.kernel = kernel;
  dispatch.workgroups = {workgroups, 1, 1};
  for (const BufferSlice& slice : bindings) dispatch.bindings[dispatch.num_bindings++] = slice;
  if constexpr (sizeof...(Words) > 0) {
    dispatch.set_params(std::array<uint32_t, sizeof...(Words)>{std::bit_cast<uint32_t>(words)...});
  }
  return dispatch;
}

std::string device_test_name(const testing::TestParamInfo<size_t>& info);

/// Instantiates a fixture derived from VulkanTest over all devices.
#define TT_FOR_ALL_VULKAN_DEVICES(fixture)                                                         \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(fixture);                                          \
  INSTANTIATE_TEST_SUITE_P(Devices, fixture,                                                       \
                           testing::Range(size_t{0}, ::tattletale::test::vulkan_devices().size()), \
                           ::tattletale::test::device_test_name)

}  // namespace tattletale::test

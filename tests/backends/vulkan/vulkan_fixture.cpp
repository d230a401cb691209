#include "backends/vulkan/vulkan_fixture.h"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "backends/vulkan/spirv_check.h"
#include "backends/vulkan/vulkan_program_device.h"

namespace tattletale::test {

const std::vector<std::pair<uint32_t, VulkanDeviceInfo>>& vulkan_devices() {
  static const auto devices = [] {
    const char* swiftshader = "/usr/lib/chromium/vk_swiftshader_icd.json";
    if (std::filesystem::exists(swiftshader)) setenv("VK_ADD_DRIVER_FILES", swiftshader, /*replace=*/0);
    const char* wanted = std::getenv("TT_VULKAN_DEVICE");
    std::vector<std::pair<uint32_t, VulkanDeviceInfo>> chosen;
    const std::vector<VulkanDeviceInfo> all = list_vulkan_devices();
    for (uint32_t i = 0; i < all.size(); ++i) {
      if (wanted == nullptr || all[i].name.find(wanted) != std::string::npos) chosen.emplace_back(i, all[i]);
    }
    return chosen;
  }();
  return devices;
}

std::unique_ptr<compiler::ProgramDevice> open_changed(
    size_t place, const std::function<bool(vulkan::PhysicalDevice&)>& change) {
  auto instance = vulkan::Instance::open().value();
  std::vector<vulkan::PhysicalDevice> usable;
  for (vulkan::PhysicalDevice& physical : vulkan::describe_all(*instance).value()) {
    if (physical.missing.empty()) usable.push_back(std::move(physical));
  }
  vulkan::PhysicalDevice physical = usable.at(vulkan_devices()[place].first);
  if (!change(physical)) return nullptr;
  auto device = vulkan::VulkanProgramDevice::open(std::move(instance), std::move(physical));
  if (!device) throw std::runtime_error(device.error().message());
  return std::move(*device);
}

std::string device_test_name(const testing::TestParamInfo<size_t>& info) {
  std::string name = std::to_string(info.param);
  for (const char c : vulkan_devices()[info.param].second.name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
    if (c == '(') break;  // versions change with every update
  }
  return name;
}

void VulkanTest::SetUp() {
  device_ = must(open_vulkan_program_device(vulkan_devices()[GetParam()].first));
}

KernelId VulkanTest::load(const ir::Kernel& kernel) {
  const KernelBinary binary = must(device().compile(kernel));
  std::vector<uint32_t> words(binary.code.size() / 4);
  std::memcpy(words.data(), binary.code.data(), binary.code.size());
  EXPECT_EQ(check_structure(words), "");
  const bool has_fragments = kernel.name.find("fragment") != std::string::npos;
  if (spirv_val_year() > (has_fragments ? 2024 : 0)) EXPECT_EQ(spirv_val(words), "") << kernel.name;
  return must(device().load(binary));
}

void VulkanTest::run(const Dispatch& dispatch) {
  CommandList list;
  list.dispatch(dispatch);
  must(device().wait(must(device().submit(list))));
}

/// Says so, and counts as skipped, when no device is there to test.
TEST(VulkanDevices, AtLeastOneIsThere) {
  for (const auto& [index, info] : vulkan_devices()) {
    std::printf("Vulkan device %u: %s (%s), %llu MiB\n", index, info.name.c_str(), info.driver.c_str(),
                static_cast<unsigned long long>(info.memory_bytes >> 20));
  }
  if (vulkan_devices().empty()) {
    const auto opened = open_vulkan_program_device(0);
    ASSERT_FALSE(opened);
    GTEST_SKIP() << opened.error().message();
  }
  SUCCEED();
}

}  // namespace tattletale::test

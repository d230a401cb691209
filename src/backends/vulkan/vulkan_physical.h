// What one Vulkan device can do, as the compiler and the engine want to know it, and the creation of a
// logical device with exactly the features in use. Robust buffer access stays off: kernels keep to their
// bounds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/vulkan/spirv_writer.h"
#include "backends/vulkan/vulkan_instance.h"
#include "device/device.h"
#include "ir/target_info.h"

namespace tattletale::vulkan {

struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
  std::string missing;        // the required features that it lacks; empty when it can be used
  std::string driver;         // name and version in words
  std::string identity;       // device, driver and pipeline cache UUID: what a compiled program depends on
  uint64_t memory_bytes = 0;  // of the largest device-local heap
  uint32_t queue_family = 0;
  uint32_t min_subgroup_size = 0, max_subgroup_size = 0;
  std::array<uint32_t, 3> max_workgroups{};
  VkPhysicalDeviceMemoryProperties memory{};
  std::vector<const char*> extensions;  // to enable
  SpirvFeatures features;
  Caps caps;
  ir::TargetInfo target;
};

PhysicalDevice describe(const Instance& instance, VkPhysicalDevice handle);

/// All devices of the instance, graphics processors before software, in the loader's order otherwise.
Result<std::vector<PhysicalDevice>> describe_all(const Instance& instance);

Result<VkDevice> create_device(const Instance& instance, const PhysicalDevice& device);

}  // namespace tattletale::vulkan

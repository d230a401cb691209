// The Vulkan backend: which devices there are, and one of them as a ProgramDevice. The driver is loaded at
// run time; a machine without one gets an empty list and an error that says what to install.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compiler/program_device.h"

namespace tattletale {

struct VulkanDeviceInfo {
  std::string name;
  std::string driver;  // name and version
  uint64_t memory_bytes = 0;
  bool is_cpu = false;
};

/// The devices that this backend can use, graphics processors first; empty without driver or loader.
std::vector<VulkanDeviceInfo> list_vulkan_devices();

/// Opens number `index` of list_vulkan_devices(). Errors: not_found without a loader, driver or device of
/// that number; unsupported naming what the devices lack.
Result<std::unique_ptr<compiler::ProgramDevice>> open_vulkan_program_device(uint32_t index);

}  // namespace tattletale

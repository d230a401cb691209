// What an OpenCL device says of itself, read once: identity, limits, and the TargetInfo that follows from
// them.
#pragma once

#include <string>
#include <vector>

#include "backends/opencl/opencl_api.h"
#include "backends/opencl/opencl_device.h"
#include "device/device.h"

namespace tattletale::opencl {

struct DeviceFacts {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  std::string name, platform_name, platform_version, driver_version, vendor;
  uint64_t memory_bytes = 0;
  uint64_t max_allocation_bytes = 0;
  uint64_t local_bytes = 0;
  size_t max_workgroup_threads = 1;
  uint32_t compute_units = 1;
  bool is_cpu = false;
  bool is_nvidia = false;           // NVIDIA's own driver, whose compiler takes inline PTX
  uint32_t compute_capability = 0;  // NVIDIA: 90 for sm_90; 0 elsewhere
};

/// Every 64-bit little-endian device that is available and has a compiler, platform by platform.
std::vector<DeviceFacts> find_devices(const OpenclApi& api);

ir::TargetInfo target_of(const DeviceFacts& facts);
Caps caps_of(const DeviceFacts& facts);

}  // namespace tattletale::opencl

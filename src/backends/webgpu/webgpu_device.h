// Finds and opens WebGPU devices through whatever library of webgpu.h this machine has.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "compiler/program_device.h"

namespace tattletale::webgpu {

struct WebgpuDeviceDescription {
  std::string name;    // the adapter's own name
  std::string driver;  // library, API below it and driver version
  bool is_cpu = false;
  uint64_t memory_bytes = 0;  // WebGPU does not tell: always 0
};

/// The devices, in the order of open_webgpu_program_device's index; empty where no library or driver is.
std::vector<WebgpuDeviceDescription> list_webgpu_devices();

/// Opens one. Errors: not_found with what was looked for and what to install; unsupported when the adapter
/// gives no device.
Result<std::unique_ptr<compiler::ProgramDevice>> open_webgpu_program_device(uint32_t index);

/// The index of the first device whose name contains `name`. Errors: not_found, listing the names.
Result<uint32_t> find_webgpu_device(const std::string& name);

}  // namespace tattletale::webgpu

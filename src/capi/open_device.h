// Devices by name: "cpu", "cuda:0", "opencl:1", "vulkan", "webgpu", "auto". The only library code that names
// backends.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/program_device.h"
#include "device/device.h"

namespace tattletale {

struct DeviceListing {
  std::string device;         // what open_device takes
  std::string backend;        // "cuda", ...
  std::string name;           // the processor's or card's own name
  std::string driver;         // instruction set or driver version
  uint64_t memory_bytes = 0;  // 0: the driver does not tell
  bool is_cpu = false;        // the CPU itself or a software driver
  uint32_t num_threads = 0;   // of the CPU
};

/// Every device of this machine, the CPU first. Never fails: a missing driver only leaves its devices out.
std::vector<DeviceListing> list_devices();

/// Opens a device. "auto" takes the first graphics processor of cuda, vulkan, opencl, webgpu, else the CPU.
/// `num_threads` is the CPU's alone. Errors: invalid_argument for a name that is none; the backend's own,
/// which say what was looked for and what to install.
Result<std::unique_ptr<Device>> open_device(std::string_view name, uint32_t num_threads);

/// The driver's side of an accelerator named as above, not "cpu" nor "auto".
Result<std::unique_ptr<compiler::ProgramDevice>> open_program_device(std::string_view name);

}  // namespace tattletale

// OpenCL devices: what there is, and opening one. Any driver of OpenCL 1.2 or later; subgroup operations,
// matrix fragments and asynchronous copies only on NVIDIA's, by inline PTX. The driver is found at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "compiler/program_device.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale {

struct OpenclDeviceDescription {
  uint32_t index = 0;  // what open_opencl_program_device takes
  std::string name;
  std::string platform;
  std::string driver_version;
  uint64_t memory_bytes = 0;
  bool is_cpu = false;
};

/// The usable devices of every platform, platform by platform; empty when there is no loader or no driver.
std::vector<OpenclDeviceDescription> list_opencl_devices();

/// Errors: unsupported when there is no loader or no driver, saying which was looked for and what to install;
/// invalid_argument when there is no device of that index, naming those there are.
Result<std::unique_ptr<compiler::ProgramDevice>> open_opencl_program_device(uint32_t index);

/// OpenCL C 1.2 for a legal kernel; needs no driver. target.subgroup_size > 1 means NVIDIA's compiler: its
/// text has inline PTX. Errors: unsupported with kernel name and source line.
Result<std::string> emit_opencl(const ir::Kernel& kernel, const ir::TargetInfo& target);

}  // namespace tattletale

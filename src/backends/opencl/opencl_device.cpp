// The backend's two entrances. See opencl_device.h.
#include "backends/opencl/opencl_device.h"

#include "backends/opencl/opencl_program_device.h"

namespace tattletale {

std::vector<OpenclDeviceDescription> list_opencl_devices() {
  const auto api = opencl::load_opencl();
  if (!api) return {};
  std::vector<OpenclDeviceDescription> descriptions;
  for (const opencl::DeviceFacts& facts : opencl::find_devices(**api)) {
    descriptions.push_back({.index = static_cast<uint32_t>(descriptions.size()),
                            .name = facts.name,
                            .platform = facts.platform_name,
                            .driver_version = facts.driver_version,
                            .memory_bytes = facts.memory_bytes,
                            .is_cpu = facts.is_cpu});
  }
  return descriptions;
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_opencl_program_device(uint32_t index) {
  TT_ASSIGN(auto api, opencl::load_opencl());
  TT_ASSIGN(std::unique_ptr<compiler::ProgramDevice> device,
            opencl::OpenclProgramDevice::open(std::move(api), index));
  return device;
}

}  // namespace tattletale

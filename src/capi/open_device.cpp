#include "capi/open_device.h"

#include <charconv>
#include <optional>

#include "backends/cpu/cpu_device.h"
#include "backends/cuda/cuda_device.h"
#include "backends/opencl/opencl_device.h"
#include "backends/vulkan/vulkan_device.h"
#include "backends/webgpu/webgpu_device.h"
#include "kernels/portable_device.h"

namespace tattletale {
namespace {

using OpenProgramDevice = Result<std::unique_ptr<compiler::ProgramDevice>> (*)(uint32_t index);

struct Backend {
  std::string_view name;
  OpenProgramDevice open;
  void (*list)(std::vector<DeviceListing>& out);
};

std::string device_name(std::string_view backend, size_t index) {
  return std::string(backend) + ":" + std::to_string(index);
}

void list_cuda(std::vector<DeviceListing>& out) {
  for (const CudaDeviceDescription& d : list_cuda_devices()) {
    out.push_back(
        {device_name("cuda", d.index), "cuda", d.name, "CUDA " + d.driver_version, d.memory_bytes, false});
  }
}
void list_opencl(std::vector<DeviceListing>& out) {
  for (const OpenclDeviceDescription& d : list_opencl_devices()) {
    out.push_back({device_name("opencl", d.index), "opencl", d.name, d.platform + " " + d.driver_version,
                   d.memory_bytes, d.is_cpu});
  }
}
void list_vulkan(std::vector<DeviceListing>& out) {
  uint32_t index = 0;
  for (const VulkanDeviceInfo& d : list_vulkan_devices()) {
    out.push_back({device_name("vulkan", index++), "vulkan", d.name, d.driver, d.memory_bytes, d.is_cpu});
  }
}
void list_webgpu(std::vector<DeviceListing>& out) {
  uint32_t index = 0;
  for (const webgpu::WebgpuDeviceDescription& d : webgpu::list_webgpu_devices()) {
    out.push_back({device_name("webgpu", index++), "webgpu", d.name, d.driver, d.memory_bytes, d.is_cpu});
  }
}

/// In the order in which "auto" tries them.
constexpr Backend kBackends[] = {
    {"cuda", open_cuda_program_device, list_cuda},
    {"vulkan", open_vulkan_program_device, list_vulkan},
    {"opencl", open_opencl_program_device, list_opencl},
    {"webgpu", webgpu::open_webgpu_program_device, list_webgpu},
};

struct DeviceName {
  const Backend* backend = nullptr;
  uint32_t index = 0;
};

std::optional<DeviceName> parse_name(std::string_view name) {
  const size_t colon = name.find(':');
  DeviceName parsed;
  for (const Backend& backend : kBackends) {
    if (backend.name == name.substr(0, colon)) parsed.backend = &backend;
  }
  if (parsed.backend == nullptr) return std::nullopt;
  if (colon == std::string_view::npos) return parsed;
  const char* end = name.data() + name.size();
  const auto [stop, fault] = std::from_chars(name.data() + colon + 1, end, parsed.index);
  if (fault != std::errc{} || stop != end) return std::nullopt;
  return parsed;
}

Error unknown_name(std::string_view name) {
  std::string all = "auto, cpu";
  for (const Backend& backend : kBackends) all += ", " + std::string(backend.name);
  return make_error(ErrorKind::invalid_argument, "device",
                    "\"" + std::string(name) + "\" is not one of: " + all +
                        "; a number may follow, as in vulkan:1. `tattletale devices` lists what is here");
}

}  // namespace

std::vector<DeviceListing> list_devices() {
  std::vector<DeviceListing> all;
  if (const Result<std::unique_ptr<Device>> cpu = open_cpu_device(0)) {
    const Caps& caps = (*cpu)->caps();
    all.push_back({"cpu", "cpu", caps.name, caps.isa, caps.max_buffer_bytes, true, caps.num_threads});
  }
  for (const Backend& backend : kBackends) backend.list(all);
  return all;
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_program_device(std::string_view name) {
  const std::optional<DeviceName> parsed = parse_name(name);
  if (!parsed) return unknown_name(name);
  return parsed->backend->open(parsed->index);
}

Result<std::unique_ptr<Device>> open_device(std::string_view name, uint32_t num_threads) {
  if (name == "cpu") return open_cpu_device(num_threads);
  if (name == "auto") {
    for (const Backend& backend : kBackends) {
      std::vector<DeviceListing> listed;
      backend.list(listed);
      for (const DeviceListing& device : listed) {
        if (!device.is_cpu) return open_device(device.device, num_threads);
      }
    }
    return open_cpu_device(num_threads);
  }
  TT_ASSIGN(std::unique_ptr<compiler::ProgramDevice> programs, open_program_device(name));
  return make_portable_device(std::move(programs), PortableOptions{});
}

}  // namespace tattletale

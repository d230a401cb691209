#include "backends/webgpu/webgpu_device.h"

#include "backends/webgpu/webgpu_probe.h"

namespace tattletale::webgpu {

std::vector<WebgpuDeviceDescription> list_webgpu_devices() {
  std::vector<WebgpuDeviceDescription> out;
  const Result<std::vector<AdapterDescription>> adapters = list_adapters();
  if (!adapters) return out;
  for (const AdapterDescription& adapter : *adapters) {
    out.push_back(
        {.name = adapter.name, .driver = adapter.backend + ", " + adapter.driver, .is_cpu = adapter.is_cpu});
  }
  return out;
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_webgpu_program_device(uint32_t index) {
  TT_ASSIGN(std::unique_ptr<WebgpuContext> context, WebgpuContext::open(index));
  auto device = std::make_unique<WebgpuProgramDevice>(std::move(context));
  TT_TRY(probe(*device));
  return std::unique_ptr<compiler::ProgramDevice>(std::move(device));
}

Result<uint32_t> find_webgpu_device(const std::string& name) {
  TT_ASSIGN(const std::vector<AdapterDescription> adapters, list_adapters());
  std::string names;
  for (uint32_t i = 0; i < adapters.size(); ++i) {
    if (adapters[i].name.find(name) != std::string::npos) return i;
    names += (names.empty() ? "" : ", ") + adapters[i].name;
  }
  return make_error(ErrorKind::not_found, "webgpu",
                    "no adapter's name contains \"" + name + "\"; there are: " + names);
}

}  // namespace tattletale::webgpu

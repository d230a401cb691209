#include "backends/cuda/cuda_device.h"

#include "backends/cuda/cuda_api.h"
#include "backends/cuda/cuda_dialect.h"
#include "backends/cuda/cuda_program_device.h"

namespace tattletale {

std::vector<CudaDeviceDescription> list_cuda_devices() {
  std::vector<CudaDeviceDescription> found;
  const auto api = cuda::load_cuda_api();
  int count = 0, version = 0;
  if (!api || (*api)->device_count(&count) != cuda::kSuccess) return found;
  (*api)->driver_version(&version);
  for (int index = 0; index < count; ++index) {
    cuda::CUdevice device = 0;
    char name[256] = {};
    size_t memory_bytes = 0;
    int major = 0, minor = 0, processors = 0;
    if ((*api)->device_get(&device, index) != cuda::kSuccess) continue;
    (*api)->device_name(name, sizeof name - 1, device);
    (*api)->device_total_memory(&memory_bytes, device);
    (*api)->device_attribute(&major, cuda::kAttributeCapabilityMajor, device);
    (*api)->device_attribute(&minor, cuda::kAttributeCapabilityMinor, device);
    (*api)->device_attribute(&processors, cuda::kAttributeMultiprocessorCount, device);
    found.push_back({static_cast<uint32_t>(index), name, static_cast<uint32_t>(major * 10 + minor),
                     static_cast<uint32_t>(processors), memory_bytes, cuda::version_text(version)});
  }
  return found;
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_cuda_program_device(uint32_t index,
                                                                          const CudaOptions& options) {
  TT_ASSIGN(auto api, cuda::load_cuda_api());
  TT_ASSIGN(auto device, cuda::CudaProgramDevice::open(std::move(api), index, options));
  return std::unique_ptr<compiler::ProgramDevice>(std::move(device));
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_cuda_program_device(uint32_t index) {
  return open_cuda_program_device(index, CudaOptions{});
}

Result<std::string> emit_cuda(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  TT_ASSIGN(compiler::CSource source, cuda::print_cuda(kernel, target));
  return std::move(source.text);
}

}  // namespace tattletale

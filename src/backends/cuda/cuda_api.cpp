#include "backends/cuda/cuda_api.h"

#include "backends/cuda/shared_library.h"

namespace tattletale::cuda {
namespace {

struct LoadedApi {
  SharedLibrary library{"libcuda.so.1"};
  CudaApi api;
};

}  // namespace

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

bool is_device_lost(CUresult result) {
  switch (result) {
    case 46:   // DEVICE_UNAVAILABLE
    case 214:  // ECC_UNCORRECTABLE
    case 220:  // NVLINK_UNCORRECTABLE
    case 226:  // CONTAINED
    case 700:  // ILLEGAL_ADDRESS
    case 702:  // LAUNCH_TIMEOUT
    case 709:  // CONTEXT_IS_DESTROYED
    case 710:  // ASSERT
    case 714:  // HARDWARE_STACK_ERROR
    case 715:  // ILLEGAL_INSTRUCTION
    case 716:  // MISALIGNED_ADDRESS
    case 717:  // INVALID_ADDRESS_SPACE
    case 718:  // INVALID_PC
    case 719:  // LAUNCH_FAILED
    case 999:  // UNKNOWN
      return true;
    default: return false;
  }
}

std::string CudaApi::text_of(CUresult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (error_name) error_name(result, &name);
  if (error_string) error_string(result, &text);
  if (!name) return "CUDA error " + std::to_string(result);
  return std::string(name) + (text ? " (" + std::string(text) + ")" : "");
}

Error CudaApi::error(CUresult result, const std::string& where, const std::string& call) const {
  const ErrorKind kind = result == kOutOfMemory   ? ErrorKind::out_of_memory
                         : is_device_lost(result) ? ErrorKind::device_lost
                                                  : ErrorKind::internal;
  return make_error(kind, where, call + ": " + text_of(result));
}

Result<std::shared_ptr<const CudaApi>> load_cuda_api() {
  auto loaded = std::make_shared<LoadedApi>();
  if (!loaded->library.is_open()) {
    return make_error(ErrorKind::not_found, "cuda",
                      "no NVIDIA driver: " + loaded->library.error() +
                          ". Install NVIDIA's driver, version 525 or later (Debian: nvidia-driver), and in a "
                          "container pass the GPU through");
  }
  CudaApi& api = loaded->api;
  const auto too_old = [](const std::string& found) {
    return make_error(ErrorKind::unsupported, "cuda",
                      "the NVIDIA driver is too old: " + found + ", needed is CUDA " +
                          version_text(kMinDriverVersion) + " (driver 525) or later. Update the driver");
  };
  // The version first: it says more than the name of a function that an old driver lacks.
  int version = 0;
  if (loaded->library.find(api.driver_version, "cuDriverGetVersion") &&
      api.driver_version(&version) == kSuccess && version < kMinDriverVersion) {
    return too_old("it supports CUDA " + version_text(version));
  }
#define TT_CUDA_FIND(name, symbol, arguments) \
  if (!loaded->library.find(api.name, symbol)) return too_old("it has no " symbol);
  TT_CUDA_FUNCTIONS(TT_CUDA_FIND)
#undef TT_CUDA_FIND
#define TT_CUDA_FIND(name, symbol, arguments) loaded->library.find(api.name, symbol);
  TT_CUDA_OPTIONAL_FUNCTIONS(TT_CUDA_FIND)
#undef TT_CUDA_FIND
  if (const CUresult result = api.init(0); result != kSuccess) {
    return make_error(ErrorKind::not_found, "cuda",
                      "the NVIDIA driver (CUDA " + version_text(version) +
                          ") does not start: cuInit: " + api.text_of(result) +
                          ". Is there a GPU, and is the kernel module of the same version loaded?");
  }
  return std::shared_ptr<const CudaApi>(loaded, &loaded->api);
}

}  // namespace tattletale::cuda

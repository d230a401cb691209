// NVIDIA devices through their own driver: what there is, opening one, and kernels as CUDA C++.
// Needs a driver of CUDA 12.0 or later and a card of compute capability 8.0 or later; compiling also needs
// NVRTC (nvrtc.h). Both are found while the program runs; nothing here links against them.
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

struct CudaDeviceDescription {
  uint32_t index = 0;  // what open_cuda_program_device takes
  std::string name;
  uint32_t compute_capability = 0;  // 90 for 9.0
  uint32_t num_processors = 0;      // streaming multiprocessors
  uint64_t memory_bytes = 0;
  std::string driver_version;  // the CUDA version the driver supports, "13.0"
};

/// Every NVIDIA card the driver shows, also those too old to be opened; empty where there is no driver.
std::vector<CudaDeviceDescription> list_cuda_devices();

struct CudaOptions {
  /// Kernels of a recorded list are launched while the one in front of them still runs, and wait on the card
  /// (programmatic dependent launch). Compute capability 9.0, driver of CUDA 12.3; elsewhere no difference.
  bool overlap_launches = true;
};

/// Errors: not_found when there is no driver or no such card, unsupported when driver or card is too old,
/// out_of_memory; each says what was found and what to install.
Result<std::unique_ptr<compiler::ProgramDevice>> open_cuda_program_device(uint32_t index);
Result<std::unique_ptr<compiler::ProgramDevice>> open_cuda_program_device(uint32_t index,
                                                                          const CudaOptions& options);

/// CUDA C++ for a legal kernel; needs no driver. Errors: unsupported with kernel name and source line.
Result<std::string> emit_cuda(const ir::Kernel& kernel, const ir::TargetInfo& target);

}  // namespace tattletale

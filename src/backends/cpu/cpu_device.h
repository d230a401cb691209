// The CPU as a device: buffers are aligned host memory, kernels are built in, submit runs the list at once.
#pragma once

#include <cstdint>
#include <memory>

#include "device/device.h"

namespace tattletale {

/// Opens the CPU. `num_threads` 0 means one per core (as the system counts them) the process may run on.
/// Errors: invalid_argument past 1024 threads.
Result<std::unique_ptr<Device>> open_cpu_device(uint32_t num_threads);

}  // namespace tattletale

// Measures on the device what WebGPU leaves open and the emitted text relies on: subgroup size and order,
// the rounding of packs, subnormals of unpacks, the error of exp2. A few small programs when a device is
// opened.
#pragma once

#include "backends/webgpu/webgpu_program_device.h"

namespace tattletale::webgpu {

/// Runs the probes and sets the device's target and dialect. A fact that cannot be measured is taken to be
/// absent. Errors: device_lost and out_of_memory only.
Result<void> probe(WebgpuProgramDevice& device);

}  // namespace tattletale::webgpu

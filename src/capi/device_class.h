// Kinds of devices by name ("sm_90", "vulkan-minimum"), for making program texts with no such device and no
// driver at hand. What a real device offers may differ; these are round numbers of its kind.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ir/target_info.h"

namespace tattletale {

struct DeviceClass {
  std::string_view name;
  std::string_view target;  // the text it takes: "cuda", "opencl", "spirv" or "wgsl"
  ir::TargetInfo (*info)();
};

/// The first of each target is its default.
std::span<const DeviceClass> device_classes();

}  // namespace tattletale

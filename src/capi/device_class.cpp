#include "capi/device_class.h"

#include "backends/cuda/cuda_dialect.h"

namespace tattletale {
namespace {

template <uint32_t kCapability, uint32_t kProcessors>
ir::TargetInfo cuda_class() {
  ir::TargetInfo info = cuda::cuda_target_info(kCapability);
  info.num_processors = kProcessors;  // of the largest card that was sold in numbers
  return info;
}

ir::TargetInfo opencl_minimum() {
  // OpenCL 1.2, table 4.3: 32 KiB of local memory; 256 work-items is what every GPU has.
  return {.name = "opencl", .max_shared_bytes = 32768, .num_processors = 16};
}

ir::TargetInfo opencl_nvidia() {
  ir::TargetInfo info = opencl_minimum();
  info.subgroup_size = 32;  // by inline PTX
  info.max_workgroup_threads = 1024;
  info.max_shared_bytes = 49152;
  info.num_processors = 132;
  info.f16x2 = true;
  info.dot4_i8 = true;
  info.async_copy = true;
  info.f16_fragments = ir::FragmentTier::transparent;
  info.bf16_fragments = ir::FragmentTier::transparent;
  return info;
}

ir::TargetInfo vulkan_minimum() {
  // Vulkan 1.3 with the Roadmap 2022 profile's 256 invocations, and no subgroup operation.
  return {.name = "vulkan", .max_shared_bytes = 16384, .num_processors = 16};
}

ir::TargetInfo vulkan_desktop() {
  ir::TargetInfo info = vulkan_minimum();
  info.subgroup_size = 32;
  info.max_workgroup_threads = 1024;
  info.max_shared_bytes = 32768;
  info.dot4_i8 = true;
  return info;
}

ir::TargetInfo webgpu_minimum() {
  // The default limits of WebGPU, section 3.6.2 "Limits"; no feature.
  return {.name = "webgpu", .max_shared_bytes = 16384, .num_processors = 16};
}

ir::TargetInfo webgpu_subgroups() {
  ir::TargetInfo info = webgpu_minimum();
  info.subgroup_size = 32;
  info.dot4_i8 = true;
  return info;
}

constexpr DeviceClass kClasses[] = {
    {"sm_90", "cuda", cuda_class<90, 132>},      {"sm_80", "cuda", cuda_class<80, 108>},
    {"sm_86", "cuda", cuda_class<86, 84>},       {"sm_89", "cuda", cuda_class<89, 128>},
    {"sm_100", "cuda", cuda_class<100, 148>},    {"sm_120", "cuda", cuda_class<120, 170>},
    {"opencl", "opencl", opencl_minimum},        {"opencl-nvidia", "opencl", opencl_nvidia},
    {"vulkan-minimum", "spirv", vulkan_minimum}, {"vulkan-desktop", "spirv", vulkan_desktop},
    {"webgpu-minimum", "wgsl", webgpu_minimum},  {"webgpu-subgroups", "wgsl", webgpu_subgroups},
};

}  // namespace

std::span<const DeviceClass> device_classes() {
  return kClasses;
}

}  // namespace tattletale

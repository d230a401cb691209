#include "backends/vulkan/vulkan_physical.h"

#include <algorithm>
#include <set>
#include <thread>

#include "backends/vulkan/vulkan_extensions.h"

namespace tattletale::vulkan {
namespace {

constexpr uint64_t kNarrowBytes = uint64_t{1} << 32;  // offsets of 32 bits reach so far
constexpr uint32_t kMaxThreads = 1024;                // larger workgroups help no kernel here

/// The chain of feature structures: filled by a query, or by hand for creation.
struct FeatureChain {
  VkPhysicalDeviceFeatures2 base{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features v13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR workgroup{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR};
  CooperativeMatrixFeatures matrix;
  Bfloat16Features bfloat16;

  /// Structures of extensions that the device lacks stay out of the chain.
  void link(bool with_workgroup, bool with_matrix, bool with_bfloat16) {
    base.pNext = &v11;
    v11.pNext = &v12;
    v12.pNext = &v13;
    void** end = &v13.pNext;
    if (with_workgroup) {
      *end = &workgroup;
      end = &workgroup.pNext;
    }
    if (with_matrix) {
      *end = &matrix;
      end = &matrix.next;
    }
    if (with_bfloat16) *end = &bfloat16;
  }
};

struct PropertyChain {
  VkPhysicalDeviceProperties2 base{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  VkPhysicalDeviceVulkan11Properties v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
  VkPhysicalDeviceVulkan13Properties v13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES};
  VkPhysicalDeviceShaderSMBuiltinsPropertiesNV processors{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
};

std::set<std::string, std::less<>> extensions_of(const Instance& instance, VkPhysicalDevice handle) {
  uint32_t count = 0;
  instance.call().vkEnumerateDeviceExtensionProperties(handle, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> list(count);
  instance.call().vkEnumerateDeviceExtensionProperties(handle, nullptr, &count, list.data());
  std::set<std::string, std::less<>> names;
  for (const VkExtensionProperties& extension : list) names.emplace(extension.extensionName);
  return names;
}

/// A family for compute, without graphics where there is one: it does not share its queue with a display.
std::optional<uint32_t> compute_family(const Instance& instance, VkPhysicalDevice handle) {
  uint32_t count = 0;
  instance.call().vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  instance.call().vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, families.data());
  std::optional<uint32_t> best;
  for (uint32_t i = 0; i < count; ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    if ((flags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) continue;
    if ((flags & VK_QUEUE_GRAPHICS_BIT) == 0) return i;
    if (!best) best = i;
  }
  return best;
}

std::string missing_features(const FeatureChain& chain, uint32_t api_version, bool has_queue) {
  if (api_version < VK_API_VERSION_1_3) return "Vulkan 1.3";
  if (!has_queue) return "a compute queue";
  if (!chain.v12.bufferDeviceAddress) return "bufferDeviceAddress";
  if (!chain.v12.timelineSemaphore) return "timelineSemaphore";
  if (!chain.v12.vulkanMemoryModel) return "vulkanMemoryModel";
  return "";
}

struct MatrixKinds {
  bool f16 = false;
  bool bf16 = false;
};

/// Whether 16x16x16 products with f32 sums are there at subgroup scope.
MatrixKinds matrix_kinds(const Instance& instance, VkPhysicalDevice handle) {
  const auto query = reinterpret_cast<GetCooperativeMatrixShapes>(
      instance.function("vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  MatrixKinds kinds;
  if (query == nullptr) return kinds;
  uint32_t count = 0;
  if (query(handle, &count, nullptr) != VK_SUCCESS) return kinds;
  std::vector<CooperativeMatrixShape> shapes(count);
  if (query(handle, &count, shapes.data()) != VK_SUCCESS) return kinds;
  for (const CooperativeMatrixShape& shape : shapes) {
    if (shape.m != 16 || shape.n != 16 || shape.k != 16 || shape.scope != kScopeSubgroup) continue;
    if (shape.a_type != shape.b_type || shape.c_type != kComponentFloat32) continue;
    if (shape.result_type != kComponentFloat32) continue;
    kinds.f16 |= shape.a_type == kComponentFloat16;
    kinds.bf16 |= shape.a_type == kComponentBfloat16;
  }
  return kinds;
}

std::string hex(const uint8_t* bytes, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

void fill_target(PhysicalDevice& device, const PropertyChain& properties) {
  const VkPhysicalDeviceLimits& limits = properties.base.properties.limits;
  constexpr VkSubgroupFeatureFlags kNeeded = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
                                             VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                             VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  const bool subgroups = (properties.v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                         (properties.v11.subgroupSupportedOperations & kNeeded) == kNeeded;
  ir::TargetInfo& target = device.target;
  target.name = "vulkan";
  target.is_cpu = device.type == VK_PHYSICAL_DEVICE_TYPE_CPU;
  target.subgroup_size = subgroups ? properties.v11.subgroupSize : 1;
  target.max_workgroup_threads =
      std::min({kMaxThreads, limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]});
  target.max_shared_bytes = limits.maxComputeSharedMemorySize;
  target.max_bindings = kMaxBindings;
  target.max_binding_bytes = device.caps.max_binding_bytes;
  target.num_processors = properties.processors.shaderSMCount != 0 ? properties.processors.shaderSMCount
                          : target.is_cpu ? std::max(1u, std::thread::hardware_concurrency())
                                          : 16;
  target.f16x2 = device.features.float16 && !target.is_cpu;  // software computes halves one by one
  target.dot4_i8 = device.features.packed_dot;
  const auto tier = [](bool there) { return there ? ir::FragmentTier::opaque : ir::FragmentTier::none; };
  target.f16_fragments = tier(device.features.cooperative_matrix);
  target.bf16_fragments = tier(device.features.bfloat16_matrix);
}

void fill_features(PhysicalDevice& device, const FeatureChain& chain, const PropertyChain& properties) {
  SpirvFeatures& features = device.features;
  features.int64 = chain.base.features.shaderInt64;
  features.wide_offsets = device.caps.max_buffer_bytes > kNarrowBytes;
  features.storage16 = chain.v11.storageBuffer16BitAccess && chain.base.features.shaderInt16;
  features.storage8 = chain.v12.storageBuffer8BitAccess && chain.v12.shaderInt8;
  features.float16 = chain.v12.shaderFloat16;
  features.f16_round_to_even = features.float16 && properties.v12.shaderRoundingModeRTEFloat16;
  features.packed_dot =
      chain.v13.shaderIntegerDotProduct && properties.v13.integerDotProduct4x8BitPackedSignedAccelerated;
  features.slow_vector_loads = features.float_atomic_fault =
      properties.v12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE;
  features.inexact_u32_to_f32 = properties.v12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER;
  features.explicit_workgroup_layout = chain.workgroup.workgroupMemoryExplicitLayout;
}

void fill_caps(PhysicalDevice& device, const PropertyChain& properties, bool int64) {
  Caps& caps = device.caps;
  caps.backend = "vulkan";
  caps.name = properties.base.properties.deviceName;
  caps.isa = device.driver;
  caps.max_buffer_bytes = std::min(properties.v13.maxBufferSize, properties.v11.maxMemoryAllocationSize);
  if (!int64) caps.max_buffer_bytes = std::min(caps.max_buffer_bytes, kNarrowBytes);
  caps.max_binding_bytes = caps.max_buffer_bytes;
  caps.offset_alignment_bytes = 16;  // kernels load 16-byte vectors
  caps.waits = true;
}

}  // namespace

PhysicalDevice describe(const Instance& instance, VkPhysicalDevice handle) {
  PhysicalDevice device;
  device.handle = handle;
  VkPhysicalDeviceProperties basic;
  instance.call().vkGetPhysicalDeviceProperties(handle, &basic);
  device.type = basic.deviceType;
  device.caps.name = basic.deviceName;
  const auto family = compute_family(instance, handle);
  if (basic.apiVersion < VK_API_VERSION_1_3) {
    device.missing = missing_features({}, basic.apiVersion, family.has_value());
    return device;
  }
  const auto names = extensions_of(instance, handle);
  const auto has = [&](const char* name) { return names.contains(name); };
  const bool has_workgroup = has(VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME);
  const bool has_matrix = has("VK_KHR_cooperative_matrix");
  const bool has_bfloat16 = has("VK_KHR_shader_bfloat16");
  FeatureChain chain;
  chain.link(has_workgroup, has_matrix, has_bfloat16);
  instance.call().vkGetPhysicalDeviceFeatures2(handle, &chain.base);
  PropertyChain properties;
  properties.base.pNext = &properties.v11;
  properties.v11.pNext = &properties.v12;
  properties.v12.pNext = &properties.v13;
  if (has(VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) properties.v13.pNext = &properties.processors;
  instance.call().vkGetPhysicalDeviceProperties2(handle, &properties.base);
  instance.call().vkGetPhysicalDeviceMemoryProperties(handle, &device.memory);

  device.missing = missing_features(chain, basic.apiVersion, family.has_value());
  device.queue_family = family.value_or(0);
  device.driver = std::string(properties.v12.driverName) + " " + properties.v12.driverInfo;
  device.identity = device.caps.name + "; " + device.driver + " " + std::to_string(basic.driverVersion) +
                    "; " + hex(basic.pipelineCacheUUID, VK_UUID_SIZE);
  device.min_subgroup_size = properties.v13.minSubgroupSize;
  device.max_subgroup_size = properties.v13.maxSubgroupSize;
  std::ranges::copy(basic.limits.maxComputeWorkGroupCount, device.max_workgroups.begin());
  for (uint32_t i = 0; i < device.memory.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = device.memory.memoryHeaps[i];
    if (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) {
      device.memory_bytes = std::max<uint64_t>(device.memory_bytes, heap.size);
    }
  }
  fill_caps(device, properties, chain.base.features.shaderInt64);
  fill_features(device, chain, properties);
  if (device.features.explicit_workgroup_layout) {
    device.extensions.push_back(VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME);
    const MatrixKinds kinds = has_matrix && chain.matrix.cooperative_matrix && device.features.float16
                                  ? matrix_kinds(instance, handle)
                                  : MatrixKinds{};
    device.features.cooperative_matrix = kinds.f16;
    device.features.bfloat16_matrix = kinds.bf16 && chain.bfloat16.bfloat16_cooperative_matrix;
    if (kinds.f16 || kinds.bf16) device.extensions.push_back("VK_KHR_cooperative_matrix");
    if (device.features.bfloat16_matrix) device.extensions.push_back("VK_KHR_shader_bfloat16");
  }
  fill_target(device, properties);
  return device;
}

Result<std::vector<PhysicalDevice>> describe_all(const Instance& instance) {
  TT_ASSIGN(const std::vector<VkPhysicalDevice> handles, instance.physical_devices());
  std::vector<PhysicalDevice> devices;
  for (VkPhysicalDevice handle : handles) devices.push_back(describe(instance, handle));
  std::ranges::stable_sort(devices, {}, [](const PhysicalDevice& device) {
    switch (device.type) {
      case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 0;
      case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 1;
      case VK_PHYSICAL_DEVICE_TYPE_CPU: return 3;
      default: return 2;
    }
  });
  return devices;
}

Result<VkDevice> create_device(const Instance& instance, const PhysicalDevice& device) {
  const SpirvFeatures& wanted = device.features;
  FeatureChain chain;
  chain.link(wanted.explicit_workgroup_layout, wanted.cooperative_matrix || wanted.bfloat16_matrix,
             wanted.bfloat16_matrix);
  chain.base.features.shaderInt64 = wanted.int64;
  chain.base.features.shaderInt16 = wanted.storage16;
  chain.v11.storageBuffer16BitAccess = wanted.storage16;
  chain.v12.storageBuffer8BitAccess = wanted.storage8;
  chain.v12.shaderInt8 = wanted.storage8;
  chain.v12.shaderFloat16 = wanted.float16;
  chain.v12.bufferDeviceAddress = VK_TRUE;
  chain.v12.timelineSemaphore = VK_TRUE;
  chain.v12.vulkanMemoryModel = VK_TRUE;
  chain.v13.subgroupSizeControl = VK_TRUE;  // required of Vulkan 1.3, like the next three
  chain.v13.computeFullSubgroups = VK_TRUE;
  chain.v13.synchronization2 = VK_TRUE;
  chain.v13.maintenance4 = VK_TRUE;
  chain.v13.shaderIntegerDotProduct = wanted.packed_dot;
  chain.workgroup.workgroupMemoryExplicitLayout = wanted.explicit_workgroup_layout;
  chain.matrix.cooperative_matrix = wanted.cooperative_matrix || wanted.bfloat16_matrix;
  chain.bfloat16.bfloat16_type = wanted.bfloat16_matrix;
  chain.bfloat16.bfloat16_cooperative_matrix = wanted.bfloat16_matrix;

  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = device.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = &chain.base;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(device.extensions.size());
  info.ppEnabledExtensionNames = device.extensions.data();
  VkDevice handle = VK_NULL_HANDLE;
  const VkResult result = instance.call().vkCreateDevice(device.handle, &info, nullptr, &handle);
  if (result != VK_SUCCESS) {
    Error error = call_failed(result, "vkCreateDevice");
    error.where = device.caps.name + ", " + error.where;
    return error;
  }
  return handle;
}

}  // namespace tattletale::vulkan

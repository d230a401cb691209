// Structures of extensions newer than Debian 12's Vulkan headers, by hand. Layouts must match the registry's.
// Source: Vulkan specification, VK_KHR_cooperative_matrix, VK_KHR_shader_bfloat16.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

namespace tattletale::vulkan {

inline constexpr auto kTypeCooperativeMatrixFeatures = static_cast<VkStructureType>(1000506000);
inline constexpr auto kTypeCooperativeMatrixProperties = static_cast<VkStructureType>(1000506001);
inline constexpr auto kTypeBfloat16Features = static_cast<VkStructureType>(1000141000);

inline constexpr uint32_t kComponentFloat16 = 0;
inline constexpr uint32_t kComponentFloat32 = 1;
inline constexpr uint32_t kComponentBfloat16 = 1000141000;
inline constexpr uint32_t kScopeSubgroup = 3;

struct CooperativeMatrixFeatures {
  VkStructureType type = kTypeCooperativeMatrixFeatures;
  void* next = nullptr;
  VkBool32 cooperative_matrix = VK_FALSE;
  VkBool32 robust_buffer_access = VK_FALSE;
};

struct Bfloat16Features {
  VkStructureType type = kTypeBfloat16Features;
  void* next = nullptr;
  VkBool32 bfloat16_type = VK_FALSE;
  VkBool32 bfloat16_dot_product = VK_FALSE;
  VkBool32 bfloat16_cooperative_matrix = VK_FALSE;
};

/// One matrix shape that the device multiplies.
struct CooperativeMatrixShape {
  VkStructureType type = kTypeCooperativeMatrixProperties;
  void* next = nullptr;
  uint32_t m = 0, n = 0, k = 0;
  uint32_t a_type = 0, b_type = 0, c_type = 0, result_type = 0;
  VkBool32 saturating = VK_FALSE;
  uint32_t scope = 0;
};

using GetCooperativeMatrixShapes = VkResult(VKAPI_PTR*)(VkPhysicalDevice, uint32_t*, CooperativeMatrixShape*);

}  // namespace tattletale::vulkan

// The Vulkan loader, found at run time, and one instance of it. Knows nothing of devices' abilities.
#pragma once

#include <memory>
#include <vector>

#include "backends/vulkan/vulkan_functions.h"
#include "base/error.h"

namespace tattletale::vulkan {

/// "VK_ERROR_DEVICE_LOST", or "VkResult -13" for one not named here.
std::string result_name(VkResult result);

/// The error of a failed call: device_lost, out_of_memory or internal, saying which call failed how.
Error call_failed(VkResult result, std::string_view call);

class Instance {
 public:
  /// Errors: not_found when there is no loader, saying what to install.
  static Result<std::shared_ptr<const Instance>> open();
  ~Instance();
  Instance(const Instance&) = delete;

  Result<std::vector<VkPhysicalDevice>> physical_devices() const;
  PFN_vkVoidFunction function(const char* name) const { return get_proc_(handle_, name); }
  const InstanceFunctions& call() const { return functions_; }

 private:
  Instance() = default;
  VkInstance handle_ = VK_NULL_HANDLE;
  PFN_vkGetInstanceProcAddr get_proc_ = nullptr;
  InstanceFunctions functions_;
};

}  // namespace tattletale::vulkan

#include "backends/vulkan/vulkan_instance.h"

#include <dlfcn.h>

namespace tattletale::vulkan {
namespace {

/// Loaded once and never unloaded: drivers keep threads that would outlive it.
Result<PFN_vkGetInstanceProcAddr> load_library() {
  void* library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return make_error(ErrorKind::not_found, "libvulkan.so.1",
                      std::string("no Vulkan loader (") + (reason == nullptr ? "" : reason) +
                          "); install libvulkan1 and a driver (the card's own, or mesa-vulkan-drivers)");
  }
  void* symbol = dlsym(library, "vkGetInstanceProcAddr");
  if (symbol == nullptr) {
    return make_error(ErrorKind::not_found, "libvulkan.so.1", "has no vkGetInstanceProcAddr");
  }
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
}

}  // namespace

std::string result_name(VkResult result) {
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_INVALID_SHADER_NV: return "VK_ERROR_INVALID_SHADER_NV";
    case VK_ERROR_UNKNOWN: return "VK_ERROR_UNKNOWN";
    default: return "VkResult " + std::to_string(static_cast<int>(result));
  }
}

Error call_failed(VkResult result, std::string_view call) {
  ErrorKind kind = ErrorKind::internal;
  if (result == VK_ERROR_DEVICE_LOST) kind = ErrorKind::device_lost;
  if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
    kind = ErrorKind::out_of_memory;
  }
  return make_error(kind, std::string(call), "failed with " + result_name(result));
}

Result<std::shared_ptr<const Instance>> Instance::open() {
  static const Result<PFN_vkGetInstanceProcAddr> loader = load_library();
  if (!loader) return loader.error();
  std::shared_ptr<Instance> instance(new Instance);
  instance->get_proc_ = *loader;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>((*loader)(nullptr, "vkCreateInstance"));
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "tattletale";
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  const VkResult result = create(&info, nullptr, &instance->handle_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    return make_error(ErrorKind::not_found, "Vulkan",
                      "the loader found no driver; install the card's own or mesa-vulkan-drivers");
  }
  if (result != VK_SUCCESS) return call_failed(result, "vkCreateInstance");
#define TT_VULKAN_LOAD(name) \
  instance->functions_.name = reinterpret_cast<PFN_##name>(instance->function(#name));
  TT_VULKAN_INSTANCE_FUNCTIONS(TT_VULKAN_LOAD)
#undef TT_VULKAN_LOAD
  return std::shared_ptr<const Instance>(std::move(instance));
}

Instance::~Instance() {
  if (handle_ != VK_NULL_HANDLE) functions_.vkDestroyInstance(handle_, nullptr);
}

Result<std::vector<VkPhysicalDevice>> Instance::physical_devices() const {
  uint32_t count = 0;
  VkResult result = functions_.vkEnumeratePhysicalDevices(handle_, &count, nullptr);
  std::vector<VkPhysicalDevice> devices(count);
  if (result == VK_SUCCESS && count > 0) {
    result = functions_.vkEnumeratePhysicalDevices(handle_, &count, devices.data());
  }
  if (result == VK_ERROR_INITIALIZATION_FAILED) return std::vector<VkPhysicalDevice>();  // no driver's device
  if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
    return call_failed(result, "vkEnumeratePhysicalDevices");
  }
  devices.resize(count);
  return devices;
}

}  // namespace tattletale::vulkan

// The devices that tests run on: all that the machine has, or those whose backends TATTLETALE_TEST_DEVICES
// names, as in "cpu" or "cpu,vulkan". Not a test by itself.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "capi/open_device.h"

namespace tattletale::testing {

/// Points TATTLETALE_WEBGPU_LIB at the library that tools/setup.sh test keeps, unless the caller chose one.
inline void choose_webgpu_library() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path folder =
      cache != nullptr && *cache != '\0' ? cache : std::string(home != nullptr ? home : "") + "/.cache";
  const std::filesystem::path kept = folder / "tattletale/webgpu/libwgpu_native.so";
  if (std::filesystem::exists(kept)) setenv("TATTLETALE_WEBGPU_LIB", kept.c_str(), 0);
}

/// True when TATTLETALE_TEST_DEVICES is unset or names the backend.
inline bool is_wanted(std::string_view backend) {
  const char* list = std::getenv("TATTLETALE_TEST_DEVICES");
  if (list == nullptr || *list == '\0') return true;
  const std::string padded = "," + std::string(list) + ",";
  return padded.find("," + std::string(backend) + ",") != std::string::npos;
}

/// No driver is loaded when only the CPU is wanted: sanitizers do not know their insides.
inline std::vector<DeviceListing> list_test_devices() {
  const bool only_cpu =
      !is_wanted("cuda") && !is_wanted("opencl") && !is_wanted("vulkan") && !is_wanted("webgpu");
  if (only_cpu) return {{"cpu", "cpu", "", "", 0, true, 0}};
  choose_webgpu_library();
  std::vector<DeviceListing> all = list_devices();
  std::erase_if(all, [](const DeviceListing& device) { return !is_wanted(device.backend); });
  return all;
}

/// "vulkan:0" as part of a test's name.
inline std::string test_name(const DeviceListing& device) {
  std::string name = device.device;
  std::ranges::replace(name, ':', '_');
  return name;
}

}  // namespace tattletale::testing

// Opens the WebGPU devices of this machine once and says why there is none. Not a test by itself.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/webgpu/webgpu_device.h"
#include "backends/webgpu/webgpu_probe.h"

namespace tattletale::test {

/// Points TATTLETALE_WEBGPU_LIB at the library that tools/setup.sh test keeps, unless the caller chose one.
inline void choose_library() {
  if (const char* chosen = std::getenv(webgpu::kLibraryVariable); chosen != nullptr && *chosen != '\0')
    return;
  const char* home = std::getenv("HOME");
  const std::filesystem::path kept =
      std::filesystem::path(home != nullptr ? home : "") / ".cache/tattletale/webgpu/libwgpu_native.so";
  if (std::filesystem::exists(kept)) setenv(webgpu::kLibraryVariable, kept.c_str(), 1);
}

/// TATTLETALE_WEBGPU_INDEX, 0 when unset.
inline uint32_t device_index() {
  const char* index = std::getenv("TATTLETALE_WEBGPU_INDEX");
  return index != nullptr ? static_cast<uint32_t>(std::atoi(index)) : 0;
}

/// The device of that index; shared by all tests of the program.
inline webgpu::WebgpuProgramDevice* shared_device(std::string& why_not) {
  static std::string reason;
  static std::unique_ptr<webgpu::WebgpuProgramDevice> device =
      []() -> std::unique_ptr<webgpu::WebgpuProgramDevice> {
    choose_library();
    const char* index = std::getenv("TATTLETALE_WEBGPU_INDEX");
    auto opened =
        webgpu::open_webgpu_program_device(index != nullptr ? static_cast<uint32_t>(std::atoi(index)) : 0);
    if (!opened) {
      reason = opened.error().message();
      return nullptr;
    }
    auto* made = static_cast<webgpu::WebgpuProgramDevice*>(opened->release());
    return std::unique_ptr<webgpu::WebgpuProgramDevice>(made);
  }();
  why_not = reason;
  return device.get();
}

class WebgpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    device_ = shared_device(why_not);
    if (device_ == nullptr) GTEST_SKIP() << why_not;
  }
  webgpu::WebgpuProgramDevice* device_ = nullptr;
};

}  // namespace tattletale::test

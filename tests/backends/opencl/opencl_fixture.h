// What the tests of this backend share: one device, opened once, and short ways to use it.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/opencl/opencl_device.h"
#include "ir/lang.h"
#include "support/device_use.h"

namespace tattletale::test {

/// The device TT_OPENCL_DEVICE (a number, 0 by default); null when there is none.
inline compiler::ProgramDevice* opencl_device() {
  static const std::unique_ptr<compiler::ProgramDevice> device = [] {
    const char* chosen = std::getenv("TT_OPENCL_DEVICE");
    auto opened = open_opencl_program_device(chosen != nullptr ? std::atoi(chosen) : 0);
    if (!opened) {
      std::printf("no OpenCL device: %s\n", opened.error().message().c_str());
      return std::unique_ptr<compiler::ProgramDevice>();
    }
    std::printf("OpenCL device: %s (%s)\n", (*opened)->caps().name.c_str(), (*opened)->caps().isa.c_str());
    return std::move(*opened);
  }();
  return device.get();
}

class OpenclTest : public testing::Test, protected DeviceUse {
 protected:
  void SetUp() override {
    if (opencl_device() == nullptr) GTEST_SKIP() << "no OpenCL device on this machine";
  }

  compiler::ProgramDevice& device() override { return *opencl_device(); }
};

}  // namespace tattletale::test

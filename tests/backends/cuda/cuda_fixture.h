// Tests that need an NVIDIA card and NVRTC: one device, opened once; skipped, with the reason, where there is
// none.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "backends/cuda/cuda_device.h"
#include "backends/cuda/nvrtc.h"
#include "ir/lang.h"
#include "support/device_use.h"

namespace tattletale::test {

/// Device TT_CUDA_DEVICE (a number, 0 by default), or why there is none.
inline Result<std::unique_ptr<compiler::ProgramDevice>>& cuda_device() {
  static Result<std::unique_ptr<compiler::ProgramDevice>> device =
      []() -> Result<std::unique_ptr<compiler::ProgramDevice>> {
    const char* chosen = std::getenv("TT_CUDA_DEVICE");
    TT_ASSIGN(auto opened, open_cuda_program_device(chosen ? static_cast<uint32_t>(std::atoi(chosen)) : 0));
    TT_ASSIGN([[maybe_unused]] const auto nvrtc, cuda::Nvrtc::load());
    return opened;
  }();
  return device;
}

class CudaTest : public testing::Test, protected DeviceUse {
 protected:
  void SetUp() override {
    if (!cuda_device()) GTEST_SKIP() << cuda_device().error().message();
  }

  compiler::ProgramDevice& device() override { return **cuda_device(); }
};

}  // namespace tattletale::test

// Tests that need NVRTC say so and are skipped, with the reason, where there is none.
#pragma once

#include <gtest/gtest.h>

#include "backends/cuda/nvrtc.h"

namespace tattletale::cuda {

class WithNvrtc : public testing::Test {
 protected:
  static void SetUpTestSuite() { loaded() = Nvrtc::load(); }
  void SetUp() override {
    if (!loaded()) GTEST_SKIP() << loaded().error().message();
    nvrtc_ = *loaded();
  }

  std::shared_ptr<const Nvrtc> nvrtc_;

 private:
  static Result<std::shared_ptr<const Nvrtc>>& loaded() {
    static Result<std::shared_ptr<const Nvrtc>> result = std::shared_ptr<const Nvrtc>();
    return result;
  }
};

/// Cards whose programs are made without having them: compute capability and what it is called.
inline constexpr uint32_t kComputeCapabilities[] = {80, 90, 100};

}  // namespace tattletale::cuda

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

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_device()) GTEST_SKIP() << cuda_device().error().message();
  }

  compiler::ProgramDevice& device() { return **cuda_device(); }
  const ir::TargetInfo& target() { return device().target(); }

  /// A value that must be there.
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  BufferId make_buffer(uint64_t size_bytes) { return must(device().create_buffer(size_bytes, "test")); }
  template <class T>
  BufferId make_buffer(const std::vector<T>& values) {
    const BufferId buffer = make_buffer(values.size() * sizeof(T));
    must(device().write(buffer, 0, std::as_bytes(std::span(values))));
    return buffer;
  }
  template <class T>
  std::vector<T> read(BufferId buffer, size_t count, uint64_t offset_bytes = 0) {
    std::vector<T> values(count);
    const BufferSlice slice{buffer, offset_bytes, count * sizeof(T)};
    must(device().wait(must(device().read(slice, std::as_writable_bytes(std::span(values))))));
    return values;
  }
  KernelId load(const ir::Kernel& kernel) { return must(device().load(must(device().compile(kernel)))); }

  template <class... Words>
  static Dispatch dispatch_of(KernelId kernel, uint32_t workgroups,
                              std::initializer_list<BufferSlice> bindings, Words... words) {
    Dispatch dispatch;
    dispatch.kernel = kernel;
    dispatch.workgroups = {workgroups, 1, 1};
    for (const BufferSlice& slice : bindings) dispatch.bindings[dispatch.num_bindings++] = slice;
    if constexpr (sizeof...(Words) > 0) {
      dispatch.set_params(std::array<uint32_t, sizeof...(Words)>{std::bit_cast<uint32_t>(words)...});
    }
    return dispatch;
  }
};

}  // namespace tattletale::test

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

class OpenclTest : public testing::Test {
 protected:
  void SetUp() override {
    if (opencl_device() == nullptr) GTEST_SKIP() << "no OpenCL device on this machine";
  }

  compiler::ProgramDevice& device() { return *opencl_device(); }
  const ir::TargetInfo& target() { return opencl_device()->target(); }

  /// A value that must be there.
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return std::move(*result);
  }
  static void must(Result<void> result) {
    if (!result) throw std::runtime_error(result.error().message());
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
};

/// A dispatch of `workgroups` along x; slices of size 0 mean the rest of nothing in particular: only the
/// offset matters to a kernel.
template <class... Words>
Dispatch dispatch_of(KernelId kernel, uint32_t workgroups, std::initializer_list<BufferSlice> bindings,
                     Words... words) {
  Dispatch dispatch;
  dispatch.kernel = kernel;
  dispatch.workgroups = {workgroups, 1, 1};
  for (const BufferSlice& slice : bindings) dispatch.bindings[dispatch.num_bindings++] = slice;
  if constexpr (sizeof...(Words) > 0) {
    dispatch.set_params(std::array<uint32_t, sizeof...(Words)>{std::bit_cast<uint32_t>(words)...});
  }
  return dispatch;
}

}  // namespace tattletale::test

// What the tests of a program device share: short ways to make buffers, load kernels and launch them.
#pragma once

#include <bit>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "compiler/program_device.h"

namespace tattletale::test {

/// Mixed into a fixture, which says which device it is.
class DeviceUse {
 protected:
  virtual ~DeviceUse() = default;
  virtual compiler::ProgramDevice& device() = 0;
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

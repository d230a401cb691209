// What every kernel declares about itself: its name, its bindings, the comptime struct it is specialised
// on, the params struct of one launch, and a naive twin that says what it computes.
//
// A kernel is one .h/.cpp pair in this folder. Backends implement it under its name; the conformance suite
// (tests/kernels) runs each implementation against the twin over dtypes and awkward sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "device/device.h"

namespace tattletale {

/// Host memory behind one binding, for naive twins and for devices whose buffers are host memory.
struct HostBinding {
  std::byte* data = nullptr;  // null when the optional binding is absent
  uint64_t size_bytes = 0;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

/// Computes one launch slowly and obviously. Bindings, comptime and params are as the kernel's header says.
using NaiveTwin = void (*)(std::span<const HostBinding> bindings, const void* comptime, const void* params);

struct KernelContract {
  std::string_view name;
  uint32_t num_bindings = 0;
  uint32_t comptime_bytes = 0;
  uint32_t params_bytes = 0;
  uint32_t writes_mask = 0;  // bit i set: binding i is written (others are read only)
  NaiveTwin twin = nullptr;
};

/// Every kernel of the project.
std::span<const KernelContract* const> all_kernel_contracts();

}  // namespace tattletale

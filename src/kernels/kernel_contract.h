// What every kernel declares about itself: its name, its bindings, the comptime struct it is specialised
// on, the params struct of one launch, and a naive twin that says what it computes.
//
// A kernel is one .h/.cpp pair in this folder. Backends implement it under its name; the conformance suite
// (conformance/) runs each implementation against the twin over dtypes and awkward sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "device/device.h"
#include "kernels/portable.h"

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

/// A binding that takes a matrix as Device::create_matrix lays it out.
struct MatrixBinding {
  uint32_t binding = 0;
  DType dtype = DType::f32;
  uint64_t rows = 0, columns = 0;
};
/// The i-th matrix of a launch; nothing past the last.
using MatrixOf = std::optional<MatrixBinding> (*)(const void* comptime, const void* params, uint32_t i);

struct KernelContract {
  std::string_view name;
  uint32_t num_bindings = 0;
  uint32_t comptime_bytes = 0;
  uint32_t params_bytes = 0;
  uint32_t writes_mask = 0;  // bit i set: binding i is written (others are read only)
  NaiveTwin twin = nullptr;
  MatrixOf matrix = nullptr;  // null: no binding is a matrix
  PlanLaunch plan = nullptr;  // how accelerators run it; null: only natively
};

/// Every kernel of the project.
std::span<const KernelContract* const> all_kernel_contracts();

}  // namespace tattletale

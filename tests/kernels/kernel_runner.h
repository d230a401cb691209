// Runs a launch on a device between guard bytes, and compares outputs with the naive twin's.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "device/device.h"
#include "kernels/kernel_case.h"
#include "tensor/float16.h"

namespace tattletale::testing {

inline constexpr uint64_t kGuardBytes = 256;
inline constexpr std::byte kGuard{0xa5};

/// What the twin makes of a launch: the bindings after it ran.
inline std::vector<Bytes> run_twin(const KernelContract& contract, const LaunchData& data) {
  std::vector<Bytes> bindings = data.bindings;
  std::vector<HostBinding> host(bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (!bindings[i].empty()) host[i] = {bindings[i].data(), bindings[i].size()};
  }
  contract.twin(host, data.comptime.data(), data.params.data());
  return bindings;
}

/// Frees the buffers of a launch, also when it fails.
struct BufferGuard {
  Device& device;
  Dispatch& dispatch;
  ~BufferGuard() {
    for (const BufferSlice& slice : dispatch.bindings) {
      if (slice.buffer != BufferId::none) device.destroy_buffer(slice.buffer);
    }
  }
};

/// What the device makes of it; fails the test when a guard byte or a read-only binding changed.
/// Errors: those of the device, `unsupported` above all.
inline Result<std::vector<Bytes>> run_on_device(Device& device, const KernelContract& contract,
                                                const LaunchData& data) {
  KernelBinary binary;
  binary.name = contract.name;
  binary.comptime = data.comptime;
  binary.num_bindings = contract.num_bindings;
  binary.params_bytes = contract.params_bytes;
  TT_ASSIGN(const KernelId kernel, device.load_kernel(binary));
  Dispatch dispatch;
  dispatch.kernel = kernel;
  dispatch.num_bindings = contract.num_bindings;
  dispatch.params_bytes = contract.params_bytes;
  std::memcpy(dispatch.params.data(), data.params.data(), data.params.size());
  const BufferGuard guard{device, dispatch};
  std::vector<bool> is_matrix(data.bindings.size(), false);
  for (uint32_t i = 0; contract.matrix != nullptr; ++i) {
    const std::optional<MatrixBinding> matrix = contract.matrix(data.comptime.data(), data.params.data(), i);
    if (!matrix) break;
    is_matrix[matrix->binding] = true;
    TT_ASSIGN(dispatch.bindings[matrix->binding],
              device.create_matrix(matrix->dtype, matrix->rows, matrix->columns,
                                   data.bindings[matrix->binding], nullptr, "matrix"));
  }
  for (size_t i = 0; i < data.bindings.size(); ++i) {
    if (data.bindings[i].empty() || is_matrix[i]) continue;
    const uint64_t size = data.bindings[i].size();
    Bytes guarded(size + 2 * kGuardBytes, kGuard);
    std::memcpy(guarded.data() + kGuardBytes, data.bindings[i].data(), size);
    TT_ASSIGN(const BufferId buffer, device.create_buffer(guarded.size(), "binding"));
    TT_TRY(device.write(buffer, 0, guarded));
    dispatch.bindings[i] = {buffer, kGuardBytes, size};
  }
  CommandList list;
  list.dispatch(dispatch);
  TT_TRY(device.submit(list));
  std::vector<Bytes> results(data.bindings.size());
  for (size_t i = 0; i < data.bindings.size(); ++i) {
    if (data.bindings[i].empty()) continue;
    if (is_matrix[i]) {
      results[i] = data.bindings[i];
      continue;
    }
    const uint64_t size = data.bindings[i].size();
    Bytes guarded(size + 2 * kGuardBytes);
    TT_ASSIGN(const Submission done, device.read({dispatch.bindings[i].buffer, 0, guarded.size()}, guarded));
    for (bool finished = false; !finished;) {
      TT_ASSIGN(finished, device.poll(done));
    }
    for (uint64_t g = 0; g < kGuardBytes; ++g) {
      if (guarded[g] != kGuard || guarded[kGuardBytes + size + g] != kGuard) {
        ADD_FAILURE() << contract.name << " wrote outside binding " << i << ", at guard byte " << g;
        break;
      }
    }
    results[i].assign(guarded.begin() + kGuardBytes, guarded.end() - kGuardBytes);
    if ((contract.writes_mask >> i & 1u) == 0 && results[i] != data.bindings[i]) {
      ADD_FAILURE() << contract.name << " changed its read-only binding " << i;
    }
  }
  return results;
}

inline float element_of(const Bytes& bytes, DType dtype, uint64_t index) {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, bytes.data() + index * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes.data() + index * 2, 2);
  return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

/// Empty when all elements agree; else a sentence about the worst one.
inline std::string compare_output(const Bytes& actual, const Bytes& expected, const OutputCheck& check) {
  const uint64_t element_bytes = dtype_info(check.dtype).block_bytes;
  double worst = 0.0;
  std::string report;
  uint64_t num_wrong = 0;
  for (uint64_t i = 0; i < expected.size() / element_bytes; ++i) {
    if (std::memcmp(actual.data() + i * element_bytes, expected.data() + i * element_bytes, element_bytes) ==
        0)
      continue;
    const double a = element_of(actual, check.dtype, i);
    const double e = element_of(expected, check.dtype, i);
    const double allowed = check.tolerance.absolute + check.tolerance.relative * std::abs(e);
    const double excess =
        std::isfinite(a) && std::isfinite(e) ? std::abs(a - e) / std::max(allowed, 1e-300) : INFINITY;
    if (excess <= 1.0) continue;
    ++num_wrong;
    if (excess <= worst) continue;
    worst = excess;
    report = "element " + std::to_string(i) + " is " + std::to_string(a) + ", expected " + std::to_string(e) +
             " +- " + std::to_string(allowed);
  }
  return num_wrong == 0 ? "" : std::to_string(num_wrong) + " elements are wrong; " + report;
}

}  // namespace tattletale::testing

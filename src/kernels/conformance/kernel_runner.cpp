#include "kernels/conformance/kernel_runner.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "tensor/float16.h"

namespace tattletale::conformance {
namespace {

constexpr uint64_t kGuardBytes = 256;
constexpr std::byte kGuard{0xa5};

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

/// Puts every binding on the device: matrices as it lays them out, all else between guard bytes.
Result<std::vector<bool>> upload(Device& device, const KernelContract& contract, const LaunchData& data,
                                 Dispatch& dispatch) {
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
    dispatch.bindings[i] = {buffer, kGuardBytes, size};
    TT_TRY(device.write(buffer, 0, guarded));
  }
  return is_matrix;
}

/// A binding after the launch; appends what it finds changed that must not be.
Result<Bytes> download(Device& device, const KernelContract& contract, const LaunchData& data,
                       const Dispatch& dispatch, size_t i, std::vector<std::string>& faults) {
  const uint64_t size = data.bindings[i].size();
  Bytes guarded(size + 2 * kGuardBytes);
  TT_ASSIGN(const Submission done, device.read({dispatch.bindings[i].buffer, 0, guarded.size()}, guarded));
  for (bool finished = false; !finished;) {
    TT_ASSIGN(finished, device.poll(done));
  }
  for (uint64_t g = 0; g < kGuardBytes; ++g) {
    if (guarded[g] != kGuard || guarded[kGuardBytes + size + g] != kGuard) {
      faults.push_back(std::string(contract.name) + " wrote outside binding " + std::to_string(i) +
                       ", at guard byte " + std::to_string(g));
      break;
    }
  }
  Bytes result(guarded.begin() + kGuardBytes, guarded.end() - kGuardBytes);
  if ((contract.writes_mask >> i & 1u) == 0 && result != data.bindings[i]) {
    faults.push_back(std::string(contract.name) + " changed its read-only binding " + std::to_string(i));
  }
  return result;
}

float element_of(const Bytes& bytes, DType dtype, uint64_t index) {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, bytes.data() + index * 4, 4);
    return value;
  }
  if (dtype == DType::i8) return static_cast<float>(static_cast<int8_t>(bytes[index]));
  uint16_t bits;
  std::memcpy(&bits, bytes.data() + index * 2, 2);
  return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

}  // namespace

std::vector<Bytes> run_twin(const KernelContract& contract, const LaunchData& data) {
  std::vector<Bytes> bindings = data.bindings;
  std::vector<HostBinding> host(bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (!bindings[i].empty()) host[i] = {bindings[i].data(), bindings[i].size()};
  }
  contract.twin(host, data.comptime.data(), data.params.data());
  return bindings;
}

Result<DeviceRun> run_on_device(Device& device, const KernelContract& contract, const LaunchData& data) {
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
  TT_ASSIGN(const std::vector<bool> is_matrix, upload(device, contract, data, dispatch));
  CommandList list;
  list.dispatch(dispatch);
  TT_TRY(device.submit(list));
  DeviceRun run;
  run.bindings.resize(data.bindings.size());
  for (size_t i = 0; i < data.bindings.size(); ++i) {
    if (data.bindings[i].empty()) continue;
    if (is_matrix[i]) {
      run.bindings[i] = data.bindings[i];
      continue;
    }
    TT_ASSIGN(run.bindings[i], download(device, contract, data, dispatch, i, run.faults));
  }
  return run;
}

std::optional<Mismatch> find_mismatch(const Bytes& actual, const Bytes& expected, const OutputCheck& check) {
  const uint64_t element_bytes = dtype_info(check.dtype).block_bytes;
  double worst = 0.0;
  Mismatch found;
  for (uint64_t i = 0; i < expected.size() / element_bytes; ++i) {
    const std::byte* a_bytes = actual.data() + i * element_bytes;
    if (std::memcmp(a_bytes, expected.data() + i * element_bytes, element_bytes) == 0) continue;
    const double a = element_of(actual, check.dtype, i);
    const double e = element_of(expected, check.dtype, i);
    const double allowed = check.tolerance.absolute + check.tolerance.relative * std::abs(e);
    const double excess =
        std::isfinite(a) && std::isfinite(e) ? std::abs(a - e) / std::max(allowed, 1e-300) : INFINITY;
    if (excess <= 1.0) continue;
    ++found.num_wrong;
    if (excess <= worst) continue;
    worst = excess;
    found.element = i;
    found.got = a;
    found.expected = e;
    found.allowed = allowed;
  }
  if (found.num_wrong == 0) return std::nullopt;
  return found;
}

std::string compare_output(const Bytes& actual, const Bytes& expected, const OutputCheck& check) {
  const std::optional<Mismatch> found = find_mismatch(actual, expected, check);
  if (!found) return "";
  return std::to_string(found->num_wrong) + " elements are wrong; element " + std::to_string(found->element) +
         " is " + std::to_string(found->got) + ", expected " + std::to_string(found->expected) + " +- " +
         std::to_string(found->allowed);
}

}  // namespace tattletale::conformance

// One launch to check: a kernel, its types and parameters, its bindings' bytes, and how far the outputs may
// be from the naive twin. Case generators stand beside this file, one per kernel, and join cases_of();
// kernel_runner.h runs a case, suite.h all of a kernel's.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale::conformance {

using Bytes = std::vector<std::byte>;

template <class T>
Bytes bytes_of(const T& value) {
  Bytes bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// |actual - expected| <= absolute + relative * |expected|. NaN is only ever equal to the same NaN.
struct Tolerance {
  double relative = 0.0;
  double absolute = 0.0;
};

struct OutputCheck {
  uint32_t binding = 0;
  DType dtype = DType::f32;
  Tolerance tolerance;
};

struct LaunchData {
  Bytes comptime;
  Bytes params;
  std::vector<Bytes> bindings;  // an empty one is absent
  std::vector<OutputCheck> outputs;
};

/// Data is made when the case runs, so that a suite's memory is one case's.
struct KernelCase {
  std::string name;
  std::function<LaunchData()> make;
};

/// Deterministic numbers for cases; the same on every machine, unlike <random>'s distributions.
class CaseRandom {
 public:
  explicit CaseRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567u) {}
  uint64_t next() {  // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(next() % n); }
  /// About N(0, 1): the sum of four uniform numbers, scaled.
  float normal() {
    double sum = 0.0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>((sum - 2.0) * 1.7320508075688772);
  }
  std::vector<float> normals(uint64_t n, float scale = 1.0f, float mean = 0.0f) {
    std::vector<float> values(n);
    for (float& v : values) v = mean + scale * normal();
    return values;
  }

 private:
  uint64_t state_;
};

/// The sizes that catch a wrong tail.
inline constexpr uint32_t kAwkwardSizes[] = {1, 17, 31, 33, 129};

std::vector<KernelCase> argmax_cases();
std::vector<KernelCase> embed_cases();
std::vector<KernelCase> rms_norm_cases();
std::vector<KernelCase> linear_cases();
std::vector<KernelCase> rope_append_cases();
std::vector<KernelCase> paged_attention_cases();
std::vector<KernelCase> gather_rows_cases();
std::vector<KernelCase> copy_kv_rows_cases();

/// The cases of a kernel; empty for one that has none, which a test refuses.
std::vector<KernelCase> cases_of(const KernelContract& contract);

}  // namespace tattletale::conformance

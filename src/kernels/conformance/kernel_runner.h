// Runs a launch on a device between guard bytes, and compares outputs with the naive twin's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "kernels/conformance/kernel_case.h"

namespace tattletale::conformance {

/// What the twin makes of a launch: the bindings after it ran.
std::vector<Bytes> run_twin(const KernelContract& contract, const LaunchData& data);

/// What a device makes of a launch.
struct DeviceRun {
  std::vector<Bytes> bindings;
  /// A sentence for each binding with bytes that no kernel may change and that are not as they were: guards
  /// before and behind it, or all of it where the contract only reads. Empty when all is well.
  std::vector<std::string> faults;
};
/// Errors: those of the device, `unsupported` above all. Leaves no buffer behind.
Result<DeviceRun> run_on_device(Device& device, const KernelContract& contract, const LaunchData& data);

/// The element of an output that is furthest from what the tolerance allows.
struct Mismatch {
  uint64_t num_wrong = 0;
  uint64_t element = 0;
  double got = 0, expected = 0, allowed = 0;
};
/// Nothing when all elements agree; NaN is only ever equal to the same NaN.
std::optional<Mismatch> find_mismatch(const Bytes& actual, const Bytes& expected, const OutputCheck& check);

/// Empty when all elements agree; else a sentence about the worst one.
std::string compare_output(const Bytes& actual, const Bytes& expected, const OutputCheck& check);

}  // namespace tattletale::conformance

// One launch of a kernel with the contents of its buffers: run on a device, on the interpreter, or written
// into a bundle for a browser.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/webgpu/webgpu_program_device.h"
#include "ir/kernel.h"
#include "ir/random_kernel.h"

namespace tattletale::test {

struct KernelLaunch {
  ir::Kernel kernel;
  std::array<uint32_t, 3> workgroups{1, 1, 1};
  std::vector<uint32_t> params;
  std::vector<std::vector<uint32_t>> buffers;  // by binding, contents before
  std::vector<ResultRule> rules;               // of the words of a thread in binding 1, when not empty
  bool f32_results = false;  // compare as numbers: relative error 2^-19, or as much absolutely
  /// Results of fma, which WGSL may round twice: word i of binding 1 with i % results == unfused may be off
  /// by `unfused_error`; as two halves where `unfused_halves`.
  uint32_t results = 0, unfused = UINT32_MAX;
  float unfused_error = 0;
  bool unfused_halves = false;
};

/// Buffers after the launch, by binding. Records a failure and returns nothing when the device refuses.
std::vector<std::vector<uint32_t>> run_on(webgpu::WebgpuProgramDevice& device, const KernelLaunch& launch);
/// The same on the interpreter.
std::vector<std::vector<uint32_t>> run_on_interpreter(const KernelLaunch& launch);
/// The first difference, or "": words, or numbers where f32_results says so.
std::string first_difference(const KernelLaunch& launch, const std::vector<std::vector<uint32_t>>& expected,
                             const std::vector<std::vector<uint32_t>>& found);

/// The launches of all op_kernels for a target.
std::vector<KernelLaunch> op_launches(const ir::TargetInfo& target, uint32_t threads);

/// A random kernel's launch.
KernelLaunch random_launch(uint64_t seed, const ir::TargetInfo& target);

}  // namespace tattletale::test

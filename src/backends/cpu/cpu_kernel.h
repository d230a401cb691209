// How a kernel runs on the CPU: a function that every thread of the team calls at once, each doing its share.
// Kernels are listed in kernel_table.cpp; a new one is a file here and a line there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/kernel_contract.h"

namespace tattletale::cpu {

class SpinBarrier;

/// One thread's place in the team that runs a launch.
struct Team {
  uint32_t thread_index = 0;
  uint32_t num_threads = 1;
  SpinBarrier* barrier = nullptr;
  std::atomic<uint64_t>* work_counter = nullptr;  // zero when the launch begins
  std::span<std::byte> shared_scratch;            // at least what scratch_bytes asked for, 64-byte aligned

  /// Waits for the whole team inside a launch; every thread must call it equally often.
  void sync() const;

  /// Takes the next `count` items of a shared counter: dynamic load balance between unequal cores.
  uint64_t take(uint64_t count) const { return work_counter->fetch_add(count, std::memory_order_relaxed); }

  /// The contiguous share [begin, end) of `total` items that belongs to this thread, in units of `grain`.
  struct Range {
    uint64_t begin, end;
  };
  Range share(uint64_t total, uint64_t grain = 1) const {
    const uint64_t units = (total + grain - 1) / grain;
    const uint64_t begin = units * thread_index / num_threads * grain;
    const uint64_t end = units * (thread_index + 1) / num_threads * grain;
    return {begin < total ? begin : total, end < total ? end : total};
  }
};

struct Launch {
  std::span<const HostBinding> bindings;
  const void* comptime = nullptr;
  const void* params = nullptr;
  Team team;

  template <class T>
  const T& comptime_as() const {
    return *static_cast<const T*>(comptime);
  }
  template <class T>
  const T& params_as() const {
    return *static_cast<const T*>(params);
  }
};

struct CpuKernel {
  const KernelContract* contract = nullptr;
  void (*run)(const Launch& launch) = nullptr;
  /// Bytes of shared scratch a launch needs; null when none.
  uint64_t (*scratch_bytes)(const void* comptime, const void* params, uint32_t num_threads) = nullptr;
  /// Whether this comptime is implemented; null when every one is.
  bool (*supports)(const void* comptime) = nullptr;
};

/// The kernels of this backend. Errors: none; an unknown name gives null.
const CpuKernel* find_cpu_kernel(std::string_view name);

// One per kernel file.
extern const CpuKernel kEmbedCpu;
extern const CpuKernel kRmsNormCpu;
extern const CpuKernel kLinearCpu;
extern const CpuKernel kRopeAppendCpu;
extern const CpuKernel kPagedAttentionCpu;
extern const CpuKernel kGatherRowsCpu;
extern const CpuKernel kCopyKvRowsCpu;

}  // namespace tattletale::cpu

// A CUDA driver in host memory, for what can be tested of a device without one: its stream is as late as it
// may be. Work runs only when somebody waits, or one piece at each query. Two kernels exist:
//   kernel_add   b0 (written) u32 words += params { u32 step }; one word a thread
//   kernel_copy  b1 (written) u32 words = b0's; one word a thread
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/cuda_api.h"

namespace tattletale::cuda {

/// One exists at a time; the functions of api() reach it through a global.
class FakeDriver {
 public:
  FakeDriver();
  ~FakeDriver();
  FakeDriver(const FakeDriver&) = delete;
  /// Valid while this lives.
  std::shared_ptr<const CudaApi> api() const { return api_; }

  // What the test chooses
  int num_devices = 1;
  int driver_version = 13000;
  int capability = 90;
  uint64_t memory_bytes = uint64_t{1} << 30;
  /// What the next call of a function gives instead of working.
  std::map<std::string, CUresult> results;
  CUresult pending_work_fails = kSuccess;  // what running work gives from now on

  // What the test looks at
  uint64_t allocated_bytes = 0;
  size_t live_allocations = 0;
  size_t live_host_allocations = 0;
  size_t live_events = 0;
  size_t live_modules = 0;
  size_t live_graphs = 0;  // graphs and executables
  size_t waits = 0;        // calls that blocked
  size_t contexts_retained = 0;
  size_t overlapping_edges = 0;   // of graphs: programmatic ones
  bool freed_under_work = false;  // memory or a graph was freed while work that may use it was queued
  struct LaunchRecord {
    std::string kernel;
    unsigned grid[3];
    unsigned threads;
    unsigned shared_bytes;
  };
  std::vector<LaunchRecord> launches;
  std::map<std::string, int> function_attributes;  // of the last function: "attribute" -> value

  size_t queued() const { return queue_.size(); }
  void run_one();
  void run_all();

 private:
  friend struct FakeFunctions;
  CUresult take(const std::string& function);

  std::shared_ptr<CudaApi> api_;
  std::deque<std::function<void()>> queue_;
  std::map<CUdeviceptr, std::vector<std::byte>> memory_;
};

}  // namespace tattletale::cuda

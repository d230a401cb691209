// Numbers the work of one stream: mark() sets a milestone behind everything asked for so far, and anyone can
// ask later, without waiting, whether the device has passed it.
#pragma once

#include <deque>
#include <vector>

#include "backends/cuda/cuda_api.h"
#include "device/device.h"

namespace tattletale::cuda {

class Timeline {
 public:
  Timeline(const CudaApi& api, CUstream stream) : api_(api), stream_(stream) {}
  ~Timeline();
  Timeline(const Timeline&) = delete;

  Result<Submission> mark();
  /// Whether everything before the milestone has finished. Never waits. Submission::none always has.
  Result<bool> passed(Submission milestone);
  Result<void> wait(Submission milestone);

  /// The newest milestone known to be passed; grows in passed() and wait() only.
  Submission newest_passed() const { return Submission{passed_}; }
  Submission newest() const { return Submission{last_}; }

 private:
  struct Milestone {
    uint64_t number;
    CUevent event;
  };
  void pop();

  const CudaApi& api_;
  CUstream stream_;
  std::deque<Milestone> open_;  // in order
  std::vector<CUevent> unused_;
  uint64_t last_ = 0;
  uint64_t passed_ = 0;
};

}  // namespace tattletale::cuda

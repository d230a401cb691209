#include "backends/cuda/timeline.h"

#include "base/check.h"

namespace tattletale::cuda {

Timeline::~Timeline() {
  for (const Milestone& milestone : open_) api_.event_destroy(milestone.event);
  for (CUevent event : unused_) api_.event_destroy(event);
}

Result<Submission> Timeline::mark() {
  CUevent event = nullptr;
  if (!unused_.empty()) {
    event = unused_.back();
    unused_.pop_back();
  } else if (const CUresult result = api_.event_create(&event, kEventDisableTiming); result != kSuccess) {
    return api_.error(result, "cuda", "cuEventCreate");
  }
  if (const CUresult result = api_.event_record(event, stream_); result != kSuccess) {
    unused_.push_back(event);
    return api_.error(result, "cuda", "cuEventRecord");
  }
  open_.push_back({++last_, event});
  return Submission{last_};
}

void Timeline::pop() {
  passed_ = open_.front().number;
  unused_.push_back(open_.front().event);
  open_.pop_front();
}

Result<bool> Timeline::passed(Submission milestone) {
  const auto number = static_cast<uint64_t>(milestone);
  if (number > last_) {
    return make_error(ErrorKind::invalid_argument, "cuda",
                      "submission " + std::to_string(number) + " is unknown");
  }
  while (passed_ < number) {
    const CUresult result = api_.event_query(open_.front().event);
    if (result == kNotReady) return false;
    if (result != kSuccess) return api_.error(result, "cuda", "submitted work");
    pop();
  }
  return true;
}

Result<void> Timeline::wait(Submission milestone) {
  const auto number = static_cast<uint64_t>(milestone);
  if (number > passed_ && number <= last_) {
    const Milestone& target = open_[number - open_.front().number];  // numbers are consecutive
    if (const CUresult result = api_.event_synchronize(target.event); result != kSuccess) {
      return api_.error(result, "cuda", "submitted work");
    }
    while (passed_ < number) pop();
  }
  TT_ASSIGN(const bool done, passed(milestone));
  CHECK(done);
  return {};
}

}  // namespace tattletale::cuda

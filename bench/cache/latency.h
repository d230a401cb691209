// Times single operations of tens of nanoseconds: the processor's time stamp between fences, its own cost
// taken off.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/json.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace tattletale::bench {

inline uint64_t read_clock() {
#if defined(__x86_64__)
  _mm_lfence();
  const uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Nanoseconds per tick of read_clock, against steady_clock over 50 ms; and the ticks that reading it twice
/// costs.
struct Clock {
  double ns_per_tick = 1;
  uint64_t overhead_ticks = 0;

  static Clock calibrate() {
    Clock clock;
    using Steady = std::chrono::steady_clock;
    const auto begin = Steady::now();
    const uint64_t first = read_clock();
    while (Steady::now() - begin < std::chrono::milliseconds(50)) {
    }
    const uint64_t last = read_clock();
    clock.ns_per_tick = std::chrono::duration<double, std::nano>(Steady::now() - begin).count() /
                        static_cast<double>(last - first);
    std::vector<uint64_t> empty(10'001);
    for (uint64_t& ticks : empty) {
      const uint64_t start = read_clock();
      ticks = read_clock() - start;
    }
    std::nth_element(empty.begin(), empty.begin() + 5000, empty.end());
    clock.overhead_ticks = empty[5000];
    return clock;
  }
};

class Latencies {
 public:
  explicit Latencies(const Clock& clock) : clock_(clock) { ticks_.reserve(1 << 18); }

  template <class Operation>
  void time(Operation&& operation) {
    const uint64_t start = read_clock();
    operation();
    const uint64_t spent = read_clock() - start;
    ticks_.push_back(spent > clock_.overhead_ticks ? spent - clock_.overhead_ticks : 0);
  }
  /// Of two runs of the same operations, keeps each operation's lesser time: the machine's interruptions fall
  /// away.
  void keep_least(const Latencies& other) {
    for (size_t i = 0; i < ticks_.size(); ++i) ticks_[i] = std::min(ticks_[i], other.ticks_[i]);
  }
  bool empty() const { return ticks_.empty(); }

  Json summary() {
    if (ticks_.empty()) return Json::object();
    std::sort(ticks_.begin(), ticks_.end());
    const auto at = [&](double share) {
      const auto index = static_cast<size_t>(share * static_cast<double>(ticks_.size() - 1));
      return std::round(static_cast<double>(ticks_[index]) * clock_.ns_per_tick * 10) / 10;
    };
    return {{"p50", at(0.5)},
            {"p99", at(0.99)},
            {"p999", at(0.999)},
            {"max", at(1.0)},
            {"samples", ticks_.size()}};
  }

 private:
  Clock clock_;
  std::vector<uint64_t> ticks_;
};

}  // namespace tattletale::bench

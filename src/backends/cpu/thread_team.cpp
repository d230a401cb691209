#include "backends/cpu/thread_team.h"

#include <algorithm>
#include <chrono>

#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Pauses that last about 20 microseconds: longer than the gap between two launches of one step, far shorter
/// than the gap between two requests. One pause lasts 5 to 50 ns, depending on the processor, so it is
/// measured.
int max_spins() {
  static const int spins = [] {
    using Clock = std::chrono::steady_clock;
    constexpr int kSample = 500;
    double shortest_us = 1e9;
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto begin = Clock::now();
      for (int i = 0; i < kSample; ++i) pause();
      shortest_us =
          std::min(shortest_us, std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    return static_cast<int>(std::clamp(20.0 * kSample / shortest_us, 100.0, 20000.0));
  }();
  return spins;
}

/// Waits until `word` is no longer `old`: spins, then sleeps. A thread that keeps having to sleep, because
/// its partners share its core or have less to do, spins ever more briefly, down to a sixteenth.
void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t old) {
  const int longest = max_spins();
  thread_local int budget = longest;
  for (int i = 0; i < budget; ++i) {
    if (word.load(std::memory_order_acquire) != old) {
      budget = std::min(2 * budget, longest);
      return;
    }
    pause();
  }
  budget = std::max(budget / 2, longest / 16);
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

}  // namespace

void SpinBarrier::wait_past(uint32_t generation) {
  wait_while_equal(generation_, generation);
}

void Team::sync() const {
  barrier->arrive_and_wait();
}

ThreadTeam::ThreadTeam(uint32_t num_threads) : num_threads_(num_threads), barrier_(num_threads) {
  max_spins();  // measured here, not inside the first launch
  for (uint32_t i = 1; i < num_threads; ++i) threads_.emplace_back([this, i] { worker(i); });
}

ThreadTeam::~ThreadTeam() {
  stopping_.store(true, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_seq_cst);
  ticket_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run(const std::function<void(uint32_t)>& work) {
  work_ = &work;
  running_.store(num_threads_ - 1, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_seq_cst);
  if (num_threads_ > 1) ticket_.notify_all();
  work(0);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;
       left = running_.load(std::memory_order_acquire)) {
    wait_while_equal(running_, left);
  }
}

void ThreadTeam::worker(uint32_t thread_index) {
  uint32_t seen = 0;
  while (true) {
    wait_while_equal(ticket_, seen);
    ++seen;
    if (stopping_.load(std::memory_order_relaxed)) return;
    (*work_)(thread_index);
    if (running_.fetch_sub(1, std::memory_order_seq_cst) == 1) running_.notify_one();
  }
}

}  // namespace tattletale::cpu

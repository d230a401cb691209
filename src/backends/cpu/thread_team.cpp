#include "backends/cpu/thread_team.h"

#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {
namespace {

// About 20 microseconds on a current core: longer than the gap between two launches of one step, far shorter
// than the gap between two requests.
constexpr int kSpins = 600;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `word` is no longer `old`: spins, then sleeps.
void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

}  // namespace

void SpinBarrier::wait_past(uint32_t generation) { wait_while_equal(generation_, generation); }

void Team::sync() const { barrier->arrive_and_wait(); }

ThreadTeam::ThreadTeam(uint32_t num_threads) : num_threads_(num_threads), barrier_(num_threads) {
  for (uint32_t i = 1; i < num_threads; ++i) threads_.emplace_back([this, i] { worker(i); });
}

ThreadTeam::~ThreadTeam() {
  stopping_.store(true, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_release);
  ticket_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run(const std::function<void(uint32_t)>& work) {
  work_ = &work;
  running_.store(num_threads_ - 1, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_release);
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
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace tattletale::cpu

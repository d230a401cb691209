// A fixed team of threads that run one function together, and the barrier they meet at.
// Workers spin for a few microseconds between pieces of work, then sleep in the kernel: an idle engine
// costs no processor time, and consecutive launches of a step cost no system call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace tattletale::cpu {

/// Sense-reversing barrier: spins briefly, then waits on a futex, so it also works with more threads than
/// cores.
class SpinBarrier {
 public:
  explicit SpinBarrier(uint32_t num_threads) : num_threads_(num_threads) {}

  /// Returns when all threads have arrived. The last to arrive runs `when_all_here` before the others go on.
  template <class WhenAllHere>
  void arrive_and_wait(WhenAllHere&& when_all_here) {
    if (num_threads_ == 1) {
      when_all_here();
      return;
    }
    const uint32_t generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      when_all_here();
      // Sequentially consistent: notify_all skips the system call when it sees no sleeper, and that look must
      // not pass the store, or a thread that is just falling asleep would never be woken.
      generation_.store(generation + 1, std::memory_order_seq_cst);
      generation_.notify_all();
      return;
    }
    wait_past(generation);
  }
  void arrive_and_wait() {
    arrive_and_wait([] {});
  }

 private:
  void wait_past(uint32_t generation);

  const uint32_t num_threads_;
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

class ThreadTeam {
 public:
  /// `num_threads` >= 1 counts the calling thread; num_threads - 1 workers are started.
  explicit ThreadTeam(uint32_t num_threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  uint32_t num_threads() const { return num_threads_; }
  SpinBarrier& barrier() { return barrier_; }

  /// Runs work(thread_index) on every thread of the team, the caller as thread 0, and returns when all are
  /// done. `work` must not throw: the other threads could be waiting for the one that did.
  void run(const std::function<void(uint32_t)>& work);

 private:
  void worker(uint32_t thread_index);

  const uint32_t num_threads_;
  SpinBarrier barrier_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  alignas(64) std::atomic<uint32_t> ticket_{0};  // counts calls of run
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<uint32_t> running_{0};  // workers still in the current run
  std::vector<std::thread> threads_;
};

}  // namespace tattletale::cpu

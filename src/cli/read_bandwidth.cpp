#include "cli/read_bandwidth.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

namespace tattletale::cli {
namespace {

// One copy for each vector width, chosen when the program starts, where the compiler can do that.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define TT_WIDEST [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define TT_WIDEST
#endif

/// 64 bytes at a time, in as many instructions as the target needs.
using Chunk = uint64_t __attribute__((vector_size(64)));

/// Reads four stretches side by side, so that more of the core's prefetchers are at work.
TT_WIDEST uint64_t read_chunks(const Chunk* chunks, size_t count) {
  const size_t quarter = count / 4;
  Chunk a{}, b{}, c{}, d{};
  for (size_t i = 0; i < quarter; ++i) {
    a ^= chunks[i];
    b ^= chunks[quarter + i];
    c ^= chunks[2 * quarter + i];
    d ^= chunks[3 * quarter + i];
  }
  for (size_t i = 4 * quarter; i < count; ++i) a ^= chunks[i];
  a ^= b ^ c ^ d;
  return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

}  // namespace

double measure_read_bandwidth(uint32_t num_threads, uint64_t bytes, double seconds) {
  using Clock = std::chrono::steady_clock;
  num_threads = std::max<uint32_t>(num_threads, 1);
  const size_t per_thread = std::max<uint64_t>(bytes / sizeof(Chunk) / num_threads, 1);
  std::atomic<uint64_t> sink = 0;  // keeps the reads from being optimised away
  std::atomic<bool> stop = false;
  double best_seconds = 1e30;
  const Clock::time_point begin = Clock::now();
  Clock::time_point pass_begin = begin;
  // Every pass ends when its last thread does; the completion step times it.
  auto on_pass = [&]() noexcept {
    Clock::time_point now = Clock::now();
    best_seconds = std::min(best_seconds, std::chrono::duration<double>(now - pass_begin).count());
    stop = std::chrono::duration<double>(now - begin).count() > seconds;
    pass_begin = Clock::now();
  };
  std::barrier ready(num_threads, [&]() noexcept { pass_begin = Clock::now(); });
  std::barrier pass(num_threads, on_pass);
  auto work = [&](std::vector<Chunk>& chunks) {
    ready.arrive_and_wait();
    while (!stop) {
      sink ^= read_chunks(chunks.data(), chunks.size());
      pass.arrive_and_wait();
    }
  };
  // Written, not only reserved: untouched pages all read as one zero page.
  std::vector<std::vector<Chunk>> parts(num_threads, std::vector<Chunk>(per_thread, Chunk{1}));
  {
    std::vector<std::jthread> threads;
    for (uint32_t i = 1; i < num_threads; ++i) threads.emplace_back(work, std::ref(parts[i]));
    work(parts[0]);
  }
  return static_cast<double>(per_thread * sizeof(Chunk) * num_threads) / best_seconds;
}

}  // namespace tattletale::cli

#include "backends/cpu/thread_team.h"

#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {
namespace {

uint64_t process_cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

TEST(ThreadTeam, EveryThreadRunsOncePerRun) {
  for (const uint32_t num_threads : {1u, 2u, 3u, 9u}) {
    ThreadTeam team(num_threads);
    std::vector<uint32_t> calls(num_threads, 0);
    for (int run = 0; run < 300; ++run) team.run([&](uint32_t thread) { ++calls[thread]; });
    for (const uint32_t n : calls) EXPECT_EQ(n, 300u) << num_threads << " threads";
  }
}

TEST(ThreadTeam, RunPublishesWritesBothWays) {
  ThreadTeam team(4);
  std::vector<uint64_t> parts(4);
  uint64_t input = 0;
  for (uint64_t run = 1; run <= 2000; ++run) {
    input = run;
    team.run([&](uint32_t thread) { parts[thread] = input * (thread + 1); });
    ASSERT_EQ(std::accumulate(parts.begin(), parts.end(), uint64_t{0}), run * 10);
  }
}

TEST(ThreadTeam, BarrierSeparatesPhasesWithMoreThreadsThanCores) {
  constexpr uint32_t kThreads = 7;
  constexpr uint32_t kPhases = 400;
  ThreadTeam team(kThreads);
  std::vector<uint32_t> values(kThreads, 0);
  std::atomic<uint32_t> faults{0};
  uint32_t completions = 0;
  team.run([&](uint32_t thread) {
    for (uint32_t phase = 1; phase <= kPhases; ++phase) {
      values[thread] = phase;
      team.barrier().arrive_and_wait([&] { ++completions; });
      for (const uint32_t value : values) faults += value != phase;
      team.barrier().arrive_and_wait();
    }
  });
  EXPECT_EQ(faults.load(), 0u);
  EXPECT_EQ(completions, kPhases);
}

TEST(ThreadTeam, SleepersWakeAfterAnyPause) {
  // Pauses around the spinning time, where a thread is just falling asleep when it is called.
  ThreadTeam team(3);
  std::atomic<uint32_t> count{0};
  for (int run = 0; run < 600; ++run) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(run % 150);
    while (std::chrono::steady_clock::now() < until) {
    }
    team.run([&](uint32_t thread) {
      if (thread == static_cast<uint32_t>(run % 3)) {
        const auto slow = std::chrono::steady_clock::now() + std::chrono::microseconds(run % 130);
        while (std::chrono::steady_clock::now() < slow) {
        }
      }
      team.barrier().arrive_and_wait();
      ++count;
    });
  }
  EXPECT_EQ(count.load(), 1800u);
}

TEST(ThreadTeam, IdleWorkersUseNoProcessorTime) {
  ThreadTeam team(4);
  team.run([](uint32_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than any spinning
  const uint64_t before = process_cpu_us();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(process_cpu_us() - before, 4000u);  // 2 % of one core
}

TEST(ThreadTeam, StartsAndStopsManyTimes) {
  for (int i = 0; i < 200; ++i) {
    ThreadTeam team(3);
    if (i % 2 == 0) team.run([](uint32_t) {});
  }
}

TEST(Team, SharesCoverEverythingOnce) {
  for (const uint64_t total : {0u, 1u, 5u, 64u, 1000u}) {
    for (const uint32_t num_threads : {1u, 2u, 3u, 7u}) {
      for (const uint64_t grain : {1u, 16u}) {
        uint64_t next = 0;
        for (uint32_t thread = 0; thread < num_threads; ++thread) {
          const Team::Range range =
              Team{.thread_index = thread, .num_threads = num_threads}.share(total, grain);
          EXPECT_EQ(range.begin, next);
          EXPECT_TRUE(range.end == total || range.end % grain == 0);
          next = range.end;
        }
        EXPECT_EQ(next, total);
      }
    }
  }
}

}  // namespace
}  // namespace tattletale::cpu

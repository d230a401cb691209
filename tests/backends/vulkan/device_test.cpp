// The device's side: order of writes, submissions and reads, recorded lists, slices, errors.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <numeric>
#include <optional>

#include "backends/vulkan/vulkan_fixture.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

/// Each device twice: as it is, and with memory that the host cannot see, as a card has it.
class VulkanDeviceTest : public test::VulkanTest {
 protected:
  static size_t place() { return GetParam() / 2; }
  static bool hides_memory() { return GetParam() % 2 == 1; }

  void SetUp() override {
    device_ = test::open_changed(place(), [](vulkan::PhysicalDevice& physical) {
      for (VkMemoryType& type : physical.memory.memoryTypes) {
        if (hides_memory()) type.propertyFlags &= ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_HOST_CACHED_BIT};
      }
      return true;
    });
  }

  /// y[i] = x[i] * factor + y[i], n numbers.
  ir::Kernel accumulate() {
    KernelScope k("accumulate", 64, target());
    const Buffer x = k.input("x"), y = k.output("y");
    const Val<uint32_t> n = k.param<uint32_t>("n", 0), factor = k.param<uint32_t>("factor", 1);
    const Val<uint32_t> i = workgroup_id() * 64u + local_id();
    $if (i < n) {
      y.store(i, x.load<Storage::u32>(i) * factor + y.load<Storage::u32>(i));
    }
    return k.finish();
  }
  static std::vector<uint32_t> iota(uint32_t count, uint32_t first = 0) {
    std::vector<uint32_t> values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(VulkanDeviceTest);
INSTANTIATE_TEST_SUITE_P(Devices, VulkanDeviceTest,
                         testing::Range(size_t{0}, 2 * test::vulkan_devices().size()),
                         [](const testing::TestParamInfo<size_t>& info) {
                           const testing::TestParamInfo<size_t> device(info.param / 2, 0);
                           return test::device_test_name(device) + (info.param % 2 == 1 ? "Hidden" : "");
                         });

TEST_P(VulkanDeviceTest, SaysWhatItIs) {
  EXPECT_EQ(device().caps().backend, "vulkan");
  EXPECT_FALSE(device().caps().name.empty());
  EXPECT_TRUE(device().caps().waits);
  EXPECT_GE(device().caps().max_binding_bytes, 1u << 30);
  EXPECT_EQ(target().name, "vulkan");
  EXPECT_GE(target().max_shared_bytes, 16384u);
  EXPECT_GE(target().max_workgroup_threads, 128u);
  EXPECT_EQ(target().max_bindings, 8u);
  EXPECT_NE(device().compiler_identity().find(device().caps().name), std::string::npos);
  std::printf("%s: subgroup %u, %u threads, %u bytes shared, %u processors%s%s%s%s\n",
              device().compiler_identity().c_str(), target().subgroup_size, target().max_workgroup_threads,
              target().max_shared_bytes, target().num_processors, target().f16x2 ? ", f16x2" : "",
              target().dot4_i8 ? ", dot4_i8" : "",
              target().f16_fragments != ir::FragmentTier::none ? ", f16 fragments" : "",
              target().bf16_fragments != ir::FragmentTier::none ? ", bf16 fragments" : "");
}

TEST_P(VulkanDeviceTest, BuffersStartAsZeros) {
  for (const uint64_t size : {4u, 1000u, 1u << 20, 5u << 20}) {
    const BufferId dirty = make_buffer(std::vector<uint32_t>(size / 4, 0xffffffffu));
    device().destroy_buffer(dirty);
    const BufferId buffer = make_buffer(size);
    const auto words = read<uint32_t>(buffer, size / 4);
    EXPECT_EQ(std::accumulate(words.begin(), words.end(), uint64_t{0}), 0u) << size;
    device().destroy_buffer(buffer);
  }
  EXPECT_EQ(device().allocated_bytes(), 0u);
}

TEST_P(VulkanDeviceTest, WritesAndReadsOfAnySizeAtAnyByte) {
  std::vector<uint8_t> expected((40u << 20) + 13);  // more than the staging memory holds
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  const BufferId buffer = make_buffer(expected);
  EXPECT_EQ(read<uint8_t>(buffer, expected.size()), expected);
  const std::vector<uint8_t> patch = {1, 2, 3, 4, 5};
  must(device().write(buffer, 1234567, std::as_bytes(std::span(patch))));
  std::copy(patch.begin(), patch.end(), expected.begin() + 1234567);
  const auto some = read<uint8_t>(buffer, 4000, 1234001);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), expected.begin() + 1234001));
}

TEST_P(VulkanDeviceTest, LargeWritesWaitForTheirPlaceWhileTheDeviceWorks) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 60000 * 64;  // 15 MiB: three of them are more than the staging memory holds
  const BufferId x = make_buffer(uint64_t{n} * 4), y = make_buffer(uint64_t{n} * 4);
  const BufferId other = make_buffer(uint64_t{n} * 4);
  const BufferSlice all_x{x, 0, n * 4}, all_y{y, 0, n * 4}, all_other{other, 0, n * 4};
  CommandList slow, list;  // the slow one makes all copies queue up
  for (int i = 0; i < 12; ++i) slow.dispatch(test::dispatch_of(kernel, n / 64, {all_x, all_other}, n, 1u));
  list.dispatch(test::dispatch_of(kernel, n / 64, {all_x, all_y}, n, 1u));
  std::vector<std::vector<uint32_t>> values;
  for (uint32_t step = 0; step < 6; ++step) values.push_back(iota(n, step * 1000));
  must(device().submit(slow));
  for (const auto& numbers : values) {
    must(device().write(x, 0, std::as_bytes(std::span(numbers))));
    must(device().submit(list));
  }
  const auto words = read<uint32_t>(y, n);
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < n; ++i) wrong += words[i] != 15000 + 6 * i;
  EXPECT_EQ(wrong, 0u);
}

TEST_P(VulkanDeviceTest, EachSubmissionSeesTheWritesBeforeItAndNoneAfter) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 1000;
  const BufferId x = make_buffer(uint64_t{n} * 4), y = make_buffer(uint64_t{n} * 4);
  CommandList list;
  list.dispatch(test::dispatch_of(kernel, (n + 63) / 64, {{x, 0, n * 4}, {y, 0, n * 4}}, n, 10u));
  std::vector<std::vector<uint32_t>> results(40, std::vector<uint32_t>(n));
  Submission last = Submission::none;
  for (uint32_t step = 0; step < results.size(); ++step) {  // nothing waits in between
    const std::vector<uint32_t> values(n, step);
    must(device().write(x, 0, std::as_bytes(std::span(values))));
    const std::vector<uint32_t> twice(n / 2, step + 1000);  // overwrites the first half
    must(device().write(x, 0, std::as_bytes(std::span(twice))));
    last = must(device().submit(list));
    last = must(device().read({y, 0, n * 4}, std::as_writable_bytes(std::span(results[step]))));
  }
  must(device().wait(last));
  EXPECT_TRUE(must(device().poll(last)));
  uint32_t first = 0, second = 0;
  for (uint32_t step = 0; step < results.size(); ++step) {
    first += (step + 1000) * 10;
    second += step * 10;
    ASSERT_EQ(results[step][0], first) << step;
    ASSERT_EQ(results[step][n / 2 - 1], first) << step;
    ASSERT_EQ(results[step][n / 2], second) << step;
    ASSERT_EQ(results[step][n - 1], second) << step;
  }
}

TEST_P(VulkanDeviceTest, ADispatchSeesThoseBeforeItInItsList) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 4096;
  const BufferId a = make_buffer(std::vector<uint32_t>(n, 1)), b = make_buffer(uint64_t{n} * 4);
  const BufferSlice all_a{a, 0, n * 4}, all_b{b, 0, n * 4};
  CommandList list;  // a Fibonacci sequence: every dispatch needs the one before
  for (int i = 0; i < 12; ++i) {
    list.dispatch(test::dispatch_of(kernel, n / 64, {all_a, all_b}, n, 1u));
    list.dispatch(test::dispatch_of(kernel, n / 64, {all_b, all_a}, n, 1u));
  }
  must(device().wait(must(device().submit(list))));
  EXPECT_EQ(read<uint32_t>(a, n), std::vector<uint32_t>(n, 75025));
  EXPECT_EQ(read<uint32_t>(b, n), std::vector<uint32_t>(n, 46368));
}

TEST_P(VulkanDeviceTest, RecordedListsAreReplayedWithNewContents) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 333;
  const BufferId x = make_buffer(uint64_t{n} * 4), y = make_buffer(uint64_t{n} * 4);
  const BufferId z = make_buffer(uint64_t{n} * 4);
  CommandList list;
  list.dispatch(test::dispatch_of(kernel, 6, {{x, 0, n * 4}, {y, 0, n * 4}}, n, 2u));
  list.dispatch(test::dispatch_of(kernel, 6, {{y, 0, n * 4}, {z, 0, n * 4}}, n, 1u));
  const ListId recorded = must(device().record(list));
  uint32_t y0 = 0, z0 = 0;
  for (uint32_t step = 1; step <= 20; ++step) {
    const std::vector<uint32_t> values(n, step);
    must(device().write(x, 0, std::as_bytes(std::span(values))));
    const Submission submission = must(device().submit(recorded));
    y0 += 2 * step;
    z0 += y0;
    if (step % 7 == 0) {
      must(device().wait(submission));
      EXPECT_EQ(read<uint32_t>(z, n), std::vector<uint32_t>(n, z0)) << step;
    }
  }
  device().destroy_list(recorded);
  EXPECT_EQ(read<uint32_t>(y, n), std::vector<uint32_t>(n, y0));
  EXPECT_EQ(read<uint32_t>(z, n), std::vector<uint32_t>(n, z0));
  EXPECT_FALSE(device().submit(recorded));
}

TEST_P(VulkanDeviceTest, SlicesStartWhereTheySay) {
  const KernelId kernel = load(accumulate());
  const BufferId x = make_buffer(iota(256)), y = make_buffer(1024);
  run(test::dispatch_of(kernel, 1, {{x, 64, 256}, {y, 512, 256}}, 64u, 3u));
  const auto words = read<uint32_t>(y, 256);
  for (uint32_t i = 0; i < 256; ++i) {
    EXPECT_EQ(words[i], i >= 128 && i < 192 ? (i - 128 + 16) * 3 : 0u) << i;
  }
}

TEST_P(VulkanDeviceTest, BindingsBeyondTheUsualDescriptorRangeWork) {
  constexpr uint64_t kBytes = 300u << 20;  // lavapipe allows 128 MiB to a storage buffer descriptor
  KernelScope k("far", target().subgroup_size, target());
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> far_word = k.param<uint32_t>("far", 0), rows = k.param<uint32_t>("rows", 1);
  $if (local_id() == 0u) {
    y.store(0u, x.load<Storage::u32>(far_word));
    y.store(1u, x.at(rows, 1u << 20).load<Storage::u32>(0u));
  }
  const KernelId kernel = load(k.finish());
  const BufferId big = make_buffer(kBytes), out = make_buffer(64);
  const uint32_t marks[2] = {0xabcd1234u, 77u};
  must(device().write(big, kBytes - 4, std::as_bytes(std::span(marks, 1))));
  must(device().write(big, 299u << 20, std::as_bytes(std::span(marks + 1, 1))));
  run(test::dispatch_of(kernel, 1, {{big, 0, kBytes}, {out, 0, 64}}, static_cast<uint32_t>(kBytes / 4 - 1),
                        299u));
  EXPECT_EQ(read<uint32_t>(out, 2), (std::vector<uint32_t>{0xabcd1234u, 77u}));
}

TEST_P(VulkanDeviceTest, ManyDispatchesInOneListAndManyListsInFlight) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 64;
  const BufferId x = make_buffer(std::vector<uint32_t>(n, 1));
  std::vector<BufferId> sums;
  for (int i = 0; i < 10; ++i) sums.push_back(make_buffer(n * 4));
  CommandList list;
  for (int round = 0; round < 30; ++round) {
    for (const BufferId sum : sums) {
      list.dispatch(test::dispatch_of(kernel, 1, {{x, 0, n * 4}, {sum, 0, n * 4}}, n, 1u));
    }
  }
  const ListId recorded = must(device().record(list));
  Submission last = Submission::none;
  for (int i = 0; i < 20; ++i) last = must(device().submit(recorded));
  must(device().wait(last));
  for (const BufferId sum : sums) EXPECT_EQ(read<uint32_t>(sum, n), std::vector<uint32_t>(n, 600));
}

TEST_P(VulkanDeviceTest, BuffersDestroyedWhileInUseStayUntilTheWorkIsDone) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 100000;
  const BufferId x = make_buffer(std::vector<uint32_t>(n, 5));
  for (int round = 0; round < 10; ++round) {
    const BufferId y = make_buffer(uint64_t{n} * 4);
    CommandList list;
    list.dispatch(test::dispatch_of(kernel, (n + 63) / 64, {{x, 0, n * 4}, {y, 0, n * 4}}, n, 1u));
    must(device().submit(list));
    std::vector<uint32_t> out(n);
    const Submission done = must(device().read({y, 0, n * 4}, std::as_writable_bytes(std::span(out))));
    device().destroy_buffer(y);
    must(device().wait(done));
    ASSERT_EQ(out, std::vector<uint32_t>(n, 5)) << round;
  }
  EXPECT_EQ(device().allocated_bytes(), n * 4u);
}

TEST_P(VulkanDeviceTest, GridsHaveThreeAxesAndEmptyOnesAreNothing) {
  KernelScope k("grid", target().subgroup_size, target());
  const Buffer y = k.output("y");
  const Val<uint32_t> place =
      (workgroup_id(2) * num_workgroups(1) + workgroup_id(1)) * num_workgroups(0) + workgroup_id(0);
  $if (local_id() == 0u) {
    y.store(place, place + 1u);
  }
  Dispatch dispatch = test::dispatch_of(load(k.finish()), 1, {{make_buffer(4096), 0, 4096}});
  dispatch.workgroups = {5, 3, 2};
  run(dispatch);
  EXPECT_EQ(read<uint32_t>(dispatch.bindings[0].buffer, 30), iota(30, 1));
  dispatch.workgroups = {0, 3, 2};
  run(dispatch);
}

TEST_P(VulkanDeviceTest, RefusesWhatCannotWorkWithWords) {
  const auto huge = device().create_buffer(uint64_t{1} << 45, "huge");
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().kind, ErrorKind::out_of_memory);
  EXPECT_NE(huge.error().message().find("35184372088832 bytes"), std::string::npos) << huge.error().message();
  EXPECT_NE(huge.error().message().find("huge"), std::string::npos);
  EXPECT_NE(huge.error().message().find("in use"), std::string::npos);

  const KernelId kernel = load(accumulate());
  const BufferId x = make_buffer(256);
  const auto kind_of = [&](const Dispatch& dispatch) {
    CommandList list;
    list.dispatch(dispatch);
    const auto submitted = device().submit(list);
    const auto recorded = device().record(list);
    EXPECT_FALSE(submitted);
    EXPECT_FALSE(recorded);
    return submitted ? ErrorKind::internal : submitted.error().kind;
  };
  EXPECT_EQ(kind_of(test::dispatch_of(kernel, 1, {{x, 0, 256}}, 1u, 1u)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(test::dispatch_of(kernel, 1, {{x, 0, 256}, {x, 0, 257}}, 1u, 1u)),
            ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(test::dispatch_of(kernel, 1, {{x, 0, 256}, {x, 8, 16}}, 1u, 1u)),
            ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(test::dispatch_of(kernel, 1, {{x, 0, 256}, {x, 0, 256}}, 1u)),
            ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(test::dispatch_of(KernelId{12345}, 1, {})), ErrorKind::invalid_argument);

  std::vector<std::byte> bytes(300);
  EXPECT_FALSE(device().write(x, 0, bytes));
  EXPECT_FALSE(device().write(BufferId{999}, 0, bytes));
  EXPECT_FALSE(device().read({x, 0, 300}, bytes));
  EXPECT_FALSE(device().wait(Submission{uint64_t{1} << 60}));
  KernelBinary junk;
  junk.format = KernelBinary::Format::spirv;
  junk.code.resize(64);
  EXPECT_FALSE(device().load(junk));
  EXPECT_FALSE(open_vulkan_program_device(1000));
}

/// Keeps this process from taking more than `bytes` of new memory, while it lives.
class MemoryLimit {
 public:
  explicit MemoryLimit(uint64_t bytes) {
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    getrlimit(RLIMIT_AS, &before_);
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<uint64_t>(getpagesize()) + bytes;
    setrlimit(RLIMIT_AS, &limit);
  }
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

TEST_P(VulkanDeviceTest, ExhaustedMemoryIsAnErrorAndTheDeviceGoesOn) {
#if __has_feature(address_sanitizer)
  if (target().is_cpu) GTEST_SKIP() << "AddressSanitizer's malloc ends the process when it is out of memory";
#endif
  // A software driver would take all of the machine's memory before it said no.
  std::optional<MemoryLimit> limit;
  if (target().is_cpu) limit.emplace(uint64_t{400} << 20);
  const uint64_t size =
      target().is_cpu ? 128u << 20 : std::min<uint64_t>(device().caps().max_buffer_bytes, uint64_t{3} << 30);
  std::vector<BufferId> taken;
  while (taken.size() < 256) {
    auto buffer = device().create_buffer(size, "filler");
    if (!buffer) {
      EXPECT_EQ(buffer.error().kind, ErrorKind::out_of_memory) << buffer.error().message();
      EXPECT_NE(buffer.error().message().find("filler"), std::string::npos);
      break;
    }
    taken.push_back(*buffer);
  }
  limit.reset();
  EXPECT_LT(taken.size(), 256u);
  for (const BufferId buffer : taken) device().destroy_buffer(buffer);
  EXPECT_EQ(read<uint32_t>(make_buffer(iota(10)), 10), iota(10));
}

TEST_P(VulkanDeviceTest, BinariesLoadInAnotherDeviceOfTheSameIdentity) {
  const KernelBinary binary = must(device().compile(accumulate()));
  auto other = must(open_vulkan_program_device(test::vulkan_devices()[place()].first));
  EXPECT_EQ(other->compiler_identity(), device().compiler_identity());
  EXPECT_TRUE(other->load(binary));
}

}  // namespace
}  // namespace tattletale

// On a card: every operation against the interpreter, order of writes, submissions and reads, replay, memory.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "backends/cuda/cuda_fixture.h"
#include "backends/cuda/cuda_program_device.h"
#include "backends/cuda/tiled_matmul.h"
#include "compiler/pipeline.h"
#include "ir/verify.h"
#include "support/op_conformance.h"
#include "tensor/float16.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

class CudaDeviceTest : public CudaTest {
 protected:
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
  static std::vector<uint32_t> numbers(uint32_t count, uint32_t first) {
    std::vector<uint32_t> values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
  }
};

TEST_F(CudaDeviceTest, SaysWhatItIs) {
  const auto devices = list_cuda_devices();
  ASSERT_FALSE(devices.empty());
  for (const CudaDeviceDescription& d : devices) {
    std::printf("%u: %s, sm_%u, %u processors, %llu bytes, CUDA %s\n", d.index, d.name.c_str(),
                d.compute_capability, d.num_processors, static_cast<unsigned long long>(d.memory_bytes),
                d.driver_version.c_str());
    EXPECT_FALSE(d.name.empty());
    EXPECT_GE(d.compute_capability, 50u);
    EXPECT_GT(d.memory_bytes, 1u << 30);
  }
  std::printf("%s; %s\n", device().caps().isa.c_str(), device().compiler_identity().c_str());
  EXPECT_EQ(device().caps().backend, "cuda");
  EXPECT_EQ(target().subgroup_size, 32u);
  EXPECT_GE(target().max_shared_bytes, 99u * 1024);
  EXPECT_GT(target().num_processors, 0u);
  EXPECT_NE(device().compiler_identity().find("NVRTC 1"), std::string::npos);
  EXPECT_EQ(open_cuda_program_device(1000).error().kind, ErrorKind::not_found);
}

TEST_F(CudaDeviceTest, EveryOperationComputesWhatTheInterpreterDoes) {
  for (const uint32_t threads : {32u, 64u, 256u}) {
    for (const OpKernel& op : op_kernels(target(), threads)) {
      const auto difference = difference_on(device(), op);
      ASSERT_TRUE(difference) << difference.error().message();
      EXPECT_EQ(*difference, "") << threads << " threads";
      OpKernel optimised = op;
      optimised.kernel = must(compiler::run_pipeline(op.kernel, target()));
      const auto after = difference_on(device(), optimised);
      ASSERT_TRUE(after) << after.error().message();
      EXPECT_EQ(*after, "") << threads << " threads, after the pass list";
    }
  }
}

TEST_F(CudaDeviceTest, BuffersStartAsZeros) {
  const uint64_t before = device().allocated_bytes();
  for (const uint64_t size : {4u, 1000u, 1u << 20, 5u << 20}) {
    const BufferId dirty = make_buffer(std::vector<uint32_t>(size / 4, 0xffffffffu));
    device().destroy_buffer(dirty);
    const BufferId buffer = make_buffer(size);
    const auto words = read<uint32_t>(buffer, size / 4);
    EXPECT_EQ(std::count(words.begin(), words.end(), 0u), static_cast<std::ptrdiff_t>(words.size())) << size;
    device().destroy_buffer(buffer);
  }
  EXPECT_EQ(device().allocated_bytes(), before);
}

TEST_F(CudaDeviceTest, WritesAndReadsOfAnySizeAtAnyByte) {
  std::vector<uint8_t> expected((100u << 20) + 13);  // past the ring of writes, past the blocks of reads
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  const BufferId buffer = make_buffer(expected);
  EXPECT_EQ(read<uint8_t>(buffer, expected.size()), expected);
  const std::vector<uint8_t> patch = {1, 2, 3, 4, 5};
  must(device().write(buffer, 1234567, std::as_bytes(std::span(patch))));
  std::copy(patch.begin(), patch.end(), expected.begin() + 1234567);
  const auto some = read<uint8_t>(buffer, 4000, 1234001);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), expected.begin() + 1234001));
  device().destroy_buffer(buffer);
}

TEST_F(CudaDeviceTest, EachSubmissionSeesTheWritesBeforeItAndNoneAfter) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 100'000;
  const BufferId x = make_buffer(uint64_t{n} * 4), y = make_buffer(uint64_t{n} * 4);
  CommandList list;
  list.dispatch(dispatch_of(kernel, (n + 63) / 64, {{x, 0, n * 4}, {y, 0, n * 4}}, n, 1u));
  list.dispatch(dispatch_of(kernel, (n + 63) / 64, {{x, 0, n * 4}, {y, 0, n * 4}}, n, 2u));
  const ListId recorded = must(device().record(list));
  uint32_t sum = 0;
  std::vector<std::vector<uint32_t>> seen;
  std::vector<uint32_t> expected;
  Submission last{};
  for (uint32_t turn = 0; turn < 50; ++turn) {  // nothing waits in here
    const std::vector<uint32_t> input = numbers(n, turn * 7);
    must(device().write(x, 0, std::as_bytes(std::span(input))));
    must(turn % 2 == 0 ? device().submit(list) : device().submit(recorded));
    sum += 3 * turn * 7;
    expected.push_back(sum);
    seen.emplace_back(16);
    last = must(device().read({y, 0, 64}, std::as_writable_bytes(std::span(seen.back()))));
  }
  must(device().wait(last));
  for (uint32_t turn = 0; turn < 50; ++turn) {
    for (uint32_t i = 0; i < 16; ++i) ASSERT_EQ(seen[turn][i], expected[turn] + 3 * i * (turn + 1)) << turn;
  }
  EXPECT_EQ(read<uint32_t>(y, n)[n - 1], sum + 3 * (n - 1) * 50);
  device().destroy_list(recorded);
  device().destroy_buffer(x);
  device().destroy_buffer(y);
}

/// Each launch reads what the one before wrote, from all over the card: a kernel that starts too early, or
/// finds old bytes in a cache, leaves a number that is too small, and the permutation carries it to the end.
TEST_F(CudaDeviceTest, RecordedLaunchesSeeEverythingBeforeThem) {
  KernelScope k("permuted_step", 128, target());
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> mask = k.param<uint32_t>("mask", 0);
  const Val<uint32_t> i = workgroup_id() * 128u + local_id();
  y.store(i, x.load<Storage::u32>((i * 2654435761u + 12345u) & mask) + 1u);
  const ir::Kernel step = k.finish();
  constexpr uint32_t kLaunches = 64, kReplays = 40;
  for (const bool overlap : {true, false}) {
    auto opened = open_cuda_program_device(0, {.overlap_launches = overlap});
    ASSERT_TRUE(opened) << opened.error().message();
    compiler::ProgramDevice& on = **opened;
    const KernelId kernel = must(on.load(must(on.compile(step))));
    for (const uint32_t n : {128u, 4096u, 1u << 18, 1u << 22}) {
      const BufferSlice a{must(on.create_buffer(uint64_t{n} * 4, "a")), 0, uint64_t{n} * 4};
      const BufferSlice b{must(on.create_buffer(uint64_t{n} * 4, "b")), 0, uint64_t{n} * 4};
      CommandList list;
      for (uint32_t launch = 0; launch < kLaunches; ++launch) {
        list.dispatch(launch % 2 == 0 ? dispatch_of(kernel, n / 128, {a, b}, n - 1)
                                      : dispatch_of(kernel, n / 128, {b, a}, n - 1));
      }
      const ListId recorded = must(on.record(list));
      for (uint32_t replay = 0; replay < kReplays; ++replay) must(on.submit(recorded));
      std::vector<uint32_t> out(n);
      must(on.wait(must(on.read(a, std::as_writable_bytes(std::span(out))))));
      EXPECT_EQ(std::count(out.begin(), out.end(), kLaunches * kReplays), static_cast<std::ptrdiff_t>(n))
          << n << " words, overlapping launches " << overlap << ", least "
          << *std::min_element(out.begin(), out.end());
    }
  }
}

TEST_F(CudaDeviceTest, PollSaysWhenItIsDone) {
  const KernelId kernel = load(accumulate());
  constexpr uint32_t n = 1 << 22;
  const BufferId x = make_buffer(std::vector<uint32_t>(n, 1)), y = make_buffer(uint64_t{n} * 4);
  CommandList list;
  for (int i = 0; i < 200; ++i) {
    list.dispatch(dispatch_of(kernel, n / 64, {{x, 0, uint64_t{n} * 4}, {y, 0, uint64_t{n} * 4}}, n, 1u));
  }
  const Submission first = must(device().submit(list));
  std::vector<uint32_t> out(4);
  const Submission second = must(device().read({y, 0, 16}, std::as_writable_bytes(std::span(out))));
  uint64_t polls = 0;
  while (!must(device().poll(second))) ++polls;
  EXPECT_TRUE(must(device().poll(first)));
  EXPECT_EQ(out, std::vector<uint32_t>(4, 200));
  EXPECT_GT(polls, 0u) << "so much cannot have been read before the first poll";
  device().destroy_buffer(x);
  device().destroy_buffer(y);
}

TEST_F(CudaDeviceTest, SlicesOffsetsAndAbsentBindings) {
  const KernelId kernel = load(accumulate());
  const BufferId buffer = make_buffer(numbers(64, 0));
  CommandList list;  // words 16..31 += words 32..47
  list.dispatch(dispatch_of(kernel, 1, {{buffer, 128, 64}, {buffer, 64, 64}}, 16u, 1u));
  list.dispatch(dispatch_of(kernel, 1, {{}, {}}, 0u, 1u));  // n = 0: neither is touched
  must(device().submit(list));
  const auto words = read<uint32_t>(buffer, 64);
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(words[i], i + (i >= 16 && i < 32 ? i + 16 : 0)) << i;
  device().destroy_buffer(buffer);
}

TEST_F(CudaDeviceTest, OutOfMemoryNamesTheSizesAndLosesNothing) {
  const BufferId small = make_buffer(numbers(100, 5));
  const uint64_t too_much = device().caps().max_buffer_bytes * 2;
  const auto buffer = device().create_buffer(too_much, "too much");
  ASSERT_FALSE(buffer);
  EXPECT_EQ(buffer.error().kind, ErrorKind::out_of_memory);
  EXPECT_NE(buffer.error().what.find("\"too much\" of " + std::to_string(too_much)), std::string::npos)
      << buffer.error().what;
  EXPECT_NE(buffer.error().what.find(std::to_string(device().allocated_bytes()) + " bytes in use here"),
            std::string::npos)
      << buffer.error().what;
  EXPECT_EQ(read<uint32_t>(small, 100), numbers(100, 5));
  device().destroy_buffer(small);
}

/// Turns a workgroup's words round by way of almost all the shared memory there is.
TEST_F(CudaDeviceTest, DynamicSharedMemoryUpToTheCardsLimit) {
  const uint32_t words = target().max_shared_bytes / 4 / 256 * 256;
  KernelScope k("turn_round", 256, target());
  const Buffer x = k.input("x"), y = k.output("y");
  const Shared<uint32_t> all("all", words);
  $for (i, local_id(), words, 256u) {
    all.store(i, x.load<Storage::u32>(i));
  }
  barrier();
  $for (i, local_id(), words, 256u) {
    y.store(i, all.load(words - 1u - i));
  }
  const ir::Kernel kernel = k.finish();
  EXPECT_GT(kernel.shared_bytes(), 98u * 1024);
  const BufferId from = make_buffer(numbers(words, 3)), to = make_buffer(uint64_t{words} * 4);
  CommandList list;
  list.dispatch(dispatch_of(load(kernel), 1, {{from, 0, words * 4}, {to, 0, words * 4}}));
  must(device().submit(must(device().record(list))));
  auto expected = numbers(words, 3);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(read<uint32_t>(to, words), expected);
  device().destroy_buffer(from);
  device().destroy_buffer(to);
}

TEST_F(CudaDeviceTest, ATiledMatrixProduct) {
  constexpr uint32_t m = 192, n = 128, depth = 320;
  for (const Storage element : {Storage::f16, Storage::bf16}) {
    const ir::Kernel kernel = tiled_matmul(target(), element);
    const auto legal = ir::verify(kernel, target());
    ASSERT_TRUE(legal) << legal.error().message();
    const auto value = [](uint32_t i) {
      return static_cast<float>(static_cast<int>(i * 2654435761u >> 28) - 8);
    };
    const auto bits = [&](float x) { return element == Storage::f16 ? f32_to_f16(x) : f32_to_bf16(x); };
    std::vector<uint16_t> a(m * depth), b(n * depth);
    for (uint32_t i = 0; i < a.size(); ++i) a[i] = bits(value(i));
    for (uint32_t i = 0; i < b.size(); ++i) b[i] = bits(value(i + 77));
    const BufferId buffer_a = make_buffer(a), buffer_b = make_buffer(b), buffer_c = make_buffer(m * n * 4);
    Dispatch dispatch = dispatch_of(
        load(kernel), n / 64,
        {{buffer_a, 0, a.size() * 2}, {buffer_b, 0, b.size() * 2}, {buffer_c, 0, m * n * 4}}, n, depth);
    dispatch.workgroups[1] = m / 64;
    CommandList list;
    list.dispatch(dispatch);
    must(device().submit(list));
    const auto c = read<float>(buffer_c, m * n);
    for (uint32_t row = 0; row < m; ++row) {
      for (uint32_t column = 0; column < n; ++column) {
        float sum = 0;
        for (uint32_t k = 0; k < depth; ++k) sum += value(row * depth + k) * value(column * depth + k + 77);
        ASSERT_EQ(c[row * n + column], sum) << row << ", " << column;  // small integers: exact in any order
      }
    }
    for (const BufferId buffer : {buffer_a, buffer_b, buffer_c}) device().destroy_buffer(buffer);
  }
}

TEST_F(CudaDeviceTest, TheDriverAgreesOnResources) {
  auto& cuda = static_cast<cuda::CudaProgramDevice&>(device());
  const ir::Kernel kernel = tiled_matmul(target(), Storage::bf16);
  const auto resources = cuda.resources(load(kernel));
  ASSERT_TRUE(resources) << resources.error().message();
  EXPECT_GT(resources->registers, 32u);
  EXPECT_LT(resources->registers, 200u);
  EXPECT_EQ(resources->stack_bytes, 0u);
  EXPECT_GE(resources->shared_bytes, kernel.shared_bytes());
  EXPECT_LE(resources->shared_bytes, kernel.shared_bytes() + 1024);  // the system's own part, where it counts
}

TEST_F(CudaDeviceTest, RefusesADamagedProgram) {
  KernelBinary binary = must(device().compile(accumulate()));
  std::fill(binary.code.begin(), binary.code.begin() + 64, std::byte{0});
  const auto loaded = device().load(binary);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message().find("accumulate: cuModule"), std::string::npos)
      << loaded.error().message();
}

/// A process of its own: after this the driver serves it no more.
TEST_F(CudaDeviceTest, AnAccessOutOfBoundsLosesTheDevice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto lose = [&] {
    const KernelId kernel = load(accumulate());
    const BufferId x = make_buffer(uint64_t{4096}), y = make_buffer(uint64_t{4096});
    CommandList list;
    list.dispatch(dispatch_of(kernel, 1 << 20, {{x, 0, 4096}, {y, 0, 4096}}, 1u << 26, 1u));
    const auto submission = device().submit(list);
    const auto waited = submission ? device().wait(*submission) : Result<void>(submission.error());
    const auto after = device().create_buffer(16, "after");
    const bool lost = !waited && waited.error().kind == ErrorKind::device_lost && !after &&
                      after.error().kind == ErrorKind::device_lost;
    std::fprintf(stderr, "%s\n", waited ? "nothing happened" : waited.error().message().c_str());
    std::_Exit(lost ? 0 : 1);
  };
  EXPECT_EXIT(lose(), testing::ExitedWithCode(0), "CUDA_ERROR_ILLEGAL_ADDRESS");
}

}  // namespace
}  // namespace tattletale::test

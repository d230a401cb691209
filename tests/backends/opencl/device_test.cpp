// Buffers, submissions, recorded lists and errors of the OpenCL device, with small kernels made here.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <random>

#include "backends/opencl/opencl_fixture.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: kernel bodies are written this way
using testing::HasSubstr;

constexpr uint32_t kThreads = 64;

/// y[i] = y[i] * factor + x[i], i below n.
ir::Kernel multiply_add_kernel(const ir::TargetInfo& target) {
  KernelScope k("multiply_add", kThreads, target);
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> n = k.param<uint32_t>("n", 0), factor = k.param<uint32_t>("factor", 1);
  const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
  $if (i < n) {
    y.store(i, y.load<Storage::u32>(i) * factor + x.load<Storage::u32>(i));
  }
  return k.finish();
}

/// y[i] = x[i].
ir::Kernel copy_kernel(const ir::TargetInfo& target) {
  KernelScope k("copy", kThreads, target);
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
  y.store(i, x.load<Storage::u32>(i));
  return k.finish();
}

class OpenclDevice : public OpenclTest {
 protected:
  KernelId multiply_add() {
    static const KernelId kernel = load(multiply_add_kernel(target()));
    return kernel;
  }
  KernelId copy() {
    static const KernelId kernel = load(copy_kernel(target()));
    return kernel;
  }
  BufferSlice all(BufferId buffer) { return {buffer, 0, 0}; }
  void destroy(std::initializer_list<BufferId> buffers) {
    for (const BufferId buffer : buffers) device().destroy_buffer(buffer);
  }
};

std::vector<uint32_t> counting(size_t count, uint32_t first = 0) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_F(OpenclDevice, DescribesItself) {
  const auto listed = list_opencl_devices();
  ASSERT_FALSE(listed.empty());
  for (size_t i = 0; i < listed.size(); ++i) {
    EXPECT_EQ(listed[i].index, i);
    EXPECT_FALSE(listed[i].name.empty());
    EXPECT_FALSE(listed[i].driver_version.empty());
    EXPECT_GT(listed[i].memory_bytes, 1u << 20);
  }
  EXPECT_EQ(device().caps().backend, "opencl");
  EXPECT_EQ(device().caps().offset_alignment_bytes, 16u);
  EXPECT_GE(device().caps().max_buffer_bytes, 128u << 20);
  EXPECT_GE(target().max_workgroup_threads, 256u);
  EXPECT_GE(target().max_shared_bytes, 32u << 10);
  EXPECT_GE(target().num_processors, 1u);
  EXPECT_THAT(device().compiler_identity(), HasSubstr(device().caps().name));
  std::printf("%s\n  subgroup %u, workgroup %u threads, shared %u bytes, largest buffer %llu bytes\n",
              device().compiler_identity().c_str(), target().subgroup_size, target().max_workgroup_threads,
              target().max_shared_bytes, static_cast<unsigned long long>(device().caps().max_buffer_bytes));
}

TEST_F(OpenclDevice, AnIndexThatIsNotThereNamesThoseThatAre) {
  const auto opened = open_opencl_program_device(1000);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::invalid_argument);
  EXPECT_THAT(opened.error().message(), HasSubstr("0: " + list_opencl_devices()[0].name));
}

TEST_F(OpenclDevice, NewBuffersAreZeroAndCounted) {
  const uint64_t before = device().allocated_bytes();
  for (const uint64_t size_bytes : {uint64_t{1}, uint64_t{4}, uint64_t{17}, uint64_t{(3 << 20) + 5}}) {
    const BufferId dirty = make_buffer(size_bytes);
    must(device().write(dirty, 0, std::vector<std::byte>(size_bytes, std::byte{0xa5})));
    EXPECT_EQ(read<uint8_t>(dirty, size_bytes), std::vector<uint8_t>(size_bytes, 0xa5));
    device().destroy_buffer(dirty);  // its memory is likely to come again
    const BufferId buffer = make_buffer(size_bytes);
    EXPECT_EQ(device().allocated_bytes(), before + size_bytes);
    EXPECT_EQ(read<uint8_t>(buffer, size_bytes), std::vector<uint8_t>(size_bytes, 0)) << size_bytes;
    device().destroy_buffer(buffer);
    EXPECT_EQ(device().allocated_bytes(), before);
  }
  const BufferId empty = make_buffer(uint64_t{0});
  EXPECT_EQ(read<uint8_t>(empty, 0).size(), 0u);
  device().destroy_buffer(empty);
}

TEST_F(OpenclDevice, WritesAndReadsAtAnyByte) {
  std::mt19937 random(1);
  constexpr size_t kBytes = 100'000;
  const BufferId buffer = make_buffer(uint64_t{kBytes});
  std::vector<std::byte> expected(kBytes);
  for (int i = 0; i < 300; ++i) {
    const size_t offset = random() % kBytes;
    std::vector<std::byte> bytes(random() % std::min<size_t>(kBytes - offset, 3000));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    std::ranges::copy(bytes, expected.begin() + static_cast<ptrdiff_t>(offset));
    must(device().write(buffer, offset, bytes));
    if (i % 20 == 0) {
      const size_t first = random() % kBytes, count = random() % (kBytes - first);
      const auto got = read<std::byte>(buffer, count, first);
      ASSERT_TRUE(std::equal(got.begin(), got.end(), expected.begin() + static_cast<ptrdiff_t>(first)));
    }
  }
  EXPECT_EQ(read<std::byte>(buffer, kBytes), expected);
  destroy({buffer});
}

TEST_F(OpenclDevice, LargeWritesArriveWhole) {
  // Several times round the ring, with an end and a beginning that fall in the middle of its slots.
  const auto values = counting((40u << 20) / 4 + 3, 0x9000'0000);
  const BufferId buffer = make_buffer(uint64_t{values.size() * 4 + 64});
  must(device().write(buffer, 4, std::as_bytes(std::span(values).first(5))));
  must(device().write(buffer, 20, std::as_bytes(std::span(values))));
  EXPECT_EQ(read<uint32_t>(buffer, values.size(), 20), values);
  EXPECT_EQ(read<uint32_t>(buffer, 4, 4), counting(4, 0x9000'0000));
  destroy({buffer});
}

TEST_F(OpenclDevice, AWriteIsOrderedBetweenSubmissions) {
  // No waiting in between: each launch must see the write before it and none of those after it, though the
  // caller's bytes change as soon as write() is back.
  constexpr uint32_t kCount = 4096, kSteps = 200;
  const BufferId x = make_buffer(uint64_t{kCount * 4}), y = make_buffer(uint64_t{kCount * 4});
  std::vector<uint32_t> values(kCount), expected(kCount);
  Submission last = Submission::none;
  for (uint32_t step = 0; step < kSteps; ++step) {
    for (uint32_t i = 0; i < kCount; ++i) values[i] = step * 77 + i;
    must(device().write(x, 0, std::as_bytes(std::span(values))));
    CommandList list;
    list.dispatch(dispatch_of(multiply_add(), kCount / kThreads, {all(x), all(y)}, kCount, 3u));
    last = must(device().submit(list));
    for (uint32_t i = 0; i < kCount; ++i) expected[i] = expected[i] * 3 + values[i];
    std::ranges::fill(values, 0xdeadbeef);
  }
  must(device().wait(last));
  EXPECT_EQ(read<uint32_t>(y, kCount), expected);
  destroy({x, y});
}

TEST_F(OpenclDevice, WritesBehindLongWorkKeepTheirBytes) {
  // The copies cannot start while the launches run; more bytes than the rings hold must wait, not overwrite.
  const BufferId x = make_buffer(counting(1 << 20)), y = make_buffer(uint64_t{4 << 20});
  constexpr uint32_t kPiece = 20'000, kPieces = 400;  // 32 MB
  const BufferId z = make_buffer(uint64_t{kPiece * kPieces * 4});
  const auto values = counting(kPiece * kPieces);
  CommandList list;
  for (uint32_t i = 0; i < (target().is_cpu ? 40 : 4000); ++i) {
    list.dispatch(dispatch_of(multiply_add(), (1 << 20) / kThreads, {all(x), all(y)}, 1u << 20, 1u));
  }
  const Submission work = must(device().submit(list));
  for (uint32_t i = 0; i < kPieces; ++i) {
    const auto piece = std::span(values).subspan(i * kPiece, kPiece);
    must(device().write(z, i * kPiece * 4, std::as_bytes(piece)));
    if (i == 5) EXPECT_FALSE(must(device().poll(work))) << "a small write waited for the work before it";
  }
  EXPECT_EQ(read<uint32_t>(z, values.size()), values);
  destroy({x, y, z});
}

TEST_F(OpenclDevice, ReadsSeeWhatWasSubmittedBeforeThem) {
  // More bytes in flight than any ring holds; results are looked at only at the end, in mixed order.
  constexpr uint32_t kCount = 300'000, kSteps = 16;
  const BufferId x = make_buffer(counting(kCount)), y = make_buffer(uint64_t{kCount * 4});
  CommandList list;
  list.dispatch(dispatch_of(multiply_add(), kCount / kThreads + 1, {all(x), all(y)}, kCount, 1u));
  std::vector<std::vector<uint32_t>> results(kSteps, std::vector<uint32_t>(kCount));
  std::vector<Submission> reads;
  for (uint32_t step = 0; step < kSteps; ++step) {
    (void)must(device().submit(list));
    reads.push_back(
        must(device().read({y, 0, kCount * 4}, std::as_writable_bytes(std::span(results[step])))));
  }
  must(device().wait(reads[5]));
  EXPECT_TRUE(must(device().poll(reads[2])));
  must(device().wait(reads[kSteps - 1]));
  for (uint32_t step = 0; step < kSteps; ++step) {
    EXPECT_TRUE(must(device().poll(reads[step])));
    for (const uint32_t i : {0u, 1u, 131'071u, kCount - 1}) {
      ASSERT_EQ(results[step][i], i * (step + 1)) << step;
    }
  }
  destroy({x, y});
}

TEST_F(OpenclDevice, EachDispatchOfAListSeesTheOneBeforeIt) {
  const BufferId a = make_buffer(counting(1000)), b = make_buffer(uint64_t{4000});
  CommandList list;
  for (int i = 0; i < 10; ++i) {
    list.dispatch(dispatch_of(multiply_add(), 16, {all(a), all(b)}, 1000u, 1u));
    list.dispatch(dispatch_of(multiply_add(), 16, {all(b), all(a)}, 1000u, 1u));
  }
  (void)must(device().submit(list));
  std::vector<uint32_t> va = counting(1000), vb(1000);
  for (int i = 0; i < 10; ++i) {
    for (uint32_t j = 0; j < 1000; ++j) vb[j] += va[j];
    for (uint32_t j = 0; j < 1000; ++j) va[j] += vb[j];
  }
  EXPECT_EQ(read<uint32_t>(a, 1000), va);
  EXPECT_EQ(read<uint32_t>(b, 1000), vb);
  destroy({a, b});
}

TEST_F(OpenclDevice, RecordedListsReplayWithWhateverTheBuffersHold) {
  constexpr uint32_t kCount = 1000;
  const BufferId x = make_buffer(uint64_t{kCount * 4}), y = make_buffer(uint64_t{kCount * 4}),
                 z = make_buffer(uint64_t{kCount * 4});
  CommandList list;
  list.dispatch(dispatch_of(multiply_add(), 16, {all(x), all(y)}, kCount, 2u));
  list.dispatch(dispatch_of(multiply_add(), 16, {all(y), all(z)}, kCount, 5u));
  list.dispatch(dispatch_of(multiply_add(), 0, {all(y), all(z)}, kCount, 7u));
  const ListId first = must(device().record(list));
  list.clear();
  list.dispatch(dispatch_of(multiply_add(), 1, {all(z), all(x)}, 10u, 0u));
  const ListId second = must(device().record(list));

  std::vector<uint32_t> vx(kCount), vy(kCount), vz(kCount);
  const auto run_first = [&] {
    for (uint32_t i = 0; i < kCount; ++i) {
      vy[i] = vy[i] * 2 + vx[i];
      vz[i] = vz[i] * 5 + vy[i];
    }
  };
  for (uint32_t step = 0; step < 20; ++step) {
    vx = counting(kCount, step * 1000);
    must(device().write(x, 0, std::as_bytes(std::span(vx))));
    (void)must(device().submit(first));
    run_first();
    // A list that is not recorded sets other arguments on the same kernel in between.
    CommandList other;
    other.dispatch(dispatch_of(multiply_add(), 1, {all(x), all(y)}, 3u, 1u));
    (void)must(device().submit(other));
    for (uint32_t i = 0; i < 3; ++i) vy[i] += vx[i];
    (void)must(device().submit(second));
    for (uint32_t i = 0; i < 10; ++i) vx[i] = vz[i];
  }
  EXPECT_EQ(read<uint32_t>(x, kCount), vx);
  EXPECT_EQ(read<uint32_t>(y, kCount), vy);
  EXPECT_EQ(read<uint32_t>(z, kCount), vz);

  const Submission last = must(device().submit(first));
  device().destroy_list(first);  // while it runs
  run_first();
  must(device().wait(last));
  EXPECT_EQ(read<uint32_t>(z, kCount), vz);
  EXPECT_EQ(device().submit(first).error().kind, ErrorKind::invalid_argument);
  device().destroy_list(second);
  destroy({x, y, z});
}

TEST_F(OpenclDevice, AnEmptyListIsASubmissionToo) {
  const Submission nothing = must(device().submit(CommandList()));
  must(device().wait(nothing));
  EXPECT_TRUE(must(device().poll(nothing)));
  const ListId list = must(device().record(CommandList()));
  must(device().wait(must(device().submit(list))));
  device().destroy_list(list);
}

TEST_F(OpenclDevice, PollSaysTrueInTheEndAndNeverWaits) {
  const BufferId x = make_buffer(counting(1 << 20)), y = make_buffer(uint64_t{4 << 20});
  CommandList list;
  const uint32_t num_launches = target().is_cpu ? 20 : 400;
  for (uint32_t i = 0; i < num_launches; ++i) {
    list.dispatch(dispatch_of(multiply_add(), (1 << 20) / kThreads, {all(x), all(y)}, 1u << 20, 1u));
  }
  const Submission submission = must(device().submit(list));
  uint64_t turns = 0;
  while (!must(device().poll(submission))) ++turns;
  std::printf("polled %llu times\n", static_cast<unsigned long long>(turns));
  EXPECT_GT(turns, 0u) << "submit() waited for the work";
  EXPECT_TRUE(must(device().poll(submission)));
  EXPECT_EQ(read<uint32_t>(y, 3), (std::vector<uint32_t>{0, num_launches, 2 * num_launches}));
  destroy({x, y});
}

TEST_F(OpenclDevice, ThousandsOfSubmissionsNobodyAsksAbout) {
  const BufferId x = make_buffer(counting(64)), y = make_buffer(uint64_t{256});
  CommandList list;
  list.dispatch(dispatch_of(multiply_add(), 1, {all(x), all(y)}, 64u, 1u));
  const ListId recorded = must(device().record(list));
  for (int i = 0; i < 3000; ++i) (void)must(device().submit(recorded));
  EXPECT_EQ(read<uint32_t>(y, 64)[63], 63u * 3000);
  device().destroy_list(recorded);
  destroy({x, y});
}

TEST_F(OpenclDevice, BuffersMayGoWhileTheirWorkRuns) {
  constexpr uint32_t kCount = 1 << 18;
  const BufferId y = make_buffer(uint64_t{kCount * 4});
  for (int i = 0; i < 20; ++i) {
    const BufferId x = make_buffer(std::vector<uint32_t>(kCount, 7));
    CommandList list;
    list.dispatch(dispatch_of(multiply_add(), kCount / kThreads, {all(x), all(y)}, kCount, 1u));
    (void)must(device().submit(list));
    destroy({x});
  }
  EXPECT_EQ(read<uint32_t>(y, kCount), std::vector<uint32_t>(kCount, 140));
  destroy({y});
}

TEST_F(OpenclDevice, EveryMultipleOfSixteenIsAnOffset) {
  constexpr uint32_t kCount = 64;
  const BufferId x = make_buffer(counting(4096)), y = make_buffer(uint64_t{16384});
  for (uint32_t offset = 0; offset < 1024; offset += 16) {
    const uint32_t to = 16384 - kCount * 4 - offset;
    CommandList list;
    list.dispatch(dispatch_of(copy(), 1, {{x, offset, kCount * 4}, {y, to, kCount * 4}}));
    (void)must(device().submit(list));
    ASSERT_EQ(read<uint32_t>(y, kCount, to), counting(kCount, offset / 4)) << offset;
  }
  destroy({x, y});
}

TEST_F(OpenclDevice, OffsetsPastFourGigabytes) {
  constexpr uint64_t kFar = (4ull << 30) + 4096 + 16;
  if (device().caps().max_buffer_bytes < kFar + 4096) GTEST_SKIP() << "the device's buffers are smaller";
  if (target().is_cpu && std::getenv("TT_OPENCL_LARGE") == nullptr) {
    GTEST_SKIP() << "would fill 8 GiB of the machine's memory; TT_OPENCL_LARGE=1 runs it";
  }
  const BufferId x = make_buffer(kFar + 4096), y = make_buffer(kFar + 4096);
  const auto far = counting(64, 500), near = counting(64, 900);
  must(device().write(x, kFar, std::as_bytes(std::span(far))));
  must(device().write(x, kFar - (4ull << 30), std::as_bytes(std::span(near))));
  CommandList list;
  list.dispatch(dispatch_of(copy(), 1, {{x, kFar, 256}, {y, kFar, 256}}));
  (void)must(device().submit(list));
  EXPECT_EQ(read<uint32_t>(y, 64, kFar), counting(64, 500));
  EXPECT_EQ(read<uint32_t>(y, 64, kFar - (4ull << 30)), std::vector<uint32_t>(64));
  EXPECT_EQ(read<uint32_t>(y, 64, kFar + 256), std::vector<uint32_t>(64));
  destroy({x, y});
}

TEST_F(OpenclDevice, ABindingMayBeAbsent) {
  KernelScope k("optional", kThreads, target());
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> with = k.param<uint32_t>("with", 0), i = local_id();
  Var<uint32_t> v(1u);
  $if (with == 1u) {
    v = x.load<Storage::u32>(i);
  }
  y.store(i, v);
  const KernelId kernel = load(k.finish());
  const BufferId x_buffer = make_buffer(counting(64, 10)), y_buffer = make_buffer(uint64_t{256});
  CommandList list;
  list.dispatch(dispatch_of(kernel, 1, {BufferSlice{}, all(y_buffer)}, 0u));
  (void)must(device().submit(list));
  EXPECT_EQ(read<uint32_t>(y_buffer, 64), std::vector<uint32_t>(64, 1));
  list.clear();
  list.dispatch(dispatch_of(kernel, 1, {all(x_buffer), all(y_buffer)}, 1u));
  (void)must(device().submit(list));
  EXPECT_EQ(read<uint32_t>(y_buffer, 64), counting(64, 10));
  destroy({x_buffer, y_buffer});
}

// ---- Errors

TEST_F(OpenclDevice, ABufferLargerThanAnyIsOutOfMemory) {
  const uint64_t asked = device().caps().max_buffer_bytes + 1;
  const auto huge = device().create_buffer(asked, "weights");
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().kind, ErrorKind::out_of_memory);
  EXPECT_THAT(huge.error().message(), HasSubstr("\"weights\" of " + std::to_string(asked) + " bytes"));
  EXPECT_THAT(huge.error().message(), HasSubstr("in use"));
}

TEST_F(OpenclDevice, OutOfMemoryNamesSizesAndLeavesTheDeviceWorking) {
  if (target().is_cpu) GTEST_SKIP() << "would fill the machine's memory";
  const uint64_t before = device().allocated_bytes();
  std::vector<BufferId> buffers;
  for (;;) {
    const auto buffer = device().create_buffer(device().caps().max_buffer_bytes / 2, "filler");
    if (!buffer) {
      EXPECT_EQ(buffer.error().kind, ErrorKind::out_of_memory) << buffer.error().message();
      EXPECT_THAT(buffer.error().message(), HasSubstr("in use"));
      std::printf("%s\n", buffer.error().message().c_str());
      break;
    }
    buffers.push_back(*buffer);
    ASSERT_LT(buffers.size(), 1000u);
  }
  for (const BufferId buffer : buffers) device().destroy_buffer(buffer);
  EXPECT_EQ(device().allocated_bytes(), before);
  const BufferId after = make_buffer(counting(100));
  EXPECT_EQ(read<uint32_t>(after, 100), counting(100));
  destroy({after});
}

TEST_F(OpenclDevice, MisuseIsRefusedByName) {
  const BufferId x = make_buffer(uint64_t{1024});
  std::vector<std::byte> bytes(16);
  const auto invalid = [](const auto& result) {
    return !result && result.error().kind == ErrorKind::invalid_argument;
  };
  EXPECT_TRUE(invalid(device().write(x, 1009, bytes)));
  EXPECT_TRUE(invalid(device().write(x, UINT64_MAX, bytes)));
  EXPECT_TRUE(invalid(device().write(BufferId{999'999}, 0, bytes)));
  EXPECT_TRUE(invalid(device().read({x, 1009, 16}, bytes)));
  EXPECT_TRUE(invalid(device().read({x, 0, 8}, bytes)));
  EXPECT_TRUE(invalid(device().read({BufferId{999'999}, 0, 16}, bytes)));
  EXPECT_TRUE(invalid(device().poll(Submission{1'000'000'000})));
  EXPECT_TRUE(invalid(device().wait(Submission{1'000'000'000})));
  EXPECT_TRUE(invalid(device().submit(ListId{999'999})));

  const auto submit = [&](Dispatch dispatch) {
    CommandList list;
    list.dispatch(dispatch);
    const auto recorded = device().record(list);
    const auto submitted = device().submit(list);
    EXPECT_EQ(invalid(recorded), invalid(submitted));
    return invalid(submitted) ? submitted.error().message() : std::string("accepted");
  };
  EXPECT_THAT(submit(dispatch_of(KernelId{999'999}, 1, {})), HasSubstr("no such kernel"));
  EXPECT_THAT(submit(dispatch_of(copy(), 1, {all(x)})), HasSubstr("copy: 1 bindings, expected 2"));
  EXPECT_THAT(submit(dispatch_of(copy(), 1, {all(x), {x, 8, 4}})), HasSubstr("multiples of 16"));
  EXPECT_THAT(submit(dispatch_of(copy(), 1, {all(x), {x, 16, 1024}})), HasSubstr("1024 bytes at 16"));
  EXPECT_THAT(submit(dispatch_of(copy(), 1, {all(x), {BufferId{999'999}, 0, 0}})),
              HasSubstr("no such buffer"));
  EXPECT_THAT(submit(dispatch_of(multiply_add(), 1, {all(x), all(x)}, 1u)),
              HasSubstr("4 bytes of parameters"));
  destroy({x});
  device().destroy_buffer(x);  // twice does nothing
}

TEST_F(OpenclDevice, ALoggedMistakeComesBackVerbatim) {
  KernelBinary binary;
  binary.format = KernelBinary::Format::opencl_c;
  binary.name = "broken";
  binary.entry_point = "broken";
  binary.workgroup_threads = 1;
  const std::string text = "__kernel void broken(void) {\n  int x = undeclared_thing;\n}\n";
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  binary.code.assign(first, first + text.size());
  const auto loaded = device().load(binary);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message(), HasSubstr("kernel broken"));
  EXPECT_THAT(loaded.error().message(), HasSubstr("undeclared_thing"));
  EXPECT_THAT(loaded.error().message(), HasSubstr(":2:"));
  std::printf("%s\n", loaded.error().message().c_str());
}

TEST_F(OpenclDevice, WhatIsNoProgramIsRefused) {
  const KernelBinary good = must(device().compile(copy_kernel(target())));
  const auto refusal = [&](auto change) {
    KernelBinary binary = good;
    change(binary);
    const auto loaded = device().load(binary);
    return loaded ? std::string("accepted") : loaded.error().message();
  };
  EXPECT_THAT(refusal([](auto& b) { b.format = KernelBinary::Format::spirv; }), HasSubstr("not a program"));
  EXPECT_THAT(refusal([](auto& b) { b.code.clear(); }), HasSubstr("empty"));
  EXPECT_THAT(refusal([](auto& b) { b.workgroup_threads = 1 << 30; }), HasSubstr("threads"));
  EXPECT_THAT(refusal([](auto& b) { b.num_bindings = 9; }), HasSubstr("bindings"));
  EXPECT_THAT(refusal([](auto& b) { b.entry_point = "nobody"; }), HasSubstr("nobody"));
  EXPECT_THAT(refusal([](auto& b) { std::ranges::fill(b.code, std::byte{'?'}); }), HasSubstr("copy"));
  EXPECT_TRUE(device().load(good));
}

TEST_F(OpenclDevice, AKernelOverTheTargetsLimitsIsRefused) {
  KernelScope k("greedy", kThreads, target());
  const Buffer y = k.output("y");
  const Shared<uint32_t> words("words", target().max_shared_bytes / 4 + 4);
  words.store(0u, 1u);
  barrier();
  y.store(local_id(), words.load(0u));
  const auto compiled = device().compile(k.finish());
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().kind, ErrorKind::limit_exceeded);
}

TEST_F(OpenclDevice, TheLargestWorkgroupRuns) {
  const uint32_t threads = target().max_workgroup_threads;
  KernelScope k("wide", threads, target());
  const Buffer y = k.output("y");
  const Shared<uint32_t> words("words", threads);
  words.store(local_id(), local_id() * 3u);
  barrier();
  y.store(local_id(), words.load((local_id() + 1u) % threads));
  const KernelId kernel = load(k.finish());
  const BufferId out = make_buffer(uint64_t{threads * 4});
  CommandList list;
  list.dispatch(dispatch_of(kernel, 1, {all(out)}));
  (void)must(device().submit(list));
  const auto values = read<uint32_t>(out, threads);
  for (uint32_t i = 0; i < threads; ++i) ASSERT_EQ(values[i], (i + 1) % threads * 3);
  destroy({out});
}

// ---- Compiled programs in another process

TEST_F(OpenclDevice, ACompiledProgramLoadsInAnotherProcess) {
  const char* file = std::getenv("TT_OPENCL_TEST_BINARY");
  if (file == nullptr) {
    // The parent: writes the program, and starts itself again with the name of the file.
    const KernelBinary binary = must(device().compile(copy_kernel(target())));
    const std::string path = testing::TempDir() + "tattletale-opencl-" + std::to_string(getpid()) + ".bin";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(binary.code.data()),
               static_cast<std::streamsize>(binary.code.size()));
    std::printf("%zu bytes\n", binary.code.size());
    const std::string command = "TT_OPENCL_TEST_BINARY='" + path + "' /proc/" + std::to_string(getpid()) +
                                "/exe --gtest_filter=OpenclDevice.ACompiledProgramLoadsInAnotherProcess";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::remove(path.c_str());
    return;
  }
  std::ifstream stream(file, std::ios::binary);
  const std::string code((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  ASSERT_FALSE(code.empty());
  KernelBinary binary;
  binary.format = KernelBinary::Format::opencl_binary;
  binary.name = "copy";
  binary.entry_point = "kernel_copy";
  binary.num_bindings = 2;
  binary.workgroup_threads = kThreads;
  binary.code.resize(code.size());
  std::memcpy(binary.code.data(), code.data(), code.size());
  const KernelId kernel = must(device().load(binary));
  const BufferId x = make_buffer(counting(128, 5)), y = make_buffer(uint64_t{512});
  CommandList list;
  list.dispatch(dispatch_of(kernel, 2, {all(x), all(y)}));
  (void)must(device().submit(list));
  EXPECT_EQ(read<uint32_t>(y, 128), counting(128, 5));
}

}  // namespace
}  // namespace tattletale::test

// The device on a driver made up for the test (fake_driver.h): order of writes, launches and reads on a
// stream that is as late as it may be, when things are freed, and what becomes of the driver's errors.
#include <gtest/gtest.h>

#include <numeric>

#include "backends/cuda/cuda_program_device.h"
#include "fake_driver.h"

namespace tattletale::cuda {
namespace {

KernelBinary binary(const std::string& name, uint32_t num_bindings, uint32_t params_bytes,
                    uint32_t writes_mask) {
  KernelBinary b;
  b.format = KernelBinary::Format::cubin;
  b.name = name;
  b.entry_point = "kernel_" + name;
  b.code = std::vector<std::byte>(16, static_cast<std::byte>(name[0]));
  b.num_bindings = num_bindings;
  b.params_bytes = params_bytes;
  b.writes_mask = writes_mask;
  b.workgroup_threads = 4;
  return b;
}

class FakeDevice : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = CudaProgramDevice::open(driver.api(), 0);
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    add = *device->load(binary("add", 1, 4, 1));
    copy = *device->load(binary("copy", 2, 0, 2));
  }
  void TearDown() override {
    device.reset();
    EXPECT_EQ(driver.live_allocations, 0u);
    EXPECT_EQ(driver.live_host_allocations, 0u);
    EXPECT_EQ(driver.live_events, 0u);
    EXPECT_EQ(driver.live_modules, 0u);
    EXPECT_EQ(driver.live_graphs, 0u);
    EXPECT_EQ(driver.contexts_retained, 0u);
    EXPECT_FALSE(driver.freed_under_work);
  }

  BufferId buffer(uint64_t words) {
    auto made = device->create_buffer(words * 4, "test");
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }
  void write(BufferId to, const std::vector<uint32_t>& words, uint64_t first = 0) {
    const auto written = device->write(to, first * 4, std::as_bytes(std::span(words)));
    EXPECT_TRUE(written) << written.error().message();
  }
  std::vector<uint32_t> read(BufferId from, uint64_t words) {
    std::vector<uint32_t> out(words, 0xdeadbeefu);
    const auto submission = device->read({from, 0, words * 4}, std::as_writable_bytes(std::span(out)));
    EXPECT_TRUE(submission) << submission.error().message();
    const auto waited = device->wait(*submission);
    EXPECT_TRUE(waited) << waited.error().message();
    return out;
  }
  Dispatch add_to(BufferId y, uint32_t words, uint32_t step) const {
    Dispatch d;
    d.kernel = add;
    d.num_bindings = 1;
    d.bindings[0] = {y, 0, words * 4};
    d.workgroups = {words / 4, 1, 1};
    d.set_params(step);
    return d;
  }
  Dispatch copy_of(BufferSlice x, BufferSlice y) const {
    Dispatch d;
    d.kernel = copy;
    d.num_bindings = 2;
    d.bindings[0] = x;
    d.bindings[1] = y;
    d.workgroups = {static_cast<uint32_t>(x.size_bytes / 16), 1, 1};
    return d;
  }

  FakeDriver driver;
  std::unique_ptr<CudaProgramDevice> device;
  KernelId add{}, copy{};
};

TEST_F(FakeDevice, WritesLaunchesAndReadsKeepTheirOrder) {
  const BufferId x = buffer(8), y = buffer(8);
  EXPECT_EQ(read(x, 8), std::vector<uint32_t>(8, 0));
  write(x, {1, 2, 3, 4, 5, 6, 7, 8});
  CommandList list;
  list.dispatch(copy_of({x, 0, 32}, {y, 0, 32}));
  list.dispatch(add_to(y, 8, 100));
  ASSERT_TRUE(device->submit(list));
  write(x, {0, 0, 0, 0}, 2);  // after the copy, whatever the stream does
  std::vector<uint32_t> early(8, 7);
  const auto first = device->read({y, 0, 32}, std::as_writable_bytes(std::span(early)));
  list.clear();
  list.dispatch(add_to(y, 8, 1000));
  ASSERT_TRUE(device->submit(list));
  EXPECT_EQ(driver.waits, 1u);                    // the read at the top; nothing since
  EXPECT_EQ(early, std::vector<uint32_t>(8, 7));  // not before poll() says so
  while (!*device->poll(*first)) EXPECT_EQ(early[0], 7u);
  EXPECT_EQ(early, (std::vector<uint32_t>{101, 102, 103, 104, 105, 106, 107, 108}));
  EXPECT_EQ(driver.waits, 1u);
  EXPECT_EQ(read(y, 4), (std::vector<uint32_t>{1101, 1102, 1103, 1104}));
  EXPECT_EQ(read(x, 8), (std::vector<uint32_t>{1, 2, 0, 0, 0, 0, 7, 8}));
}

TEST_F(FakeDevice, SmallWritesNeverOverwriteOnesThatHaveNotRun) {
  const uint64_t words = (uint64_t{1} << 20) / 4;
  std::vector<BufferId> targets;
  for (uint32_t i = 0; i < 80; ++i) {  // twice and a half times round the ring, none of it copied yet
    targets.push_back(buffer(words));
    write(targets.back(), std::vector<uint32_t>(words, i));
  }
  EXPECT_GT(driver.waits, 0u);  // the ring was full
  for (uint32_t i = 0; i < 80; ++i) ASSERT_EQ(read(targets[i], words), std::vector<uint32_t>(words, i)) << i;
}

TEST_F(FakeDevice, ALargeWriteArrivesWhole) {
  const uint64_t words = (WriteRing::kSegmentBytes * 9 + 4096 + 12) / 4;
  const BufferId x = buffer(words + 3);
  std::vector<uint32_t> data(words);
  std::iota(data.begin(), data.end(), 17u);
  write(x, {1, 2, 3});
  write(x, data, 3);
  std::vector<uint32_t> out = read(x, words + 3);
  EXPECT_EQ(std::vector<uint32_t>(out.begin(), out.begin() + 3), (std::vector<uint32_t>{1, 2, 3}));
  EXPECT_TRUE(std::equal(data.begin(), data.end(), out.begin() + 3));
}

TEST_F(FakeDevice, ARecordedListReplaysOnWhatTheBuffersHoldThen) {
  const BufferId x = buffer(8), y = buffer(8);
  CommandList list;
  list.dispatch(copy_of({x, 0, 32}, {y, 0, 32}));
  Dispatch nothing = add_to(y, 8, 5);
  nothing.workgroups = {0, 1, 1};
  list.dispatch(nothing);
  list.dispatch(add_to(y, 8, 1));
  const auto recorded = device->record(list);
  ASSERT_TRUE(recorded) << recorded.error().message();
  list.clear();  // the recording needs none of it
  for (uint32_t turn = 0; turn < 3; ++turn) {
    write(x, std::vector<uint32_t>(8, turn * 10));
    ASSERT_TRUE(device->submit(*recorded));
    EXPECT_EQ(read(y, 8), std::vector<uint32_t>(8, turn * 10 + 1));
  }
  EXPECT_EQ(driver.launches.size(), 6u);
  ASSERT_TRUE(device->submit(*recorded));
  device->destroy_list(*recorded);
  EXPECT_EQ(device->submit(*recorded).error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(driver.live_graphs, 1u);  // still running
  read(x, 8);
  EXPECT_EQ(driver.live_graphs, 0u);
}

TEST_F(FakeDevice, LaunchesSayGridThreadsAndDynamicMemory) {
  KernelBinary large = binary("add", 1, 4, 1);
  large.shared_bytes = 100 * 1024;
  large.workgroup_threads = 256;
  large.code[0] = std::byte{1};
  const auto kernel = device->load(large);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(driver.function_attributes["kernel_add:" + std::to_string(kFunctionMaxDynamicShared)],
            100 * 1024);
  const BufferId y = buffer(1024);
  CommandList list;
  Dispatch d = add_to(y, 1024, 1);
  d.kernel = *kernel;
  d.workgroups = {4, 3, 2};
  list.dispatch(d);
  list.dispatch(add_to(y, 8, 1));
  ASSERT_TRUE(device->submit(list));
  read(y, 4);
  ASSERT_EQ(driver.launches.size(), 2u);
  EXPECT_EQ(driver.launches[0].grid[1], 3u);
  EXPECT_EQ(driver.launches[0].grid[2], 2u);
  EXPECT_EQ(driver.launches[0].threads, 256u);
  EXPECT_EQ(driver.launches[0].shared_bytes, 100u * 1024);
  EXPECT_EQ(driver.launches[1].shared_bytes, 0u);
  const auto resources = device->resources(*kernel);
  ASSERT_TRUE(resources);
  EXPECT_EQ(*resources, (ProgramResources{40, 8, 8, 1024 + 100 * 1024}));
}

TEST_F(FakeDevice, TheSameProgramIsLoadedOnce) {
  EXPECT_EQ(*device->load(binary("add", 1, 4, 1)), add);
  EXPECT_EQ(driver.live_modules, 2u);
}

TEST_F(FakeDevice, ABufferIsFreedOnceNothingUsesIt) {
  const BufferId y = buffer(8), z = buffer(8);
  CommandList list;
  list.dispatch(add_to(y, 8, 1));
  const auto submission = device->submit(list);
  EXPECT_EQ(device->allocated_bytes(), 64u);
  device->destroy_buffer(y);
  device->destroy_buffer(y);  // nothing left to destroy
  EXPECT_EQ(device->allocated_bytes(), 32u);
  EXPECT_EQ(driver.live_allocations, 2u);
  EXPECT_EQ(device->submit(list).error().kind, ErrorKind::invalid_argument);
  ASSERT_TRUE(device->wait(*submission));
  read(z, 8);
  EXPECT_EQ(driver.live_allocations, 1u);
}

TEST_F(FakeDevice, OutOfMemoryNamesTheSizes) {
  const BufferId most = buffer((uint64_t{800} << 20) / 4);
  const auto more = device->create_buffer(uint64_t{300} << 20, "kv cache");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().kind, ErrorKind::out_of_memory);
  const std::string what = more.error().what;
  EXPECT_NE(what.find("\"kv cache\" of 314572800 bytes"), std::string::npos) << what;
  EXPECT_NE(what.find("838860800 bytes in use here"), std::string::npos) << what;
  EXPECT_NE(what.find("234881024 of 1073741824 bytes"), std::string::npos) << what;
  // A destroyed buffer that the stream has not passed yet is worth waiting for.
  device->destroy_buffer(most);
  EXPECT_EQ(driver.live_allocations, 1u);
  EXPECT_TRUE(device->create_buffer(uint64_t{300} << 20, "kv cache"));
}

TEST_F(FakeDevice, ALostDeviceStaysLost) {
  const BufferId y = buffer(8);
  CommandList list;
  list.dispatch(add_to(y, 8, 1));
  const auto submission = device->submit(list);
  ASSERT_TRUE(submission);
  driver.pending_work_fails = 700;
  const auto polled = device->poll(*submission);
  ASSERT_FALSE(polled);
  EXPECT_EQ(polled.error().kind, ErrorKind::device_lost);
  EXPECT_NE(polled.error().what.find("CUDA_ERROR_ILLEGAL_ADDRESS (as the test wanted)"), std::string::npos);
  driver.pending_work_fails = kSuccess;  // whatever the driver says later
  EXPECT_EQ(device->submit(list).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->record(list).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->create_buffer(4, "x").error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->write(y, 0, {}).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->wait(*submission).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->load(binary("add", 1, 4, 1)).error().message(), polled.error().message());
}

TEST_F(FakeDevice, FailedCallsAreErrorsAndNothingLeaks) {
  const BufferId y = buffer(8);
  CommandList list;
  list.dispatch(add_to(y, 8, 1));
  list.dispatch(add_to(y, 8, 1));
  std::vector<std::byte> bytes(32);
  for (const char* call : {"cuLaunchKernel", "cuEventRecord"}) {
    driver.results[call] = 1;
    EXPECT_EQ(device->submit(list).error().kind, ErrorKind::internal) << call;
  }
  for (const char* call : {"cuGraphCreate", "cuGraphAddKernelNode", "cuGraphAddDependencies",
                           "cuGraphInstantiate", "cuGraphUpload"}) {
    driver.results[call] = 1;
    EXPECT_EQ(device->record(list).error().kind, ErrorKind::internal) << call;
    driver.run_all();
  }
  for (const char* call : {"cuMemHostAlloc", "cuMemcpyHtoDAsync"}) {
    driver.results[call] = call == std::string("cuMemHostAlloc") ? kOutOfMemory : 1;
    EXPECT_FALSE(device->write(y, 0, bytes)) << call;
  }
  driver.results["cuMemHostAlloc"] = kOutOfMemory;
  EXPECT_EQ(device->read({y, 0, 32}, bytes).error().kind, ErrorKind::out_of_memory);
  for (const char* call : {"cuModuleLoadData", "cuModuleGetFunction"}) {
    driver.results[call] = 200;
    KernelBinary other = binary("add", 1, 4, 1);
    other.code[0] = std::byte{2};
    EXPECT_EQ(device->load(other).error().kind, ErrorKind::internal) << call;
  }
  EXPECT_TRUE(driver.results.empty());
  EXPECT_TRUE(device->submit(list));  // and it still works
}

TEST_F(FakeDevice, RefusesDispatchesThatCannotBeRight) {
  const BufferId x = buffer(64), y = buffer(64);
  const auto refusal = [&](const Dispatch& d) {
    CommandList list;
    list.dispatch(d);
    const auto submitted = device->submit(list);
    const auto recorded = device->record(list);
    EXPECT_FALSE(submitted);
    EXPECT_FALSE(recorded);
    if (submitted || recorded) return std::string();
    EXPECT_EQ(submitted.error().kind, ErrorKind::invalid_argument);
    EXPECT_EQ(recorded.error().message(), submitted.error().message());
    return submitted.error().message();
  };
  Dispatch d = copy_of({x, 0, 64}, {y, 0, 64});
  d.kernel = KernelId{9};
  EXPECT_NE(refusal(d).find("kernel 9"), std::string::npos);
  EXPECT_NE(refusal(copy_of({x, 8, 64}, {y, 0, 64})).find("byte 8"), std::string::npos);
  EXPECT_NE(refusal(copy_of({x, 208, 64}, {y, 0, 64})).find("64 bytes from byte 208"), std::string::npos);
  EXPECT_NE(refusal(copy_of({BufferId{77}, 0, 64}, {y, 0, 64})).find("buffer 77"), std::string::npos);
  EXPECT_NE(refusal(copy_of({x, 0, 64}, {x, 48, 64})).find("overlap"), std::string::npos);
  d = add_to(x, 8, 1);
  d.params_bytes = 8;
  EXPECT_NE(refusal(d).find("8 bytes of parameters"), std::string::npos);
  d = add_to(x, 8, 1);
  d.workgroups[1] = 65536;
  EXPECT_NE(refusal(d).find("65536"), std::string::npos);
  EXPECT_EQ(driver.launches.size(), 0u);

  CommandList touching;  // neighbours are no overlap
  touching.dispatch(copy_of({x, 0, 64}, {x, 64, 64}));
  EXPECT_TRUE(device->submit(touching));
  EXPECT_EQ(device->poll(Submission{999}).error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(device->write(x, 250, std::vector<std::byte>(8)).error().kind, ErrorKind::invalid_argument);
}

TEST_F(FakeDevice, RecordedKernelsOverlapWhereCardAndDriverCan) {
  const BufferId y = buffer(8);
  const auto edges = [&](CudaProgramDevice& on, KernelId kernel, BufferId target) {
    CommandList list;
    for (int i = 0; i < 3; ++i) {
      list.dispatch(add_to(target, 8, 1));
    }
    CommandList renamed;
    for (Dispatch d : list.dispatches()) {
      d.kernel = kernel;
      renamed.dispatch(d);
    }
    const size_t before = driver.overlapping_edges;
    const auto recorded = on.record(renamed);
    EXPECT_TRUE(recorded) << recorded.error().message();
    return driver.overlapping_edges - before;
  };
  EXPECT_EQ(edges(*device, add, y), 2u);
  driver.capability = 80;
  const auto older = CudaProgramDevice::open(driver.api(), 0);
  EXPECT_EQ(edges(**older, *(*older)->load(binary("add", 1, 4, 1)), *(*older)->create_buffer(32, "y")), 0u);
  driver.capability = 90;
  const auto plain = CudaProgramDevice::open(driver.api(), 0, {.overlap_launches = false});
  EXPECT_EQ(edges(**plain, *(*plain)->load(binary("add", 1, 4, 1)), *(*plain)->create_buffer(32, "y")), 0u);
  driver.run_all();
}

TEST(FakeDeviceOpening, SaysWhyACardCannotBeOpened) {
  FakeDriver driver;
  EXPECT_EQ(CudaProgramDevice::open(driver.api(), 1).error().kind, ErrorKind::not_found);
  driver.capability = 75;
  const auto old = CudaProgramDevice::open(driver.api(), 0);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, ErrorKind::unsupported);
  EXPECT_NE(old.error().message().find("Fake Card: compute capability 7.5, needed is 8.0"),
            std::string::npos);
  driver.capability = 90;
  for (const char* call : {"cuDeviceGetCount", "cuDevicePrimaryCtxRetain", "cuStreamCreate"}) {
    driver.results[call] = kOutOfMemory;
    EXPECT_EQ(CudaProgramDevice::open(driver.api(), 0).error().kind, ErrorKind::out_of_memory) << call;
  }
  EXPECT_EQ(driver.contexts_retained, 0u);
  const auto device = CudaProgramDevice::open(driver.api(), 0);
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->caps().name, "Fake Card");
  EXPECT_EQ((*device)->caps().isa, "sm_90, driver of CUDA 13.0");
  EXPECT_EQ((*device)->target().num_processors, 132u);
  EXPECT_EQ((*device)->target().max_shared_bytes, 227u * 1024);
}

}  // namespace
}  // namespace tattletale::cuda

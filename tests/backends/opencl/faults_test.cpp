// What happens when the driver is missing or fails: tables of functions with some replaced stand for drivers
// that cannot be made to fail here.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <random>

#include "backends/opencl/opencl_fixture.h"
#include "backends/opencl/opencl_program_device.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: kernel bodies are written this way
using opencl::OpenclApi;
using opencl::OpenclProgramDevice;
using testing::HasSubstr;

class OpenclFaults : public OpenclTest {
 protected:
  /// A device whose driver is the real one but for what `change` does to its table.
  std::unique_ptr<OpenclProgramDevice> faulty(void (*change)(OpenclApi&)) {
    auto api = std::make_shared<OpenclApi>(**opencl::load_opencl());
    real = *api;
    fail = false;
    change(*api);
    return must(OpenclProgramDevice::open(std::move(api), 0));
  }

  static inline OpenclApi real;
  static inline bool fail = false;  // the replaced functions fail from now on
};

TEST_F(OpenclFaults, ALostDeviceIsLostForGood) {
  const auto device = faulty([](OpenclApi& api) {
    api.GetEventInfo = [](cl_event event, cl_event_info what, size_t size, void* out,
                          size_t* needed) -> cl_int {
      const cl_int status = real.GetEventInfo(event, what, size, out, needed);
      if (fail && what == CL_EVENT_COMMAND_EXECUTION_STATUS) *static_cast<cl_int*>(out) = -9999;
      return status;
    };
  });
  const BufferId buffer = must(device->create_buffer(64, "x"));
  std::vector<std::byte> bytes(64);
  must(device->wait(must(device->read({buffer, 0, 64}, bytes))));
  const Submission submission = must(device->read({buffer, 0, 64}, bytes));
  fail = true;
  const auto waited = device->wait(submission);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().kind, ErrorKind::device_lost);
  EXPECT_THAT(waited.error().message(), HasSubstr("code -9999"));
  fail = false;  // it stays lost, whatever the driver says later
  EXPECT_EQ(device->poll(submission).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->submit(CommandList()).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->write(buffer, 0, bytes).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->create_buffer(4, "y").error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->load(KernelBinary()).error().kind, ErrorKind::device_lost);
  EXPECT_EQ(device->record(CommandList()).error().kind, ErrorKind::device_lost);
  device->destroy_buffer(buffer);
}

TEST_F(OpenclFaults, AFailedCallOnALostDeviceSaysSo) {
  // After a fault drivers answer the next call with a lack of resources; the queue no longer finishes.
  const auto device = faulty([](OpenclApi& api) {
    api.EnqueueMarkerWithWaitList = [](cl_command_queue queue, cl_uint count, const cl_event* list,
                                       cl_event* event) -> cl_int {
      return fail ? CL_OUT_OF_RESOURCES : real.EnqueueMarkerWithWaitList(queue, count, list, event);
    };
    api.Finish = [](cl_command_queue queue) -> cl_int {
      return fail ? CL_INVALID_COMMAND_QUEUE : real.Finish(queue);
    };
  });
  must(device->wait(must(device->submit(CommandList()))));
  fail = true;
  EXPECT_EQ(device->submit(CommandList()).error().kind, ErrorKind::device_lost);
}

TEST_F(OpenclFaults, AFailedCallOnALiveDeviceIsThatCallsAlone) {
  const auto device = faulty([](OpenclApi& api) {
    api.CreateBuffer = [](cl_context context, cl_mem_flags flags, size_t size, void* host,
                          cl_int* status) -> cl_mem {
      if (!fail) return real.CreateBuffer(context, flags, size, host, status);
      *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
      return nullptr;
    };
  });
  const BufferId buffer = must(device->create_buffer(1000, "x"));
  fail = true;
  const auto failed = device->create_buffer(12345, "weights of layer 3");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::out_of_memory);
  EXPECT_THAT(failed.error().message(), HasSubstr("\"weights of layer 3\" of 12345 bytes"));
  EXPECT_THAT(failed.error().message(), HasSubstr("1000 bytes of"));
  EXPECT_EQ(device->allocated_bytes(), 1000u);
  std::vector<std::byte> bytes(1000);
  must(device->wait(must(device->read({buffer, 0, 1000}, bytes))));
  fail = false;
  EXPECT_TRUE(device->create_buffer(12345, "weights of layer 3"));
}

TEST_F(OpenclFaults, MemoryThatFailsOnlyWhenItIsClearedIsOutOfMemory) {
  const auto device = faulty([](OpenclApi& api) {
    api.EnqueueFillBuffer = [](cl_command_queue queue, cl_mem memory, const void* pattern,
                               size_t pattern_size, size_t offset, size_t size, cl_uint count,
                               const cl_event* list, cl_event* event) -> cl_int {
      if (fail) return CL_OUT_OF_RESOURCES;
      return real.EnqueueFillBuffer(queue, memory, pattern, pattern_size, offset, size, count, list, event);
    };
  });
  fail = true;
  const auto failed = device->create_buffer(4096, "x");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::out_of_memory);
  EXPECT_EQ(device->allocated_bytes(), 0u);
}

TEST_F(OpenclFaults, ABuildErrorNamesTheLinesOfTheKernelsSource) {
  static std::string log;
  const auto device = faulty([](OpenclApi& api) {
    api.BuildProgram = [](cl_program, cl_uint, const cl_device_id*, const char*, auto, void*) -> cl_int {
      return CL_BUILD_PROGRAM_FAILURE;
    };
    api.GetProgramBuildInfo = [](cl_program, cl_device_id, cl_program_build_info, size_t size, void* out,
                                 size_t* needed) -> cl_int {
      if (needed != nullptr) *needed = log.size();  // without the end mark, as some drivers do
      if (out != nullptr) std::memcpy(out, log.data(), std::min(size, log.size()));
      return CL_SUCCESS;
    };
  });
  KernelScope k("unlucky", 64, target());
  const Buffer y = k.output("y");
  const uint32_t first = __LINE__ + 1;
  const Val<uint32_t> twice = local_id() * 2u;
  y.store(local_id(), twice);
  const ir::Kernel kernel = k.finish();
  const std::string text = *emit_opencl(kernel, device->target());
  const size_t at = text.find(" * 2u");
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  log = "<kernel>:" + std::to_string(line) + ":17: error: no luck\n";
  const auto named = device->compile(kernel);
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().where, "kernel unlucky");
  EXPECT_THAT(named.error().what, HasSubstr("line " + std::to_string(line) + " is from faults_test.cpp:" +
                                            std::to_string(first) + "\n" + log));
  log = "ptxas fatal: too unlucky";
  const auto unnamed = device->compile(kernel);
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.error().where, "kernel unlucky (faults_test.cpp:" + std::to_string(first) + "-" +
                                       std::to_string(first + 1) + ")");
  EXPECT_THAT(unnamed.error().what, HasSubstr("\nptxas fatal: too unlucky"));
}

TEST_F(OpenclFaults, ReadsWorkWithoutPinnedMemoryAndWithAllOfItTaken) {
  // A device that is not the CPU stages reads and writes through pinned memory; here the same code runs on
  // whatever device there is.
  auto api = std::make_shared<OpenclApi>(**opencl::load_opencl());
  real = *api;
  api->GetDeviceInfo = [](cl_device_id device, cl_device_info what, size_t size, void* out,
                          size_t* needed) -> cl_int {
    const cl_int status = real.GetDeviceInfo(device, what, size, out, needed);
    if (what == CL_DEVICE_TYPE && out != nullptr) *static_cast<cl_device_type*>(out) = CL_DEVICE_TYPE_GPU;
    return status;
  };
  for (const bool without : {false, true}) {
    fail = without;
    auto table = std::make_shared<OpenclApi>(*api);
    table->CreateBuffer = [](cl_context context, cl_mem_flags flags, size_t size, void* host,
                             cl_int* status) -> cl_mem {
      if (!fail || (flags & CL_MEM_ALLOC_HOST_PTR) == 0 || size != opencl::ReadRing::kBytes) {
        return real.CreateBuffer(context, flags, size, host, status);
      }
      *status = CL_OUT_OF_HOST_MEMORY;
      return nullptr;
    };
    const auto device = must(OpenclProgramDevice::open(std::move(table), 0));
    EXPECT_FALSE(device->target().is_cpu);
    constexpr size_t kWords = 1'500'000;  // 6 MB: one fits the ring, two do not
    std::vector<uint32_t> values(kWords);
    for (uint32_t i = 0; i < kWords; ++i) values[i] = i * 2654435761u;
    const BufferId buffer = must(device->create_buffer(kWords * 4, "x"));
    must(device->write(buffer, 0, std::as_bytes(std::span(values))));
    // A window of reads in flight slides over the ring, which wraps and at times is full.
    struct Read {
      std::vector<uint32_t> result;
      size_t first = 0;
      Submission submission = Submission::none;
    };
    std::deque<Read> window;
    std::mt19937 random(11);
    const auto finish_oldest = [&] {
      must(device->wait(window.front().submission));
      const auto expected = values.begin() + static_cast<ptrdiff_t>(window.front().first);
      EXPECT_TRUE(std::equal(window.front().result.begin(), window.front().result.end(), expected));
      window.pop_front();
    };
    for (int i = 0; i < 100; ++i) {
      Read& next = window.emplace_back();
      next.result.resize(1 + random() % (i % 10 == 0 ? kWords : 700'000));
      next.first = random() % (kWords - next.result.size() + 1);
      next.submission = must(device->read({buffer, next.first * 4, next.result.size() * 4},
                                          std::as_writable_bytes(std::span(next.result))));
      if (window.size() == 4) finish_oldest();
    }
    while (!window.empty()) finish_oldest();
  }
}

// ---- No driver at all

TEST(OpenclWithoutDriver, NoLoaderSaysWhatToInstall) {
  const auto api = opencl::load_opencl("libOpenCL-that-nobody-has.so.1");
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(api.error().message(), HasSubstr("libOpenCL-that-nobody-has.so.1"));
  EXPECT_THAT(api.error().message(), HasSubstr("ocl-icd-libopencl1"));
}

TEST(OpenclWithoutDriver, ALibraryThatIsNoLoaderIsRefused) {
  const auto api = opencl::load_opencl("libm.so.6");
  ASSERT_FALSE(api);
  EXPECT_THAT(api.error().message(), HasSubstr("no function clGetPlatformIDs"));
}

TEST(OpenclWithoutDriver, NoDriverSaysWhatToInstall) {
  if (!opencl::load_opencl()) GTEST_SKIP() << "no OpenCL loader on this machine";
  if (std::getenv("TT_OPENCL_NO_DRIVER") == nullptr) {
    // Drivers are found once per process: this test runs again in one that is told of an empty folder.
    const std::string folder = testing::TempDir() + "tattletale-no-vendors-" + std::to_string(getpid());
    std::filesystem::create_directory(folder);
    const std::string command = "TT_OPENCL_NO_DRIVER=1 OCL_ICD_FILENAMES= OCL_ICD_VENDORS='" + folder +
                                "' /proc/" + std::to_string(getpid()) +
                                "/exe --gtest_filter=OpenclWithoutDriver.NoDriverSaysWhatToInstall";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::filesystem::remove(folder);
    return;
  }
  if (!list_opencl_devices().empty()) GTEST_SKIP() << "this loader does not ask OCL_ICD_VENDORS";
  const auto opened = open_opencl_program_device(0);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(opened.error().message(), HasSubstr("/etc/OpenCL/vendors"));
  EXPECT_THAT(opened.error().message(), HasSubstr("pocl-opencl-icd"));
  std::printf("%s\n", opened.error().message().c_str());
}

// ---- A real fault: last, and in a process of its own

TEST_F(OpenclFaults, AWildStoreOnACardLosesTheDevice) {
  if (target().is_cpu) GTEST_SKIP() << "on a CPU device a wild store ends the process";
  if (std::getenv("TT_OPENCL_WILD_STORE") == nullptr) {
    const std::string command = "TT_OPENCL_WILD_STORE=1 /proc/" + std::to_string(getpid()) +
                                "/exe --gtest_filter=OpenclFaults.AWildStoreOnACardLosesTheDevice";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return;
  }
  KernelScope k("wild", 32, target());
  const Buffer y = k.output("y");
  const Buffer far = y.at(local_id() + 0x7000'0000u, 0xffff'0000u);
  far.store(0u, Val<uint32_t>(1u));
  const KernelId kernel = load(k.finish());
  const BufferId buffer = make_buffer(uint64_t{64});
  CommandList list;
  list.dispatch(dispatch_of(kernel, 1, {{buffer, 0, 64}}));
  const auto submitted = device().submit(list);
  Error error;
  if (!submitted) {
    error = submitted.error();
  } else {
    const auto waited = device().wait(*submitted);
    ASSERT_FALSE(waited) << "the device swallowed a store far outside of every buffer";
    error = waited.error();
  }
  std::printf("%s\n", error.message().c_str());
  EXPECT_EQ(error.kind, ErrorKind::device_lost);
  EXPECT_EQ(device().create_buffer(64, "after").error().kind, ErrorKind::device_lost);
}

}  // namespace
}  // namespace tattletale::test

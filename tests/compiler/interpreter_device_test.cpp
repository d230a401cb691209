// The interpreter as a device: programs, buffers, lists, and reports as errors of submit().
#include "compiler/interpreter_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/lang.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// y[i] = x[i] * scale + i, twice per workgroup of 8.
ir::Kernel scale_kernel(const ir::TargetInfo& target, bool racy = false) {
  KernelScope k("scale", 8, target);
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> i = workgroup_id() * 8u + local_id();
  y.store(racy ? Val<uint32_t>(0u) : i, x.load<Storage::u32>(i) * k.param<uint32_t>("scale", 1) + i);
  return k.finish();
}

struct InterpreterDevice : ::testing::Test {
  std::unique_ptr<compiler::ProgramDevice> device =
      compiler::open_interpreter_device(compiler::interpreter_target(4));
  BufferId x = *device->create_buffer(64, "x"), y = *device->create_buffer(64, "y");

  Dispatch dispatch(KernelId kernel) {
    Dispatch d;
    d.kernel = kernel;
    d.num_bindings = 2;
    d.bindings[0] = {x, 0, 64};
    d.bindings[1] = {y, 0, 64};
    d.workgroups = {2, 1, 1};
    d.set_params(std::array<uint32_t, 2>{0, 10});
    return d;
  }
  KernelId load(const ir::Kernel& kernel) { return *device->load(*device->compile(kernel)); }
  std::string submit(const Dispatch& d) {
    CommandList list;
    list.dispatch(d);
    const auto result = device->submit(list);
    return result ? "" : result.error().message();
  }
  std::vector<uint32_t> contents(BufferId buffer) {
    std::vector<uint32_t> words(16);
    EXPECT_TRUE(device->read({buffer, 0, 64}, std::as_writable_bytes(std::span(words))));
    return words;
  }
};

TEST_F(InterpreterDevice, RunsSubmittedAndRecordedLists) {
  const std::vector<uint32_t> ones(16, 1);
  ASSERT_TRUE(device->write(x, 0, std::as_bytes(std::span(ones))));
  Dispatch d = dispatch(load(scale_kernel(device->target())));
  EXPECT_EQ(submit(d), "");
  EXPECT_THAT(contents(y), ElementsAre(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25));
  CommandList list;
  list.dispatch(d);
  std::swap(d.bindings[0], d.bindings[1]);
  list.dispatch(d);
  const auto recorded = device->record(list);
  ASSERT_TRUE(recorded);
  const auto submission = device->submit(*recorded);
  ASSERT_TRUE(submission);
  EXPECT_TRUE(*device->poll(*submission));
  EXPECT_TRUE(device->wait(*submission));
  EXPECT_EQ(contents(x)[15], 25u * 10 + 15);
  device->destroy_list(*recorded);
  EXPECT_FALSE(device->submit(*recorded));
}

TEST_F(InterpreterDevice, ReportsComeFromSubmit) {
  EXPECT_THAT(submit(dispatch(load(scale_kernel(device->target(), true)))),
              HasSubstr("scale: store of y at interpreter_device_test.cpp:"));
  Dispatch d = dispatch(load(scale_kernel(device->target())));
  d.workgroups = {3, 1, 1};
  EXPECT_THAT(submit(d), HasSubstr("index 16 is outside"));
  d = dispatch(d.kernel);
  d.bindings[1].offset_bytes = 4;
  d.bindings[1].size_bytes = 60;
  EXPECT_THAT(submit(d), HasSubstr("must be a multiple of 256"));
  d.bindings[1] = {y, 0, 68};
  EXPECT_THAT(submit(d), HasSubstr("bytes 0 to 68 of a buffer of 64"));
  d.bindings[1] = {};
  EXPECT_THAT(submit(d), HasSubstr("index 0 is outside"));
  d.kernel = KernelId{77};
  EXPECT_THAT(submit(d), HasSubstr("no such kernel"));
}

TEST_F(InterpreterDevice, KernelsAreHeldToTheTarget) {
  EXPECT_THAT(device->compile(scale_kernel(compiler::interpreter_target(8))).error().message(),
              HasSubstr("made for subgroups of 8"));
  KernelBinary binary = *device->compile(scale_kernel(device->target()));
  EXPECT_EQ(binary.num_bindings, 2u);
  EXPECT_EQ(binary.params_bytes, 8u);
  EXPECT_EQ(binary.writes_mask, 2u);
  EXPECT_EQ(binary.workgroup_threads, 8u);
  binary.code[0] = std::byte{'x'};
  EXPECT_THAT(device->load(binary).error().message(), HasSubstr("line 1"));
}

TEST_F(InterpreterDevice, BuffersAreZeroAndCounted) {
  EXPECT_EQ(device->allocated_bytes(), 128u);
  EXPECT_THAT(contents(x), ::testing::Each(0u));
  device->destroy_buffer(x);
  EXPECT_EQ(device->allocated_bytes(), 64u);
  EXPECT_FALSE(device->write(x, 0, {}));
  std::vector<std::byte> bytes(8);
  EXPECT_FALSE(device->write(y, 60, bytes));
  EXPECT_FALSE(device->read({y, 0, 16}, bytes));
}

}  // namespace
}  // namespace tattletale

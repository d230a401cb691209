#include "backends/cpu/cpu_device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/conformance/kernel_case.h"
#include "kernels/gather_rows.h"

namespace tattletale {
namespace {

using conformance::bytes_of;

KernelBinary gather_rows_binary() {
  KernelBinary binary;
  binary.name = "gather_rows";
  binary.comptime.resize(sizeof(GatherRowsComptime));
  return binary;
}

TEST(CpuDevice, DescribesItself) {
  auto device = open_cpu_device(2);
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->caps().backend, "cpu");
  EXPECT_EQ((*device)->caps().num_threads, 2u);
  EXPECT_FALSE((*device)->caps().isa.empty());
  EXPECT_GT((*device)->caps().max_buffer_bytes, 0u);
}

TEST(CpuDevice, ZeroThreadsMeansTheMachines) {
  auto device = open_cpu_device(0);
  ASSERT_TRUE(device);
  EXPECT_GE((*device)->caps().num_threads, 1u);
}

TEST(CpuDevice, TooManyThreadsIsAnError) {
  auto device = open_cpu_device(1025);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::invalid_argument);
  EXPECT_NE(device.error().message().find("1025"), std::string::npos);
}

TEST(CpuDevice, BuffersAreZeroedAndCounted) {
  auto device = open_cpu_device(1);
  ASSERT_TRUE(device);
  auto buffer = (*device)->create_buffer(1000, "test");
  ASSERT_TRUE(buffer);
  EXPECT_EQ((*device)->allocated_bytes(), 1000u);
  std::vector<std::byte> bytes(1000, std::byte{1});
  ASSERT_TRUE((*device)->read({*buffer, 0, 1000}, bytes));
  EXPECT_EQ(bytes, std::vector<std::byte>(1000));
  (*device)->destroy_buffer(*buffer);
  EXPECT_EQ((*device)->allocated_bytes(), 0u);
}

TEST(CpuDevice, ImpossibleSizeIsOutOfMemoryNamingIt) {
  auto device = open_cpu_device(1);
  ASSERT_TRUE(device);
  auto buffer = (*device)->create_buffer(uint64_t{1} << 60, "kv pages");
  ASSERT_FALSE(buffer);
  EXPECT_EQ(buffer.error().kind, ErrorKind::out_of_memory);
  EXPECT_NE(buffer.error().message().find("kv pages"), std::string::npos);
  EXPECT_NE(buffer.error().message().find("1152921504606846976"), std::string::npos);
}

TEST(CpuDevice, ImportedMemoryIsNotCopiedAndKeptAlive) {
  auto device = open_cpu_device(1);
  ASSERT_TRUE(device);
  auto owner = std::make_shared<std::vector<std::byte>>(64, std::byte{7});
  const std::weak_ptr<std::vector<std::byte>> watch = owner;
  auto matrix = (*device)->create_matrix(DType::u8, 4, 16, *owner, owner, "matrix");
  ASSERT_TRUE(matrix);
  EXPECT_EQ((*device)->allocated_bytes(), 0u);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  (*device)->destroy_buffer(matrix->buffer);
  EXPECT_TRUE(watch.expired());
}

TEST(CpuDevice, UnknownKernelIsUnsupportedByName) {
  auto device = open_cpu_device(1);
  ASSERT_TRUE(device);
  KernelBinary binary;
  binary.name = "no_such_kernel";
  auto kernel = (*device)->load_kernel(binary);
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().kind, ErrorKind::unsupported);
  EXPECT_NE(kernel.error().message().find("no_such_kernel"), std::string::npos);
}

TEST(CpuDevice, WrongUseIsABrokenInvariant) {
  auto device = open_cpu_device(1);
  ASSERT_TRUE(device);
  auto buffer = (*device)->create_buffer(16, "test");
  ASSERT_TRUE(buffer);
  std::vector<std::byte> bytes(32);
  EXPECT_THROW(static_cast<void>((*device)->write(*buffer, 0, bytes)), InvariantError);
  EXPECT_THROW(static_cast<void>((*device)->read({*buffer, 8, 16}, bytes)), InvariantError);
  (*device)->destroy_buffer(*buffer);
  EXPECT_THROW(static_cast<void>((*device)->read({*buffer, 0, 1}, bytes)), InvariantError);

  // Writing through a kernel into imported memory, which may be a file map.
  auto kernel = (*device)->load_kernel(gather_rows_binary());
  ASSERT_TRUE(kernel);
  auto imported = (*device)->create_matrix(DType::u8, 1, bytes.size(), bytes, nullptr, "matrix");
  auto rows = (*device)->create_buffer(4, "rows");
  ASSERT_TRUE(imported && rows);
  Dispatch dispatch{.kernel = *kernel, .num_bindings = 3};
  dispatch.set_params(GatherRowsParams{.num_rows = 1, .dim = 1});
  dispatch.bindings[0] = dispatch.bindings[1] = {*rows, 0, 4};
  dispatch.bindings[2] = {imported->buffer, 0, 4};
  CommandList list;
  list.dispatch(dispatch);
  EXPECT_THROW(static_cast<void>((*device)->submit(list)), InvariantError);
}

TEST(CpuDevice, ALongListRunsInOrder) {
  // Each launch copies the row that the one before it wrote one place further.
  for (const uint32_t num_threads : {1u, 2u, 5u}) {
    auto device = open_cpu_device(num_threads);
    ASSERT_TRUE(device);
    auto kernel = (*device)->load_kernel(gather_rows_binary());
    constexpr uint32_t kDim = 3;
    constexpr uint32_t kSteps = 1000;
    auto rows = (*device)->create_buffer(4, "rows");
    auto x = (*device)->create_buffer((kSteps + 1) * kDim * 4, "x");
    ASSERT_TRUE(kernel && rows && x);
    ASSERT_TRUE((*device)->write(*x, 0, bytes_of(std::vector<float>{1, 2, 3})));
    CommandList list;
    for (uint64_t i = 0; i < kSteps; ++i) {
      Dispatch dispatch{.kernel = *kernel, .num_bindings = 3};
      dispatch.set_params(GatherRowsParams{.num_rows = 1, .dim = kDim});
      dispatch.bindings[0] = {*rows, 0, 4};
      dispatch.bindings[1] = {*x, i * kDim * 4, kDim * 4};
      dispatch.bindings[2] = {*x, (i + 1) * kDim * 4, kDim * 4};
      list.dispatch(dispatch);
    }
    ASSERT_TRUE((*device)->submit(list));
    conformance::Bytes last(kDim * 4);
    ASSERT_TRUE((*device)->read({*x, kSteps * kDim * 4, kDim * 4}, last));
    EXPECT_EQ(last, bytes_of(std::vector<float>{1, 2, 3}));
  }
}

}  // namespace
}  // namespace tattletale

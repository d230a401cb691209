// The text that kernels become, without a driver: its shape, its lines, what is refused; and NVIDIA's
// dialect, inline PTX and all, through clang's OpenCL front end and PTX back end.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backends/opencl/opencl_device.h"
#include "backends/opencl/opencl_dialect.h"
#include "backends/opencl/opencl_platform.h"
#include "ir/lang.h"
#include "ir/verify.h"
#include "support/op_kernels.h"

namespace tattletale::opencl {
namespace {

using namespace lang;  // NOLINT: kernel bodies are written this way
using testing::HasSubstr;
using testing::Not;

ir::TargetInfo plain_target() {
  return target_of({.max_allocation_bytes = 1u << 30, .local_bytes = 32768, .max_workgroup_threads = 1024});
}
ir::TargetInfo nvidia_target(uint32_t compute_capability = 90) {
  return target_of({.max_allocation_bytes = 20ull << 30,
                    .local_bytes = 48 << 10,
                    .max_workgroup_threads = 1024,
                    .is_nvidia = true,
                    .compute_capability = compute_capability});
}

ir::Kernel axpy(const ir::TargetInfo& target) {
  KernelScope k("axpy", 64, target);
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> n = k.param<uint32_t>("n", 0);
  const Val<float> scale = k.param<float>("scale", 1);
  $for (i, local_id(), n, 64u) {
    y.store(i, x.load<Storage::f16>(i) * scale - 0.5f);
  }
  return k.finish();
}

TEST(OpenclEmitter, ArgumentsAreBuffersWithOffsetsThenParameters) {
  const auto text = emit_opencl(axpy(plain_target()), plain_target());
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_THAT(*text, HasSubstr("#define b0_x (b0_x_buffer + b0_x_offset)\n"
                               "#define b1_y (b1_y_buffer + b1_y_offset)\n"
                               "__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void kernel_axpy("
                               "__global const u8* restrict b0_x_buffer, u64 b0_x_offset, "
                               "__global u8* restrict b1_y_buffer, u64 b1_y_offset, "
                               "const tt_params params) {\n"));
  EXPECT_THAT(*text, HasSubstr("vload_half"));
  EXPECT_THAT(*text, Not(HasSubstr("asm")));
  EXPECT_THAT(*text, Not(HasSubstr("tt_barrier"))) << "what is not called is not printed";
}

TEST(OpenclEmitter, EveryLineOfTextKnowsItsPlace) {
  for (const ir::TargetInfo& target : {plain_target(), nvidia_target()}) {
    for (const test::OpKernel& op : test::op_kernels(target, 64)) {
      const auto source = print_opencl(op.kernel, target);
      ASSERT_TRUE(source) << source.error().message();
      const auto lines = std::ranges::count(source->text, '\n');
      EXPECT_EQ(source->line_locations.size(), static_cast<size_t>(lines)) << op.kernel.name;
      // A statement that says where it is from agrees with the table.
      size_t begin = 0;
      for (const uint32_t location : source->line_locations) {
        const size_t end = source->text.find('\n', begin);
        const std::string line = source->text.substr(begin, end - begin);
        if (const size_t mark = line.find("  // op_kernels.cpp:"); mark != std::string::npos) {
          EXPECT_EQ(std::stoul(line.substr(mark + 20)), op.kernel.locations[location].line) << line;
        }
        begin = end + 1;
      }
    }
  }
}

TEST(OpenclEmitter, OpKernelsAreLegalForBothDialects) {
  for (const ir::TargetInfo& target : {plain_target(), nvidia_target(), nvidia_target(75)}) {
    for (const test::OpKernel& op : test::op_kernels(target, 64)) {
      const auto legal = ir::verify(op.kernel, target);
      EXPECT_TRUE(legal) << legal.error().message();
    }
  }
}

TEST(OpenclEmitter, OnlyCardsThatHaveThePtxAreOfferedIt) {
  EXPECT_EQ(nvidia_target(90).subgroup_size, 32u);
  EXPECT_EQ(nvidia_target(90).bf16_fragments, ir::FragmentTier::transparent);
  EXPECT_EQ(nvidia_target(80).subgroup_size, 32u);
  EXPECT_EQ(nvidia_target(75).subgroup_size, 1u);
  EXPECT_EQ(nvidia_target(75).f16_fragments, ir::FragmentTier::none);
  EXPECT_EQ(plain_target().subgroup_size, 1u);
}

TEST(OpenclEmitter, WhatTheDialectLacksIsRefusedWithItsLine) {
  // Traced for a card with subgroups, printed for one without.
  KernelScope k("sum", 64, nvidia_target());
  const Buffer x = k.input("x"), y = k.output("y");
  const uint32_t line = __LINE__ + 1;
  const Val<float> sum = subgroup_add(x.load<Storage::f32>(local_id()));
  y.store(local_id(), sum);
  const auto text = emit_opencl(k.finish(), plain_target());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(text.error().message(), HasSubstr("sum (emitter_test.cpp:" + std::to_string(line) + ")"));
  EXPECT_THAT(text.error().message(), HasSubstr("OpenCL C has no tt_subgroup_add_f32"));
}

TEST(OpenclEmitter, ClangMakesPtxOfNvidiasDialect) {
  if (std::system("clang-19 --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no clang-19 on this machine";
  const std::filesystem::path folder =
      testing::TempDir() + "tattletale-opencl-ptx-" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  for (const test::OpKernel& op : test::op_kernels(nvidia_target(), 64)) {
    const auto text = emit_opencl(op.kernel, nvidia_target());
    ASSERT_TRUE(text) << text.error().message();
    const std::string stem = (folder / op.kernel.name).string();
    std::ofstream(stem + ".cl") << *text;
    // NVIDIA's compiler knows the word asm; clang has it only in its GNU dialects, which exclude OpenCL C.
    const std::string command =
        "clang-19 -x cl -cl-std=CL1.2 -Dasm=__asm__ -Werror -Wno-tautological-compare "
        "-target nvptx64-nvidia-nvcl -Xclang -finclude-default-header -Xclang "
        "-target-cpu -Xclang sm_90 -O2 -S -o " +
        stem + ".ptx " + stem + ".cl";
    EXPECT_EQ(std::system(command.c_str()), 0) << op.kernel.name << "\n" << *text;
    std::ifstream ptx(stem + ".ptx");
    const std::string assembly((std::istreambuf_iterator<char>(ptx)), std::istreambuf_iterator<char>());
    EXPECT_THAT(assembly, HasSubstr(".entry kernel_" + op.kernel.name));
  }
  // For a look at the text, or for ptxas.
  if (std::getenv("TT_KEEP_PTX") == nullptr) std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tattletale::opencl

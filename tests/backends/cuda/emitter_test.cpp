// The text that kernels become, without a compiler: its shape, its lines, and what is refused.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "backends/cuda/cuda_dialect.h"
#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "ir/lang.h"
#include "ir/verify.h"
#include "support/op_conformance.h"
#include "support/op_kernels.h"

namespace tattletale::cuda {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

TEST(CudaEmitter, PrintsOneStatementAValueWithItsLine) {
  KernelScope k("axpy", 64, cuda_target_info(90));
  const Buffer x = k.input("x"), y = k.output("y");
  const Val<uint32_t> n = k.param<uint32_t>("n", 0);
  const Val<float> scale = k.param<float>("scale", 1);
  const uint32_t first = __LINE__ + 1;
  const Val<uint32_t> unread = n + 1u;
  static_cast<void>(unread);
  $for (i, local_id(), n, 64u) {
    y.store(i, x.load<Storage::f16>(i) * scale - 0.5f);
  }
  const auto source = print_cuda(k.finish(), cuda_target_info(90));
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ(source->entry_point, "kernel_axpy");
  const std::string line = std::to_string(first + 3);
  const std::string expected =
      "typedef struct {\n"
      "  u32 p0_n;\n"
      "  f32 p1_scale;\n"
      "} tt_params;\n"
      "extern \"C\" __global__ void __launch_bounds__(64) kernel_axpy(const u8* __restrict__ b0_x, "
      "u8* __restrict__ b1_y, const __grid_constant__ tt_params params) {\n"
      "  tt_begin();\n"
      "  const u32 v4 = tt_local_id();  // emitter_test.cpp:" +
      std::to_string(first + 2) +
      "\n"
      "  for (u32 v6 = v4; v6 < params.p0_n; v6 += 64u) {\n"
      "    const f32 v7 = tt_load_f16(b0_x, v6);  // emitter_test.cpp:" +
      line +
      "\n"
      "    const f32 v8 = v7 * params.p1_scale;\n"
      "    const f32 v10 = v8 - 0.5f;\n"
      "    tt_store_f32(b1_y, v6, v10);\n"
      "  }\n"
      "}\n";
  const size_t start = source->text.find("typedef struct {");
  ASSERT_NE(start, std::string::npos);
  EXPECT_EQ(source->text.substr(start), expected);
  // Snippets: what the body calls, and what those call, before they do.
  EXPECT_NE(source->text.find("tt_unpack_f16_lo(u32"), std::string::npos);
  EXPECT_LT(source->text.find("f32 tt_unpack_f16_lo("), source->text.find("f32 tt_load_f16("));
  EXPECT_EQ(source->text.find("tt_barrier"), std::string::npos);
}

TEST(CudaEmitter, EveryLineOfTextKnowsItsPlace) {
  for (const test::OpKernel& op : test::op_kernels(cuda_target_info(90), 64)) {
    const auto source = print_cuda(op.kernel, cuda_target_info(90));
    ASSERT_TRUE(source) << source.error().message();
    const auto lines = std::count(source->text.begin(), source->text.end(), '\n');
    EXPECT_EQ(source->line_locations.size(), static_cast<size_t>(lines)) << op.kernel.name;
  }
}

TEST(CudaEmitter, OpKernelsAreLegalAndUseEveryOperation) {
  std::vector<bool> used(ir::all_ops().size());
  for (const test::OpKernel& op : test::op_kernels(cuda_target_info(90), 64)) {
    const auto legal = ir::verify(op.kernel, cuda_target_info(90));
    EXPECT_TRUE(legal) << legal.error().message();
    for (const ir::Instruction& i : op.kernel.instructions) used[static_cast<size_t>(i.op)] = true;
    if (const char* folder = std::getenv("TT_DUMP_CUDA")) {
      const auto source = print_cuda(op.kernel, cuda_target_info(90));
      if (source) std::ofstream(std::string(folder) + "/" + op.kernel.name + ".cu") << source->text;
    }
  }
  for (const ir::OpInfo& info : ir::all_ops()) {
    EXPECT_TRUE(used[static_cast<size_t>(info.op)]) << info.name << " is in no op kernel";
  }
}

TEST(CudaEmitter, OpKernelsAreFreeOfRacesAndUndefinedResults) {
  for (const uint32_t threads : {64u, 128u}) {
    for (const test::OpKernel& op : test::op_kernels(cuda_target_info(90), threads)) {
      const auto ran = test::interpret(op);
      ASSERT_TRUE(ran) << ran.error().message();
      test::OpKernel optimised = op;
      const auto passed = compiler::run_pipeline(op.kernel, cuda_target_info(90));
      ASSERT_TRUE(passed) << passed.error().message();
      optimised.kernel = *passed;
      const auto same = test::interpret(optimised);
      ASSERT_TRUE(same) << same.error().message();
      EXPECT_TRUE(*same == *ran) << op.kernel.name << " after the pass list";
    }
  }
}

/// The interpreter places an accumulator's numbers where mma.m16n8k16 does, twice side by side; then bodies
/// see the same numbers in the same lanes on both. The formulas are those of compiler/ptx_snippets.cpp.
TEST(CudaEmitter, FragmentsLieAsOnTheInterpreter) {
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t number = 0; number < 8; ++number) {
      const ir::FragmentPlace place = ir::fragment_place(32, lane, number);
      EXPECT_EQ(place.row, lane / 4 + (number & 2) * 4) << lane << ", " << number;
      EXPECT_EQ(place.column, lane % 4 * 2 + (number & 4) * 2 + (number & 1)) << lane << ", " << number;
    }
  }
}

TEST(CudaEmitter, ArenasAbove48KiBAreDynamic) {
  const auto text = [](uint32_t words) {
    KernelScope k("arena", 32, cuda_target_info(90));
    const Buffer y = k.output("y");
    const Shared<uint32_t> a("a", 5), b("b", words);
    b.store(local_id(), 1u);
    y.store(local_id(), a.load(0u));
    return print_cuda(k.finish(), cuda_target_info(90))->text;
  };
  EXPECT_NE(text(64).find("__shared__ __align__(16) u32 tt_arena[72];"), std::string::npos);
  EXPECT_NE(text(64).find("tt_shared_store_u32(tt_arena, 8u + "),
            std::string::npos);  // arrays start at 16 bytes
  EXPECT_NE(text(13000).find("extern __shared__ __align__(16) u32 tt_arena[];"), std::string::npos);
}

TEST(CudaEmitter, RefusesWhatTheTargetLacks) {
  const auto refusal = [](uint32_t threads, uint32_t words) {
    KernelScope k("big", threads, cuda_target_info(80));
    const Buffer y = k.output("y");
    const Shared<uint32_t> a("a", words);
    y.store(local_id(), a.load(0u));
    const auto source = print_cuda(k.finish(), cuda_target_info(80));
    return source ? std::string() : source.error().message();
  };
  EXPECT_EQ(refusal(1024, 40000), "");
  EXPECT_NE(refusal(1056, 4).find("big: a workgroup of 1056 threads"), std::string::npos);
  EXPECT_NE(refusal(32, 50000).find("big: 200000 bytes of workgroup memory"), std::string::npos);
}

}  // namespace
}  // namespace tattletale::cuda

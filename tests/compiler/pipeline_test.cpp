// The pipeline as a whole: order, errors, what becomes of a real kernel, and how long it takes.
#include "compiler/pipeline.h"

#include <ctime>

#include "compiler/pass_test.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;
using F = Val<float>;

/// y[row] = sum of x[i] * w[row, i], one subgroup a row.
ir::Kernel matrix_vector(const ir::TargetInfo& target, uint32_t copies) {
  KernelScope k("matrix_vector", 64, target);
  const Buffer x = k.input("x"), w = k.input("w"), y = k.output("y");
  const U n = k.param<uint32_t>("n", 0), rows = k.param<uint32_t>("rows", 1);
  const U row = workgroup_id(0) * 2u + subgroup_id();
  $if (row < rows) {
    Var<float> sum(0.0f);
    $for (i, lane_id() * 4u, n, target.subgroup_size * 4u, copies) {
      for (uint32_t j = 0; j < 4; ++j) {
        sum = fma(x.load<Storage::f32>(i + j), w.load<Storage::f32>(row * 1024u + i + j), sum.get());
      }
    }
    const F total = subgroup_add(sum.get());
    $if (lane_id() < 1u) {
      y.store(row, total);
    }
  }
  return k.finish();
}

TEST(Pipeline, MakesAMatrixVectorProductWideAndUnrolled) {
  const ir::TargetInfo target = small_target(32);
  PipelineOptions options;
  options.verify_each = true;
  const auto result = run_pipeline(matrix_vector(target, 4), target, options);
  ASSERT_TRUE(result) << result.error().message();
  // Four copies and the rest, each with one load of four words from x and one from w.
  EXPECT_EQ(count(*result, Op::load), 10u) << ir::print(*result);
  for (const ir::Instruction& in : result->instructions) {
    if (in.op == Op::load) EXPECT_EQ(in.type.lanes, 4);
  }
  EXPECT_EQ(count(*result, Op::for_), 2u);
}

TEST(Pipeline, DumpsTheInputAndEveryPass) {
  std::vector<std::string> names;
  PipelineOptions options;
  options.dump = [&](std::string_view pass, const ir::Kernel& kernel) {
    names.emplace_back(pass);
    EXPECT_FALSE(ir::print(kernel).empty());
  };
  ASSERT_TRUE(run_pipeline(matrix_vector(small_target(32), 2), small_target(32), options));
  ASSERT_EQ(names.size(), pipeline_passes().size() + 1);
  EXPECT_EQ(names.front(), "input");
  EXPECT_EQ(names.back(), "dce");
}

TEST(Pipeline, RefusesAWrongKernelAsVerifyDoes) {
  ir::Kernel kernel = matrix_vector(small_target(32), 2);
  kernel.workgroup_threads = 33;
  const auto result = run_pipeline(kernel, small_target(32));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid_argument);
}

TEST(Pipeline, HalvesArithmeticIsAcceptedEverywhere) {
  ir::TargetInfo target = small_target();
  KernelScope k("k", 64, target);
  const Buffer y = k.output("y");
  const U a = k.param<uint32_t>("a", 0);
  y.store(0u, fma_f16x2(a, a, a));
  const ir::Kernel kernel = k.finish();
  const auto without = run_pipeline(kernel, target);
  ASSERT_TRUE(without) << without.error().message();
  EXPECT_EQ(count(*without, Op::fma_f16x2), 0u);
  target.f16x2 = true;
  const auto with = run_pipeline(kernel, target);
  ASSERT_TRUE(with);
  EXPECT_EQ(count(*with, Op::fma_f16x2), 1u);
}

/// A guard that becomes constant only by unrolling keeps an index inside its shared array.
TEST(Pipeline, GuardsOfUnrolledCopiesAreNotTakenForFaults) {
  KernelScope k("k", 64, small_target());
  const Buffer y = k.output("y");
  Shared<uint32_t> tile("tile", 6);
  $for (i, U(0u), U(8u), 1u, 8) {
    $if (i < 6u) {
      $if (local_id() < 1u) {
        tile.store(i, U(36u) / (i + 1u));
      }
    }
  }
  barrier();
  y.store(local_id(), tile.load(local_id() % 6u));
  PipelineOptions options;
  options.verify_each = true;
  const auto result = run_pipeline(k.finish(), small_target(), options);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(count(*result, Op::for_), 0u);
}

TEST(Pipeline, ThreeThousandInstructionsTakeMilliseconds) {
  const ir::TargetInfo target = small_target(32);
  KernelScope k("large", 64, target);
  const Buffer x = k.input("x"), y = k.output("y");
  const U n = k.param<uint32_t>("n", 0);
  for (uint32_t part = 0; part < 40; ++part) {
    Var<float> sum(0.0f);
    $for (i, lane_id(), n, 32u) {
      $if (i + part < n) {
        for (uint32_t j = 0; j < 8; ++j) {
          const U at = (i * 8u + j) / 3u + workgroup_id(0) * n + part;
          sum = fma(x.load<Storage::f32>(at), to_f32(at % 7u), sum.get());
        }
      }
    }
    y.store(local_id() * 64u + part, sum);
  }
  const ir::Kernel kernel = k.finish();
  double best_ms = 1e9;
  size_t size = 0;
  for (int i = 0; i < 10; ++i) {
    const std::clock_t start = std::clock();  // of this process: the machine may be busy with others
    const auto result = run_pipeline(kernel, target);
    const double took_ms = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    ASSERT_TRUE(result) << result.error().message();
    best_ms = std::min(best_ms, took_ms);
    size = result->instructions.size();
  }
  std::printf("%zu instructions in, %zu out: %.2f ms\n", kernel.instructions.size(), size, best_ms);
  EXPECT_GT(kernel.instructions.size(), 3000u);
  EXPECT_LT(best_ms, 100.0) << "a few milliseconds in a release build; ten times that and more is a fault";
}

}  // namespace
}  // namespace tattletale::compiler

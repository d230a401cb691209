// Random kernels: compiled anywhere, and on a card compared with the interpreter. TT_RANDOM_KERNELS: how
// many; TT_RANDOM_SEED: from where.
#include <cstdlib>

#include "backends/cuda/cuda_dialect.h"
#include "backends/cuda/cuda_fixture.h"
#include "backends/cuda/nvrtc_fixture.h"
#include "compiler/pipeline.h"
#include "ir/compare_device.h"

namespace tattletale {
namespace {

uint32_t count_or(uint32_t otherwise) {
  const char* asked = std::getenv("TT_RANDOM_KERNELS");
  return asked ? static_cast<uint32_t>(std::atoi(asked)) : otherwise;
}
uint64_t first_seed() {
  const char* first = std::getenv("TT_RANDOM_SEED");
  return first ? std::strtoull(first, nullptr, 10) : 1;
}

using CudaRandomCompiled = cuda::WithNvrtc;

TEST_F(CudaRandomCompiled, CompileForEveryGeneration) {
  const uint32_t count = count_or(24);
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t seed = first_seed() + i;
    const uint32_t capability = cuda::kComputeCapabilities[i % std::size(cuda::kComputeCapabilities)];
    const auto architecture = nvrtc_->architecture(capability);
    if (!architecture) continue;  // nvrtc_test.cpp says when that is right
    const ir::TargetInfo target = cuda::cuda_target_info(capability);
    const test::RandomKernel random = test::random_kernel(seed, target);
    const auto source = cuda::print_cuda(random.kernel, target);
    ASSERT_TRUE(source) << "seed " << seed << ": " << source.error().message();
    const auto cubin = nvrtc_->compile(random.kernel, *source, *architecture);
    EXPECT_TRUE(cubin) << "seed " << seed << ": " << cubin.error().message() << source->text;
  }
}

using CudaRandomKernels = test::CudaTest;

TEST_F(CudaRandomKernels, ComputeWhatTheInterpreterDoes) {
  const uint32_t count = count_or(200);
  EXPECT_EQ(test::compare_on(device(), first_seed(), count), "");
  std::printf("compared %u kernels from seed %llu\n", count, static_cast<unsigned long long>(first_seed()));
}

TEST_F(CudaRandomKernels, ComputeWhatTheInterpreterDoesAfterThePassList) {
  const auto prepare = [&](const ir::Kernel& kernel) { return compiler::run_pipeline(kernel, target()); };
  EXPECT_EQ(test::compare_on(device(), first_seed() + 100'000, count_or(200), prepare), "");
}

}  // namespace
}  // namespace tattletale

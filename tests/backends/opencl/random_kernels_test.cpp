// Random kernels on the device against the interpreter. TT_RANDOM_KERNELS: how many; TT_RANDOM_SEED: from
// where.
#include <cstdlib>

#include "backends/opencl/opencl_fixture.h"
#include "compiler/pipeline.h"
#include "ir/compare_device.h"

namespace tattletale::test {
namespace {

class OpenclRandomKernels : public OpenclTest {
 protected:
  /// Of this many kernels if the environment asks for no other number.
  void compare(uint64_t default_seed, uint32_t default_count, const PrepareKernel& prepare) {
    const char* asked = std::getenv("TT_RANDOM_KERNELS");
    const char* first = std::getenv("TT_RANDOM_SEED");
    const uint32_t count = asked != nullptr ? static_cast<uint32_t>(std::atoi(asked)) : default_count;
    const uint64_t seed = first != nullptr ? std::strtoull(first, nullptr, 10) : default_seed;
    EXPECT_EQ(compare_on(device(), seed, count, prepare), "");
    std::printf("compared %u kernels from seed %llu\n", count, static_cast<unsigned long long>(seed));
  }
};

// PoCL needs about a second for each kernel.
TEST_F(OpenclRandomKernels, ComputeWhatTheInterpreterDoes) {
  compare(1, target().is_cpu ? 15 : 300, {});
}

TEST_F(OpenclRandomKernels, AlsoAfterThePasses) {
  compare(1001, target().is_cpu ? 10 : 300,
          [this](const ir::Kernel& kernel) { return compiler::run_pipeline(kernel, target()); });
}

}  // namespace
}  // namespace tattletale::test

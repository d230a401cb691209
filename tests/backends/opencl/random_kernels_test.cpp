// Random kernels on the device against the interpreter. TT_RANDOM_KERNELS: how many; TT_RANDOM_SEED: from
// where.
#include <cstdlib>

#include "backends/opencl/opencl_fixture.h"
#include "ir/compare_device.h"

namespace tattletale::test {
namespace {

class OpenclRandomKernels : public OpenclTest {};

TEST_F(OpenclRandomKernels, ComputeWhatTheInterpreterDoes) {
  const char* asked = std::getenv("TT_RANDOM_KERNELS");
  const char* first = std::getenv("TT_RANDOM_SEED");
  // PoCL needs about a second for each.
  const uint32_t count = asked != nullptr  ? static_cast<uint32_t>(std::atoi(asked))
                         : target().is_cpu ? 25
                                           : 300;
  const uint64_t seed = first != nullptr ? std::strtoull(first, nullptr, 10) : 1;
  EXPECT_EQ(compare_on(device(), seed, count), "");
  std::printf("compared %u kernels from seed %llu\n", count, static_cast<unsigned long long>(seed));
}

}  // namespace
}  // namespace tattletale::test

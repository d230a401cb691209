// Random kernels on every device against the interpreter.
#include <cstdlib>

#include "backends/vulkan/vulkan_fixture.h"
#include "ir/compare_device.h"

namespace tattletale::test {
namespace {

class VulkanRandomTest : public VulkanTest {};
TT_FOR_ALL_VULKAN_DEVICES(VulkanRandomTest);

/// TT_VULKAN_SEEDS sets how many; the first ones are the same on every machine.
TEST_P(VulkanRandomTest, RandomKernelsComputeWhatTheInterpreterDoes) {
  const char* wanted = std::getenv("TT_VULKAN_SEEDS");
  const auto count = static_cast<uint32_t>(wanted != nullptr ? std::atoi(wanted) : 100);
  EXPECT_EQ(compare_on(device(), 1, count), "");
}

}  // namespace
}  // namespace tattletale::test

// The comparison of devices with the interpreter, on the interpreter itself: silent when all is well, and a
// report with seed, words and a small kernel when the device's compiler is wrong.
#include "ir/compare_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/interpreter_device.h"

namespace tattletale::test {
namespace {

using ::testing::HasSubstr;

TEST(CompareDevice, TheInterpreterAgreesWithItselfAtEverySubgroupSize) {
  for (const uint32_t size : {1u, 4u, 8u, 32u, 64u}) {
    const auto device = compiler::open_interpreter_device(compiler::interpreter_target(size));
    EXPECT_EQ(compare_on(*device, 1000, 100), "");
  }
}

TEST(CompareDevice, AWrongCompilerIsReportedWithASmallKernel) {
  const auto device = compiler::open_interpreter_device(compiler::interpreter_target(8));
  const PrepareKernel wrong = [](const ir::Kernel& kernel) -> Result<ir::Kernel> {
    ir::Kernel changed = kernel;
    for (ir::Instruction& in : changed.instructions) {
      if (in.op == ir::Op::sub) std::swap(in.operands[0], in.operands[1]);
    }
    return changed;
  };
  const std::string report = compare_on(*device, 1, 50, wrong);
  EXPECT_THAT(report, HasSubstr("interpreter, subgroups of 8, seed "));
  EXPECT_THAT(report, HasSubstr("must be"));
  EXPECT_THAT(report, HasSubstr("statements:\n"));
  EXPECT_THAT(report, HasSubstr("= sub "));
}

TEST(CompareDevice, FailuresOfTheDeviceAreReported) {
  const auto device = compiler::open_interpreter_device(compiler::interpreter_target(8));
  const PrepareKernel refused = [](const ir::Kernel& kernel) -> Result<ir::Kernel> {
    return make_error(ErrorKind::unsupported, kernel.name, "not today");
  };
  EXPECT_THAT(compare_on(*device, 7, 1, refused), HasSubstr("seed 7:\nfailed: random_7: not today"));
  const PrepareKernel racy = [](const ir::Kernel& kernel) -> Result<ir::Kernel> {
    ir::Kernel changed = kernel;
    for (auto& region : changed.regions) {
      std::erase_if(region, [&](ir::Value v) { return changed.at(v).op == ir::Op::barrier; });
    }
    return changed;
  };
  EXPECT_THAT(compare_on(*device, 1, 50, racy), HasSubstr("races with"));
}

TEST(CompareDevice, FloatsAreHeldToTheirBounds) {
  RandomKernel random;
  random.rules = {{}, {true, 0x1p-20, 0}, {true, 0, 0.25}};
  const auto f = [](float x) { return std::bit_cast<uint32_t>(x); };
  const RunResult want{{7, f(1.0f), f(0.0f)}, {1}};
  EXPECT_EQ(difference(random, want, {{7, f(1.0f + 0x1p-21f), f(-0.25f)}, {1}}), "");
  EXPECT_THAT(difference(random, want, {{7, f(1.0f + 0x1p-19f), f(0.0f)}, {1}}),
              HasSubstr("thread 0, word 1"));
  EXPECT_THAT(difference(random, want, {{7, f(1.0f), f(0.26f)}, {1}}), HasSubstr("word 2: 0.25999999"));
  EXPECT_THAT(difference(random, want, {{8, f(1.0f), f(0.0f)}, {1}}),
              HasSubstr("word 0: 00000008, must be 00000007"));
  EXPECT_THAT(difference(random, want, {{7, 0x7fc00000, f(0.0f)}, {1}}), HasSubstr("word 1: nan"));
  EXPECT_THAT(difference(random, want, {{7, f(1.0f), f(0.0f)}, {2}}), HasSubstr("z[0]"));
}

}  // namespace
}  // namespace tattletale::test

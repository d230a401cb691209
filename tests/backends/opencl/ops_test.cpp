// Every operation of the IR on the device.
#include "backends/opencl/opencl_fixture.h"
#include "support/op_kernels.h"

namespace tattletale::test {
namespace {

class OpenclOps : public OpenclTest {};

TEST_F(OpenclOps, TheDriverBuildsEveryOperation) {
  for (const OpKernel& op : op_kernels(target(), 64)) {
    const auto binary = device().compile(op.kernel);
    EXPECT_TRUE(binary) << binary.error().message() << emit_opencl(op.kernel, target()).value_or("");
  }
}

}  // namespace
}  // namespace tattletale::test

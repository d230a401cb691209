// Every operation of the IR on the device against the interpreter, which fixes what each one means.
#include <set>

#include "backends/opencl/opencl_fixture.h"
#include "support/op_conformance.h"

namespace tattletale::test {
namespace {

class OpenclOps : public OpenclTest {};

TEST_F(OpenclOps, EveryOperationComputesWhatTheInterpreterDoes) {
  const uint32_t subgroup_size = target().subgroup_size;
  std::set<uint32_t> sizes{subgroup_size, 3 * subgroup_size, 256};
  // PoCL takes seconds for a kernel of many threads with a barrier.
  if (target().is_cpu) sizes = {7, 64};
  std::set<ir::Op> seen;
  for (const uint32_t threads : sizes) {
    for (const OpKernel& op : op_kernels(target(), threads)) {
      const auto difference = difference_on(device(), op);
      ASSERT_TRUE(difference) << op.kernel.name << ": " << difference.error().message();
      EXPECT_EQ(*difference, "") << threads << " threads\n" << emit_opencl(op.kernel, target()).value_or("");
      for (const ir::Instruction& instruction : op.kernel.instructions) seen.insert(instruction.op);
    }
  }
  std::string unseen;  // what the target has not, no kernel for it may use
  for (const ir::OpInfo& info : ir::all_ops()) {
    if (!seen.contains(info.op)) unseen += " " + std::string(info.name);
  }
  std::printf("operations compared: %zu of %zu; not on this target:%s\n", seen.size(), ir::all_ops().size(),
              unseen.c_str());
  EXPECT_GE(seen.size(), subgroup_size > 1 ? ir::all_ops().size() : size_t{70});
}

}  // namespace
}  // namespace tattletale::test

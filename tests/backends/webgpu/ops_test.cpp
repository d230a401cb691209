// Every operation of the IR on the WebGPU device against the interpreter.
#include <iostream>
#include <set>

#include "backends/webgpu/launch.h"
#include "backends/webgpu/webgpu_fixture.h"
#include "ir/compare_device.h"

namespace tattletale::test {
namespace {

void compare_all(webgpu::WebgpuProgramDevice& device, const ir::TargetInfo& target, uint32_t threads,
                 std::set<ir::Op>& seen) {
  for (const KernelLaunch& launch : op_launches(target, threads)) {
    SCOPED_TRACE(launch.kernel.name + " with " + std::to_string(threads) + " threads");
    EXPECT_EQ(first_difference(launch, run_on_interpreter(launch), run_on(device, launch)), "");
    for (const ir::Instruction& in : launch.kernel.instructions) seen.insert(in.op);
  }
}

using WebgpuOpsTest = WebgpuTest;

TEST_F(WebgpuOpsTest, EveryOperationComputesWhatTheInterpreterDoes) {
  const uint32_t size = device_->target().subgroup_size;
  std::set<ir::Op> seen;
  auto opened = webgpu::open_webgpu_program_device(device_index());
  ASSERT_TRUE(opened.has_value());
  auto& device = static_cast<webgpu::WebgpuProgramDevice&>(**opened);
  const ir::TargetInfo target = device.target();
  for (const uint32_t threads : std::set<uint32_t>{size, 3 * size, 128}) {
    compare_all(device, target, threads, seen);
  }
  std::string unseen;
  for (const ir::OpInfo& info : ir::all_ops()) {
    if (!seen.contains(info.op)) unseen += " " + std::string(info.name);
  }
  std::cout << device_->compiler_identity() << "\noperations compared: " << seen.size() << " of "
            << ir::all_ops().size() << "; not on this target:" << unseen << "\n";
  EXPECT_GE(seen.size(), size > 1 ? 80u : 70u);
}

/// Text for the weakest target: no subgroups, nothing measured of the numbers, no dot, uniform parameters.
TEST_F(WebgpuOpsTest, PortableTextComputesTheSame) {
  auto opened = webgpu::open_webgpu_program_device(device_index());
  ASSERT_TRUE(opened.has_value());
  auto& device = static_cast<webgpu::WebgpuProgramDevice&>(**opened);
  ir::TargetInfo target = device.target();
  target.subgroup_size = 1;
  target.dot4_i8 = false;
  target.f16x2 = false;
  device.set_target(target, {.enable_subgroups = device.dialect().enable_subgroups,
                             .native_pack = false,
                             .native_unpack = false,
                             .native_exp2 = false});
  std::set<ir::Op> seen;
  for (const uint32_t threads : {1u, 50u}) compare_all(device, target, threads, seen);
}

TEST_F(WebgpuOpsTest, RandomKernelsComputeWhatTheInterpreterDoes) {
  uint32_t num_run = 0, num_inexpressible = 0;
  const uint32_t count =
      std::getenv("TATTLETALE_ALL_CASES") != nullptr || !device_->target().is_cpu ? 400 : 40;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const auto text = webgpu::emit_wgsl(random_kernel(seed, device_->target()).kernel, device_->target(),
                                        device_->dialect());
    if (!text && text.error().message().find("subgroup_barrier where") != std::string::npos) {
      ++num_inexpressible;
      continue;
    }
    ++num_run;
    ASSERT_EQ(compare_on(*device_, seed, 1), "");
  }
  std::cout << num_run << " random kernels compared; " << num_inexpressible
            << " have no form in this dialect\n";
  EXPECT_GE(num_run, count * 8 / 10);
}

}  // namespace
}  // namespace tattletale::test

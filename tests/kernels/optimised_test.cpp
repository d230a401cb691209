// The project's own kernels through the compiler's passes: legal for every kind of target afterwards, the
// same bits out of the interpreter as the body as traced, and how large they become.
#include <gtest/gtest.h>

#include <ctime>
#include <iostream>
#include <map>
#include <set>

#include "compiler/interpreter_device.h"
#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "kernels/conformance/kernel_case.h"
#include "kernels/kernel_contract.h"

namespace tattletale::conformance {
namespace {

/// Launches that take the interpreter longer are left to the conformance suites of the devices.
constexpr uint64_t kMaxOperations = 400'000;  // of a workgroup
constexpr uint32_t kSlackBytes = 1 << 16;     // a device may lay a matrix out larger than it is stored

using Buffers = std::vector<std::vector<uint32_t>>;

struct Tally {
  uint32_t kernels = 0, compared = 0, not_run = 0;
  size_t before = 0, after = 0;
  double slowest_ms = 0;
  std::string slowest;
};

Result<void> run(const ir::Kernel& kernel, const Stage& stage, Buffers& launch_buffers, Buffers& scratch) {
  ir::InterpreterOptions options;
  options.max_operations = kMaxOperations;
  TT_ASSIGN(ir::Interpreter interpreter, ir::Interpreter::create(kernel, options));
  ir::Launch launch;
  launch.workgroups = stage.workgroups;
  std::vector<uint32_t> params(stage.params.bytes().size() / 4);
  std::memcpy(params.data(), stage.params.bytes().data(), params.size() * 4);
  launch.params = params;
  for (const StageBinding& binding : stage.bindings) {
    Buffers& from = binding.source == StageBinding::Source::launch ? launch_buffers : scratch;
    launch.bindings.push_back(std::as_writable_bytes(std::span(from[binding.index])));
  }
  TT_TRY(interpreter.run(launch));
  return {};
}

void compare_launch(const LaunchPlan& plan, const LaunchData& data, const ir::TargetInfo& target,
                    std::map<std::string, ir::Kernel>& optimised, Tally& tally) {
  Buffers plain, scratch;
  for (const Bytes& bytes : data.bindings) {
    plain.emplace_back((bytes.size() + kSlackBytes) / 4 + 1, 0);
    std::memcpy(plain.back().data(), bytes.data(), bytes.size());
  }
  for (const uint64_t bytes : plan.scratch_bytes) scratch.emplace_back(bytes / 4 + 1, 0);
  Buffers passed = plain, passed_scratch = scratch;
  for (const Stage& stage : plan.stages) {
    const ir::Kernel traced = stage.body->trace(target, stage.comptime.data());
    std::string key(stage.body->name);
    key.append(reinterpret_cast<const char*>(stage.comptime.data()), stage.comptime.bytes().size());
    if (!optimised.contains(key)) {
      const std::clock_t start = std::clock();  // of this process: the machine may be busy with others
      auto kernel = compiler::run_pipeline(traced, target);
      const double took_ms = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      ASSERT_TRUE(kernel) << kernel.error().message();
      compiler::PipelineOptions checked;
      checked.verify_each = true;
      const auto again = compiler::run_pipeline(traced, target, checked);
      ASSERT_TRUE(again) << again.error().message();
      tally.kernels += 1;
      tally.before += traced.instructions.size();
      tally.after += kernel->instructions.size();
      if (took_ms > tally.slowest_ms) {
        tally.slowest_ms = took_ms;
        tally.slowest = traced.name + ", " + std::to_string(traced.instructions.size()) + " instructions, " +
                        std::to_string(kernel->instructions.size()) + " after";
      }
      optimised.emplace(key, std::move(*kernel));
    }
    const auto expected = run(traced, stage, plain, scratch);
    if (!expected) {
      // Rows that are no multiple of 4 bytes: a device pads them when it takes a matrix, these buffers do
      // not.
      const bool needs_padding = expected.error().message().find("is not a multiple of") != std::string::npos;
      ASSERT_TRUE(needs_padding || expected.error().kind == ErrorKind::limit_exceeded)
          << expected.error().message();
      ++tally.not_run;
      return;
    }
    const auto found = run(optimised.at(key), stage, passed, passed_scratch);
    ASSERT_TRUE(found) << found.error().message();
  }
  EXPECT_TRUE(plain == passed) << "the passes change what the kernel computes";
  ++tally.compared;
}

TEST(Optimised, KernelsComputeTheSameBits) {
  for (const uint32_t subgroup : {1u, 8u, 32u}) {
    const ir::TargetInfo target = compiler::interpreter_target(subgroup);
    std::map<std::string, ir::Kernel> optimised;
    Tally tally;
    for (const KernelContract* contract : all_kernel_contracts()) {
      if (contract->plan == nullptr) continue;
      uint32_t number = 0;
      for (const KernelCase& test : cases_of(*contract)) {
        if (number++ % 9 != subgroup % 9) continue;  // each target takes cases of its own
        SCOPED_TRACE(test.name);
        const LaunchData data = test.make();
        std::vector<BufferSlice> bindings(data.bindings.size());
        for (size_t i = 0; i < bindings.size(); ++i) {
          if (!data.bindings[i].empty()) {
            bindings[i] = {static_cast<BufferId>(i + 1), 0, data.bindings[i].size()};
          }
        }
        const auto plan = contract->plan({target, data.comptime.data(), data.params.data(), bindings});
        if (plan) compare_launch(*plan, data, target, optimised, tally);
      }
    }
    std::cout << "subgroup size " << subgroup << ": " << tally.kernels << " kernels, " << tally.before
              << " instructions before, " << tally.after << " after; " << tally.compared
              << " launches compared, " << tally.not_run
              << " too long or in need of a device's layout; slowest " << tally.slowest_ms << " ms ("
              << tally.slowest << ")\n";
    EXPECT_GT(tally.compared, 10u);
  }
}

}  // namespace
}  // namespace tattletale::conformance

// From a traced kernel to the kernel that a target's emitter prints: one list of passes (pipeline.cpp), each
// in its own file under passes/. No instruction scheduling and no registers: drivers do that.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::compiler {

struct PipelineOptions {
  /// Verifies after every pass that leaves kernels verified, instead of only first and last.
  bool verify_each = false;
  /// Called with the kernel as given ("input") and after each pass.
  std::function<void(std::string_view pass, const ir::Kernel& kernel)> dump;

  // Budgets in instructions. Compile time of the drivers grows faster than a program's length.
  uint32_t max_unrolled_body = 1000;
  uint32_t max_unrolled_kernel = 3000;
  /// Values that licm may move in front of one loop: each holds a register while the loop runs.
  uint32_t max_hoisted = 24;
};

struct PassContext {
  const ir::TargetInfo& target;
  const PipelineOptions& options;
};

/// A pass rewrites a kernel in place into a kernel of the same meaning.
struct Pass {
  std::string_view name;
  void (*run)(ir::Kernel& kernel, const PassContext& context);
  /// False for a pass that makes values known without removing the branches that can now never run: what
  /// stands in them (a shared index beyond its array) may be refused by verify() until fold has been.
  bool leaves_it_verified;
};

/// The list that run_pipeline() works through, in order.
std::span<const Pass> pipeline_passes();

/// Errors: verify()'s for a kernel that is wrong as given; internal, naming the pass, for one that a pass
/// broke.
Result<ir::Kernel> run_pipeline(ir::Kernel kernel, const ir::TargetInfo& target,
                                const PipelineOptions& options = {});

}  // namespace tattletale::compiler

// Compares a target with the interpreter on random kernels. Sources: see random_kernel.h.
#pragma once

#include <functional>
#include <string>

#include "compiler/program_device.h"
#include "ir/random_kernel.h"

namespace tattletale::test {

/// A step between the kernel and the device's compiler, e.g. a pipeline of passes.
using PrepareKernel = std::function<Result<ir::Kernel>(const ir::Kernel&)>;

/// Runs random_kernel(seed, device.target()) for `count` seeds on the device and on the interpreter. Returns
/// "" when all results agree, else a report: seeds, first differing words, and for the first seed that
/// differs the text of the smallest kernel of that seed that still does. Waits for the device by wait(), or
/// by poll().
std::string compare_on(compiler::ProgramDevice& device, uint64_t first_seed, uint32_t count,
                       const PrepareKernel& prepare = {});

/// The buffers x, y, z after a run.
struct RunResult {
  std::vector<uint32_t> y, z;
};
Result<RunResult> run_on_interpreter(const RandomKernel& random, const ir::Kernel& kernel);
Result<RunResult> run_on_device(compiler::ProgramDevice& device, const RandomKernel& random,
                                const ir::Kernel& kernel);
/// "" or the first few words that differ.
std::string difference(const RandomKernel& random, const RunResult& want, const RunResult& got);

}  // namespace tattletale::test

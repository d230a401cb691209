// The IR interpreter behind the driver's interface: every kernel, and everything that launches kernels, runs
// on it without any driver, at any subgroup size, with every report of ir/interpreter.h. Slow; for tests.
#pragma once

#include <memory>

#include "compiler/program_device.h"
#include "ir/target_info.h"

namespace tattletale::compiler {

/// A device that pretends to be `target`: compile() holds kernels to its limits and features. It is as strict
/// as WebGPU about launches: binding offsets are multiples of 256 bytes. submit() runs the list at once and
/// returns the interpreter's report as its error; buffers are then in an unspecified state, the device lives.
std::unique_ptr<ProgramDevice> open_interpreter_device(const ir::TargetInfo& target);

/// What a test target offers: subgroups of `subgroup_size`, transparent fragments where they can be (sizes
/// above 1), packed halves, limits as a desktop GPU has them.
ir::TargetInfo interpreter_target(uint32_t subgroup_size);

}  // namespace tattletale::compiler

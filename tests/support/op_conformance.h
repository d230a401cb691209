// Runs an op kernel on a device and on the interpreter and compares every word they write.
#pragma once

#include <string>

#include "compiler/program_device.h"
#include "support/op_kernels.h"

namespace tattletale::test {

/// "" when the device computes what the interpreter does, else what differs first, and how much differs.
/// Bindings are slices inside of larger buffers, whose other words must stay as they are. Errors: those of
/// the device and of the interpreter.
Result<std::string> difference_on(compiler::ProgramDevice& device, const OpKernel& op);

/// What the interpreter writes, binding by binding; binding 0 is the input.
Result<std::vector<std::vector<uint32_t>>> interpret(const OpKernel& op);

}  // namespace tattletale::test

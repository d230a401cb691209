// One instruction's own rules: operand and result types, attribute ranges, what the target offers. No control
// flow here.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::ir {

struct Fault {
  ErrorKind kind = ErrorKind::invalid_argument;
  std::string reason;
};

/// The first rule that the instruction breaks. Its operands must be valid instructions of the kernel.
std::optional<Fault> fault_of_instruction(const Kernel& kernel, const TargetInfo& target, Value value);

/// "f32", "f32x4", "fragment a f16".
std::string type_name(Type type);

}  // namespace tattletale::ir

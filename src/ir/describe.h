// Names an instruction for people: "barrier at norm.cpp:41".
#pragma once

#include <string>

#include "ir/kernel.h"

namespace tattletale::ir {

/// The operation, what it touches, and its source line; "%12" stands in for an unknown line.
std::string describe(const Kernel& kernel, Value value);

}  // namespace tattletale::ir

// Turns a ProgramDevice into the engine's Device: plans launches of kernel contracts into program launches,
// traces and compiles each body once, lays matrices out in planes, and keeps scratch memory.
#pragma once

#include <functional>
#include <memory>

#include "compiler/program_device.h"
#include "device/device.h"

namespace tattletale {

struct PortableOptions {
  bool use_disk_cache = true;
};

/// A Device over `programs`. Errors of its methods are those of the program device, and compile errors that
/// name kernel, source line and target.
std::unique_ptr<Device> make_portable_device(std::unique_ptr<compiler::ProgramDevice> programs,
                                             const PortableOptions& options);

}  // namespace tattletale

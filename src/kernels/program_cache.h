// Bodies traced, optimised, compiled and loaded on one device, each specialisation once.
#pragma once

#include <string>
#include <unordered_map>

#include "compiler/program_device.h"
#include "kernels/portable.h"

namespace tattletale {

class ProgramCache {
 public:
  ProgramCache(compiler::ProgramDevice& device, bool use_disk_cache)
      : device_(device), use_disk_cache_(use_disk_cache) {}

  /// The program of `body` for `comptime` on this device. Errors: those of the compiler, naming the body.
  Result<KernelId> get(const KernelBody& body, std::span<const std::byte> comptime);

 private:
  Result<KernelBinary> build(const KernelBody& body, std::span<const std::byte> comptime);

  compiler::ProgramDevice& device_;
  bool use_disk_cache_;
  std::unordered_map<std::string, KernelId> loaded_;
};

}  // namespace tattletale

// Bodies traced, optimised, compiled and loaded on one device, each specialisation once.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "compiler/disk_cache.h"
#include "compiler/program_device.h"
#include "kernels/portable.h"

namespace tattletale {

class ProgramCache {
 public:
  ProgramCache(compiler::ProgramDevice& device, bool use_disk_cache) : device_(device) {
    if (use_disk_cache) disk_.emplace();
  }

  /// The program of `body` for `comptime` on this device. Errors: those of the compiler, naming the body.
  Result<KernelId> get(const KernelBody& body, std::span<const std::byte> comptime);

 private:
  Result<KernelId> load(ir::Kernel traced);

  compiler::ProgramDevice& device_;
  std::optional<compiler::DiskCache> disk_;
  std::unordered_map<std::string, KernelId> loaded_;
};

}  // namespace tattletale

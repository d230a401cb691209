// Bodies traced, optimised, compiled and loaded on one device, each specialisation once.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/disk_cache.h"
#include "compiler/program_device.h"
#include "kernels/portable.h"

namespace tattletale {

/// Not thread-safe: belongs to the thread that owns the device.
class ProgramCache {
 public:
  ProgramCache(compiler::ProgramDevice& device, bool use_disk_cache)
      : device_(device), disk_(open_disk(use_disk_cache)) {}

  /// The program of `body` for `comptime` on this device. Errors: those of the compiler, naming the body.
  Result<KernelId> get(const KernelBody& body, std::span<const std::byte> comptime);

  /// Compiles what the stages need and is not there yet, on several threads where the device allows it.
  /// Faults are left to get(), which meets them again.
  void prepare(std::span<const Stage* const> stages);

 private:
  struct Built {
    KernelBinary binary;
    compiler::CacheKey key;
    bool from_disk = false;
  };
  static std::string key_of(const KernelBody& body, std::span<const std::byte> comptime);
  /// Thread-safe where the device's compile() is. `disk` belongs to the calling thread.
  Result<Built> build(const ir::Kernel& kernel, std::optional<compiler::DiskCache>& disk) const;
  Result<ir::Kernel> trace(const KernelBody& body, const void* comptime) const;
  static std::optional<compiler::DiskCache> open_disk(bool wanted);

  compiler::ProgramDevice& device_;
  std::optional<compiler::DiskCache> disk_;  // of the thread that owns the device
  std::unordered_map<std::string, KernelId> loaded_;
};

}  // namespace tattletale

// Turns (contract, comptime) into a kernel loaded on one device, once.
#pragma once

#include <string>
#include <unordered_map>

#include "device/device.h"
#include "kernels/kernel_contract.h"

namespace tattletale {

/// Loads kernels on first use. Not thread-safe: belongs to the thread that owns the device.
class KernelCache {
 public:
  explicit KernelCache(Device& device) : device_(device) {}

  Device& device() { return device_; }

  /// The kernel specialised on `comptime` (bytes of the contract's comptime struct).
  /// Errors: those of Device::load_kernel.
  Result<KernelId> get(const KernelContract& contract, std::span<const std::byte> comptime);

 private:
  Device& device_;
  std::unordered_map<std::string, KernelId> loaded_;
};

}  // namespace tattletale

#include "kernels/kernel_cache.h"

namespace tattletale {

Result<KernelId> KernelCache::get(const KernelContract& contract, std::span<const std::byte> comptime) {
  CHECK(comptime.size() == contract.comptime_bytes);
  std::string key(contract.name);
  key.push_back('\0');
  key.append(reinterpret_cast<const char*>(comptime.data()), comptime.size());
  if (const auto found = loaded_.find(key); found != loaded_.end()) return found->second;
  KernelBinary binary;
  binary.name = contract.name;
  binary.comptime.assign(comptime.begin(), comptime.end());
  binary.num_bindings = contract.num_bindings;
  binary.params_bytes = contract.params_bytes;
  TT_ASSIGN(const KernelId kernel, device_.load_kernel(binary));
  loaded_.emplace(std::move(key), kernel);
  return kernel;
}

}  // namespace tattletale

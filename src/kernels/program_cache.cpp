#include "kernels/program_cache.h"

namespace tattletale {

Result<KernelId> ProgramCache::get(const KernelBody& body, std::span<const std::byte> comptime) {
  std::string key(body.name);
  key.push_back('\0');
  key.append(reinterpret_cast<const char*>(comptime.data()), comptime.size());
  if (const auto found = loaded_.find(key); found != loaded_.end()) return found->second;
  TT_ASSIGN(const KernelBinary binary, build(body, comptime));
  TT_ASSIGN(const KernelId kernel, device_.load(binary));
  loaded_.emplace(std::move(key), kernel);
  return kernel;
}

Result<KernelBinary> ProgramCache::build(const KernelBody& body, std::span<const std::byte> comptime) {
  const ir::Kernel kernel = body.trace(device_.target(), comptime.data());
  return device_.compile(kernel);
}

}  // namespace tattletale

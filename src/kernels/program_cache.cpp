#include "kernels/program_cache.h"

#include "compiler/pipeline.h"
#include "ir/text.h"

namespace tattletale {

Result<KernelId> ProgramCache::get(const KernelBody& body, std::span<const std::byte> comptime) {
  std::string key(body.name);
  key.push_back('\0');
  key.append(reinterpret_cast<const char*>(comptime.data()), comptime.size());
  if (const auto found = loaded_.find(key); found != loaded_.end()) return found->second;
  TT_ASSIGN(const KernelId id, load(body.trace(device_.target(), comptime.data())));
  loaded_.emplace(std::move(key), id);
  return id;
}

Result<KernelId> ProgramCache::load(ir::Kernel traced) {
  TT_ASSIGN(const ir::Kernel kernel, compiler::run_pipeline(std::move(traced), device_.target()));
  compiler::CacheKey key;
  if (disk_) {
    key = compiler::cache_key(ir::print(kernel), device_.target(), device_.compiler_identity());
    if (const std::optional<KernelBinary> stored = disk_->find(key)) {
      if (Result<KernelId> id = device_.load(*stored)) return id;
      disk_->remove(key);  // a driver may refuse what an earlier one made; compile anew
    }
  }
  TT_ASSIGN(const KernelBinary binary, device_.compile(kernel));
  TT_ASSIGN(const KernelId id, device_.load(binary));
  if (disk_) disk_->store(key, binary);
  return id;
}

}  // namespace tattletale

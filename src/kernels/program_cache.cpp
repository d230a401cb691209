#include "kernels/program_cache.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "compiler/pipeline.h"
#include "ir/text.h"

namespace tattletale {

std::string ProgramCache::key_of(const KernelBody& body, std::span<const std::byte> comptime) {
  std::string key(body.name);
  key.push_back('\0');
  key.append(reinterpret_cast<const char*>(comptime.data()), comptime.size());
  return key;
}

std::optional<compiler::DiskCache> ProgramCache::open_disk(bool wanted) {
  std::optional<compiler::DiskCache> disk;
  if (wanted) disk.emplace();
  return disk;
}

Result<ir::Kernel> ProgramCache::trace(const KernelBody& body, const void* comptime) const {
  return compiler::run_pipeline(body.trace(device_.target(), comptime), device_.target());
}

Result<ProgramCache::Built> ProgramCache::build(const ir::Kernel& kernel,
                                                std::optional<compiler::DiskCache>& disk) const {
  Built built;
  if (disk) {
    built.key = compiler::cache_key(ir::print(kernel), device_.target(), device_.compiler_identity());
    if (std::optional<KernelBinary> stored = disk->find(built.key)) {
      built.binary = std::move(*stored);
      built.from_disk = true;
      return built;
    }
  }
  TT_ASSIGN(built.binary, device_.compile(kernel));
  if (disk) disk->store(built.key, built.binary);
  return built;
}

Result<KernelId> ProgramCache::get(const KernelBody& body, std::span<const std::byte> comptime) {
  std::string key = key_of(body, comptime);
  if (const auto found = loaded_.find(key); found != loaded_.end()) return found->second;
  TT_ASSIGN(const ir::Kernel kernel, trace(body, comptime.data()));
  TT_ASSIGN(Built built, build(kernel, disk_));
  Result<KernelId> id = device_.load(built.binary);
  if (!id && built.from_disk) {
    disk_->remove(built.key);  // a driver may refuse what an earlier one made; compile anew
    TT_ASSIGN(built, build(kernel, disk_));
    id = device_.load(built.binary);
  }
  if (id) loaded_.emplace(std::move(key), *id);
  return id;
}

void ProgramCache::prepare(std::span<const Stage* const> stages) {
  if (!device_.compiles_on_any_thread()) return;
  std::unordered_map<std::string, const Stage*> missing;
  for (const Stage* stage : stages) {
    std::string key = key_of(*stage->body, stage->comptime.bytes());
    if (!loaded_.contains(key)) missing.emplace(std::move(key), stage);
  }
  if (missing.size() < 2) return;
  static_cast<void>(device_.compiler_identity());
  struct Task {
    const std::string* key;
    const Stage* stage;
    std::optional<KernelBinary> binary;
  };
  std::vector<Task> tasks;
  for (const auto& [key, stage] : missing) tasks.push_back({&key, stage, {}});
  std::atomic<size_t> next{0};
  const auto work = [&] {
    std::optional<compiler::DiskCache> disk = open_disk(disk_.has_value());
    for (size_t i = next++; i < tasks.size(); i = next++) {
      try {
        const Result<ir::Kernel> kernel = trace(*tasks[i].stage->body, tasks[i].stage->comptime.data());
        if (!kernel) continue;
        if (Result<Built> built = build(*kernel, disk)) tasks[i].binary = std::move(built->binary);
      } catch (const std::exception&) {
        // A broken invariant must not end the process from here; get() meets it on the caller's thread.
      }
    }
  };
  std::vector<std::jthread> threads;
  const size_t wanted = std::min<size_t>(tasks.size(), std::max(1u, std::thread::hardware_concurrency()));
  for (size_t i = 1; i < wanted; ++i) threads.emplace_back(work);
  work();
  threads.clear();  // joins
  for (Task& task : tasks) {
    if (!task.binary) continue;
    if (const Result<KernelId> id = device_.load(*task.binary)) loaded_.emplace(*task.key, *id);
  }
}

}  // namespace tattletale

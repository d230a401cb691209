#include "kernels/copy_kv_rows.h"

#include <cstring>

#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {
namespace {

/// The rows of one head are consecutive: one memcpy for each copy, head and of K and V.
void run(const Launch& launch) {
  const auto& c = launch.comptime_as<CopyKvRowsComptime>();
  const auto& p = launch.params_as<CopyKvRowsParams>();
  const auto* copies = launch.bindings[0].as<KvRowsCopy>();
  const uint64_t row_bytes = uint64_t{p.head_dim} * dtype_info(c.kv_dtype).block_bytes;
  const uint64_t head_bytes = p.page_tokens * row_bytes;
  const uint64_t heads = p.num_kv_heads;
  const Team::Range mine = launch.team.share(p.num_copies * heads);
  for (uint64_t i = mine.begin; i < mine.end; ++i) {
    const KvRowsCopy& copy = copies[i / heads];
    const uint64_t from = (copy.from_page * heads + i % heads) * head_bytes;
    const uint64_t to = (copy.to_page * heads + i % heads) * head_bytes;
    for (const HostBinding& pages : {launch.bindings[1], launch.bindings[2]}) {
      std::memcpy(pages.data + to, pages.data + from, copy.num_rows * row_bytes);
    }
  }
}

}  // namespace

const CpuKernel kCopyKvRowsCpu = {.contract = &kCopyKvRowsContract, .run = run};

}  // namespace tattletale::cpu

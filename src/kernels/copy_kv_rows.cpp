#include "kernels/copy_kv_rows.h"

namespace tattletale {
namespace {

void twin(std::span<const HostBinding> bindings, const void* comptime, const void* params) {
  const auto& c = *static_cast<const CopyKvRowsComptime*>(comptime);
  const auto& p = *static_cast<const CopyKvRowsParams*>(params);
  const uint64_t row_bytes = uint64_t{p.head_dim} * dtype_info(c.kv_dtype).block_bytes;
  for (uint32_t i = 0; i < p.num_copies; ++i) {
    const KvRowsCopy& copy = bindings[0].as<KvRowsCopy>()[i];
    for (uint64_t h = 0; h < p.num_kv_heads; ++h) {
      for (uint64_t r = 0; r < copy.num_rows; ++r) {
        const uint64_t from =
            ((copy.from_page * uint64_t{p.num_kv_heads} + h) * p.page_tokens + r) * row_bytes;
        const uint64_t to = ((copy.to_page * uint64_t{p.num_kv_heads} + h) * p.page_tokens + r) * row_bytes;
        for (uint64_t byte = 0; byte < row_bytes; ++byte) {
          bindings[1].data[to + byte] = bindings[1].data[from + byte];
          bindings[2].data[to + byte] = bindings[2].data[from + byte];
        }
      }
    }
  }
}

}  // namespace

const KernelContract kCopyKvRowsContract = {
    .name = "copy_kv_rows",
    .num_bindings = 3,
    .comptime_bytes = sizeof(CopyKvRowsComptime),
    .params_bytes = sizeof(CopyKvRowsParams),
    .writes_mask = 1u << 1 | 1u << 2,
    .twin = twin,
    .plan = plan_copy_kv_rows,
};

}  // namespace tattletale

// Copies the first rows of KV pages into other pages: a request that shares part of a page gets its own copy
// of that part before it writes on (copy on write).
#pragma once

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale {

/// One copy: rows 0 .. num_rows-1 of every head of page `to` become those of page `from`.
struct KvRowsCopy {
  uint32_t from_page = 0;
  uint32_t to_page = 0;
  uint32_t num_rows = 0;  // 1 .. page_tokens
  uint32_t unused = 0;
};
static_assert(sizeof(KvRowsCopy) == 16);

/// k_pages[to, h, r, :] = k_pages[from, h, r, :] and the same for v, for every copy, every h < Hkv and
/// r < num_rows. Other rows keep their contents. No page is the target of two copies of one launch, and none
/// is target of one and source of another.
///   0 copies [C] KvRowsCopy     1 k_pages, 2 v_pages [num_pages, Hkv, page_tokens, D] kv_dtype
struct CopyKvRowsComptime {
  DType kv_dtype = DType::f16;  // one element a block
};
struct CopyKvRowsParams {
  uint32_t num_copies = 0;  // C
  uint32_t num_kv_heads = 0;
  uint32_t page_tokens = 0;
  uint32_t head_dim = 0;
};
extern const KernelContract kCopyKvRowsContract;
Result<LaunchPlan> plan_copy_kv_rows(const LaunchRequest& request);

}  // namespace tattletale

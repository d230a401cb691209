// Causal grouped-query attention of a ragged batch over a paged KV cache; decode and prefill alike.
#pragma once

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale {

/// One sequence of a ragged batch. Its `num_tokens` queries stand at rows first_token.. of q and at positions
/// context_tokens - num_tokens .. context_tokens - 1; its pages are page_table[first_page ..], in order.
struct BatchSequence {
  uint32_t first_token = 0;
  uint32_t num_tokens = 0;
  uint32_t context_tokens = 0;  // keys visible to the last query, itself included
  uint32_t first_page = 0;
};
static_assert(sizeof(BatchSequence) == 16);

/// out[t, h, :] = sum_j softmax_j(scale * q[t, h] . k[j, h / (Hq / Hkv)]) v[j, ...]
/// over the positions j of t's own sequence with j <= position(t), and j > position(t) - window if window >
/// 0.
///   0 q [T, Hq, D] f32, row stride q_stride     1 k_pages, 2 v_pages [num_pages, Hkv, page_tokens, D]
///   kv_dtype 3 sequences [S] BatchSequence     4 page_table [*] u32     5 out [T, Hq * D] f32
/// A token's result does not depend on how its sequence was cut into chunks nor on the rest of the batch
/// (bit-identical on one device): keys are always taken in the same order and grouping, by page boundary.
struct PagedAttentionComptime {
  DType kv_dtype = DType::f16;
};
struct PagedAttentionParams {
  uint32_t num_tokens = 0;
  uint32_t num_sequences = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t q_stride = 0;
  uint32_t page_tokens = 0;
  uint32_t window = 0;  // 0: every earlier position
  float scale = 1.0f;
};
extern const KernelContract kPagedAttentionContract;
Result<LaunchPlan> plan_paged_attention(const LaunchRequest& request);

}  // namespace tattletale

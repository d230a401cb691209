// The arithmetic of paged attention, apart from its scheduling (paged_attention.cpp).
//
// Keys are cut into parts of kPartKeys at absolute positions 0, kPartKeys, ... For one query row, a part
// gives (max, sum, out): the softmax of its visible keys, unnormalised; parts are folded in order of
// position. That grouping never depends on chunks, batch, threads or page table, so neither does one bit of
// the result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tattletale::cpu {

inline constexpr uint32_t kPartKeys = 256;
/// The running maximum before any key: far below every score, finite so that differences stay numbers.
inline constexpr float kLowestScore = -1e30f;

/// Rows of queries that share one kv head, against one part of the keys.
struct AttentionPart {
  // Queries, times the softmax scale and query_factor, row_floats apart and zero past head_dim.
  const float* q = nullptr;
  uint32_t num_rows = 0;
  uint32_t row_floats = 0;  // head_dim rounded up to 16
  // Row r sees keys [first_key[r], end_key[r]) counted from the part's start; both ends never fall with r.
  const uint32_t* first_key = nullptr;
  const uint32_t* end_key = nullptr;

  // The cache. Pages of keys that no row sees are never looked up.
  const std::byte* k_pages = nullptr;
  const std::byte* v_pages = nullptr;
  const uint32_t* page_table = nullptr;  // of the sequence
  uint32_t part_start = 0;               // absolute position of the part's first key
  uint32_t page_tokens = 0;
  uint32_t num_kv_heads = 0;
  uint32_t kv_head = 0;
  uint32_t head_dim = 0;
  DType kv_dtype = DType::f16;

  std::byte* scratch = nullptr;  // of this thread, part_scratch_bytes()

  // Results per row.
  float* out = nullptr;  // [num_rows, row_floats]
  float* row_max = nullptr;
  float* row_sum = nullptr;

  /// Byte offset of the row of key `j` (from the part's start) in k_pages and v_pages.
  uint64_t key_offset_bytes(uint32_t j) const {
    const uint32_t position = part_start + j;
    const uint64_t page = page_table[position / page_tokens];
    const uint64_t row = (page * num_kv_heads + kv_head) * page_tokens + position % page_tokens;
    return row * head_dim * dtype_info(kv_dtype).block_bytes;
  }
};

/// One way to compute parts, with its own numerics; a device always uses the same one for a kv dtype.
struct AttentionMath {
  uint32_t target_rows = 0;   // rows of a work item at which its set-up is paid for
  float query_factor = 1.0f;  // multiplies queries beside the softmax scale
  uint64_t (*scratch_bytes)(uint32_t max_rows, uint32_t row_floats) = nullptr;
  void (*compute)(const AttentionPart& part) = nullptr;
};

/// f32 throughout. Any head_dim that is a multiple of 8, any of the three kv dtypes.
const AttentionMath& attention_math_f32();

/// bf16 tiles with f32 sums, for f16 and bf16 caches; null where the processor has none.
const AttentionMath* attention_math_amx();

/// Folds a part's result into a row's running (max, sum, out).
void fold_part(float* out, float& max, float& sum, const float* part_out, float part_max, float part_sum,
               uint32_t row_floats);

/// destination [head_dim] = out / sum
void finish_row(float* destination, const float* out, float sum, uint32_t head_dim);

}  // namespace tattletale::cpu

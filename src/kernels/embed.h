// Token embedding: gathers and dequantizes rows of the embedding table.
#pragma once

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale {

/// A token id with this bit set names row (id & ~bit) of the ready embeddings: images, sounds, soft prompts.
inline constexpr uint32_t kReadyEmbeddingBit = 0x80000000u;

/// out[t, :] = scale * dequantize(table[token_ids[t], :]), or ready[token_ids[t] & ~bit, :] unscaled
///   0 token_ids [T] u32, each < num_rows or marked     1 table [num_rows, D] any dtype     2 out [T, D] f32
///   3 ready [*, D] f32, or absent when no id is marked
struct EmbedComptime {
  DType table_dtype = DType::f32;
};
struct EmbedParams {
  uint32_t num_tokens = 0;  // T
  uint32_t dim = 0;         // D
  uint32_t num_rows = 0;
  float scale = 1.0f;
};
extern const KernelContract kEmbedContract;
Result<LaunchPlan> plan_embed(const LaunchRequest& request);

}  // namespace tattletale

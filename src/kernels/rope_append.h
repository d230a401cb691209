// Per-head normalisation, rotary position embedding, and append to the paged KV cache, in one pass over the
// joint q/k/v projection.
#pragma once

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale {

enum class RopeLayout : uint8_t {
  half,         // pairs (i, i + rotary_dim/2): Hugging Face checkpoints, "neox" in GGUF
  interleaved,  // pairs (2i, 2i + 1): Llama tensors in GGUF
};

/// For each token t: q and k heads are RMS-normalised when a norm weight is present, rotated by
/// positions[t] * inv_freq[i], q is written back in place, k and v are converted to kv_dtype and stored.
///   0 qkv [T, (Hq + 2 Hkv) * D] f32, row stride qkv_stride; q part updated in place
///   1 q_norm [D] f32 or absent     2 k_norm [D] f32 or absent     (weight_offset as in rms_norm.h)
///   3 inv_freq [rotary_dim / 2] f32, radians per position, scaling already applied
///   4 positions [T] u32     5 kv_slots [T] u64: page * page_tokens + offset of the token inside its page
///   6 k_pages, 7 v_pages [num_pages, Hkv, page_tokens, D] kv_dtype
/// cos and sin are multiplied by rope_factor (yarn's attention factor; 1 otherwise). Dimensions past
/// rotary_dim pass through. Angles are computed so that positions up to 2^24 keep f32 accuracy (reduce in
/// f64). Source: Su et al. 2021, arXiv:2104.09864.
struct RopeAppendComptime {
  RopeLayout layout = RopeLayout::half;
  DType kv_dtype = DType::f16;  // f32, f16 or bf16
};
struct RopeAppendParams {
  uint32_t num_tokens = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t rotary_dim = 0;
  uint32_t qkv_stride = 0;
  uint32_t page_tokens = 0;
  float norm_eps = 0.0f;
  float norm_weight_offset = 0.0f;
  float rope_factor = 1.0f;
};
extern const KernelContract kRopeAppendContract;
Result<LaunchPlan> plan_rope_append(const LaunchRequest& request);

}  // namespace tattletale

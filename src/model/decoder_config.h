// What a decoder-only transformer is, as typed numbers: the result of reading a checkpoint's configuration.
// Architectures (archs/) fill it; layers/ compute with it. No dtype, quantization format or backend in here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/rope_append.h"
#include "model/rope_scaling.h"

namespace tattletale {

enum class Activation : uint8_t { silu, gelu_tanh };

/// Attention of one layer.
struct LayerAttention {
  uint32_t window_tokens = 0;  // 0: every earlier token
  uint32_t rope_index = 0;     // into DecoderConfig::ropes
};

struct DecoderConfig {
  std::string arch;  // the architecture's name here, e.g. "qwen3"
  uint32_t vocab_size = 0;
  uint32_t hidden_dim = 0;
  uint32_t ffn_dim = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  uint64_t context_tokens = 0;  // positions the checkpoint was made for
  std::vector<LayerAttention> layers;
  std::vector<RopeConfig> ropes;  // one or two kinds
  RopeLayout rope_layout = RopeLayout::half;
  Activation activation = Activation::silu;
  float norm_eps = 1e-6f;
  float norm_weight_offset = 0.0f;  // added to every norm weight
  float attention_scale = 0.0f;     // multiplies q.k
  float embed_scale = 1.0f;
  bool tied_head = false;  // the head is the embedding table
  bool qkv_bias = false;
  bool output_bias = false;  // of the attention's output projection
  bool mlp_bias = false;
  bool qk_norm = false;           // RMS norm of each q and k head
  bool post_norms = false;        // norms behind attention and MLP, before the residual is added
  std::vector<uint32_t> end_ids;  // from the configuration; the tokenizer may know more
};

/// Names of the tensors as one checkpoint writes them; {} stands for the layer's number.
/// An empty name means the architecture has no such tensor.
struct TensorNames {
  std::string embed, final_norm, head, rope_freqs;
  std::string attention_norm, q, k, v, o, q_norm, k_norm, post_attention_norm;
  std::string mlp_norm, gate, up, down, post_mlp_norm;

  /// Replaces {} by the layer number.
  static std::string of_layer(const std::string& name, size_t layer);
};

}  // namespace tattletale

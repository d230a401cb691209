#include "model/archs/gguf_config.h"

#include <algorithm>
#include <cmath>

#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

/// A number, or a list of one number a layer when all are equal.
Result<uint64_t> read_uniform_int(ConfigReader& config, std::string_view key, uint64_t min, uint64_t max,
                                  std::optional<uint64_t> fallback = std::nullopt) {
  const Result<std::vector<int64_t>> list = config.required_ints(key);
  if (!list) return read_int(config, key, min, max, fallback);
  for (const int64_t item : *list) {
    if (item == list->front()) continue;
    return config.key_error(ErrorKind::unsupported, key,
                            "differs between layers (" + std::to_string(list->front()) + " and " +
                                std::to_string(item) + "); this build computes layers of equal sizes");
  }
  const int64_t value = list->empty() ? -1 : list->front();
  if (value >= static_cast<int64_t>(min) && value <= static_cast<int64_t>(max))
    return static_cast<uint64_t>(value);
  return config.key_error(ErrorKind::bad_file, key,
                          "is a list " + (list->empty() ? "without entries" : "of " + std::to_string(value)) +
                              ", expected whole numbers from " + std::to_string(min) + " to " +
                              std::to_string(max));
}

/// The vocabulary is as large as the embedding table: files need not name it.
Result<uint32_t> read_vocab_size(const ModelFiles& files) {
  TT_ASSIGN(const TensorView embed, files.tensor("token_embd.weight"));
  const int64_t rows = embed.shape.rank() == 2 ? embed.shape[0] : 0;
  if (rows >= 1 && static_cast<uint64_t>(rows) <= kMaxVocab) return static_cast<uint32_t>(rows);
  return make_error(ErrorKind::bad_file, files.gguf->path(),
                    "tensor token_embd.weight has shape " + embed.shape.to_string() +
                        ", expected one row for each of 1 to " + std::to_string(kMaxVocab) + " tokens");
}

Result<void> read_heads(ConfigReader& config, DecoderConfig& out) {
  TT_ASSIGN(const uint64_t heads, read_uniform_int(config, "attention.head_count", 1, kMaxHeads));
  TT_ASSIGN(const uint64_t kv_heads,
            read_uniform_int(config, "attention.head_count_kv", 1, kMaxHeads, heads));
  std::optional<uint64_t> head_default;
  if (out.hidden_dim % heads == 0) head_default = out.hidden_dim / heads;
  TT_ASSIGN(const uint64_t head_dim, read_int(config, "attention.key_length", 1, kMaxHeadDim, head_default));
  TT_ASSIGN(const uint64_t value_dim,
            read_int(config, "attention.value_length", 1, kMaxHeadDim, head_default));
  if (value_dim != head_dim) {
    return unsupported_value(
        config, "attention.value_length", std::to_string(value_dim),
        "keys have " + std::to_string(head_dim) + " dimensions, and values must have as many");
  }
  out.num_q_heads = static_cast<uint32_t>(heads);
  out.num_kv_heads = static_cast<uint32_t>(kv_heads);
  out.head_dim = static_cast<uint32_t>(head_dim);
  out.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return {};
}

Result<void> read_end_ids(const ModelFiles& files, DecoderConfig& out) {
  for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (!files.gguf->has(key)) continue;
    TT_ASSIGN(const uint64_t id, files.gguf->get_u64(key));
    const bool known = std::ranges::find(out.end_ids, id) != out.end_ids.end();
    if (id < out.vocab_size && !known) out.end_ids.push_back(static_cast<uint32_t>(id));
  }
  return {};
}

}  // namespace

Result<void> read_gguf_common(ConfigReader& config, const ModelFiles& files, DecoderConfig& out) {
  TT_TRY(config.refuse("expert_count", "mixtures of experts cannot be computed yet"));
  TT_TRY(config.refuse("attn_logit_softcapping", "capped attention scores cannot be computed yet"));
  TT_TRY(config.refuse("final_logit_softcapping", "capped logits cannot be computed yet"));
  TT_TRY(config.expect_bool("attention.causal", true));
  TT_ASSIGN(const uint64_t hidden, read_int(config, "embedding_length", 8, kMaxDim));
  TT_ASSIGN(const uint64_t layers, read_int(config, "block_count", 1, kMaxLayers));
  TT_ASSIGN(const uint64_t ffn, read_uniform_int(config, "feed_forward_length", 8, kMaxDim));
  TT_ASSIGN(out.context_tokens, read_int(config, "context_length", 1, kMaxContextTokens));
  TT_ASSIGN(const double eps, read_number(config, "attention.layer_norm_rms_epsilon", 1e-12, 0.1));
  TT_ASSIGN(out.vocab_size, read_vocab_size(files));
  out.hidden_dim = static_cast<uint32_t>(hidden);
  out.ffn_dim = static_cast<uint32_t>(ffn);
  out.layers.resize(layers);
  out.norm_eps = static_cast<float>(eps);
  TT_TRY(read_heads(config, out));
  // Asked of the file itself, so that a tensor of unknown type is not taken for an absent one.
  const auto stored = [&](std::string_view name) { return files.gguf->find_tensor(name) != nullptr; };
  out.tied_head = !stored("output.weight");
  out.qkv_bias = stored("blk.0.attn_q.bias");
  out.output_bias = stored("blk.0.attn_output.bias");
  out.mlp_bias = stored("blk.0.ffn_gate.bias");
  return read_end_ids(files, out);
}

Result<void> refuse_unread_gguf_keys(ConfigReader& config) {
  static constexpr std::string_view kHarmless[] = {"expert_used_count", "tensor_data_layout", "vocab_size"};
  return refuse_unread_keys(config, kHarmless, false);
}

TensorNames gguf_tensor_names() {
  TensorNames names;
  names.embed = "token_embd.weight";
  names.final_norm = "output_norm.weight";
  names.head = "output.weight";
  names.rope_freqs = "rope_freqs.weight";
  names.attention_norm = "blk.{}.attn_norm.weight";
  names.q = "blk.{}.attn_q.weight";
  names.k = "blk.{}.attn_k.weight";
  names.v = "blk.{}.attn_v.weight";
  names.o = "blk.{}.attn_output.weight";
  names.mlp_norm = "blk.{}.ffn_norm.weight";
  names.gate = "blk.{}.ffn_gate.weight";
  names.up = "blk.{}.ffn_up.weight";
  names.down = "blk.{}.ffn_down.weight";
  return names;
}

}  // namespace tattletale

#include "model/archs/gguf_config.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

std::string range_text(uint64_t min, uint64_t max) {
  return "a whole number from " + std::to_string(min) + " to " + std::to_string(max) + " was expected";
}

}  // namespace

std::string GgufConfig::full(std::string_view key) {
  std::string name = prefix_ + std::string(key);
  read_.insert(name);
  return name;
}

bool GgufConfig::has(std::string_view key) { return files_.gguf->has(full(key)); }

Error GgufConfig::refuse(std::string_view key, std::string_view value, std::string_view expected) const {
  return make_error(ErrorKind::unsupported, where(),
                    prefix_ + std::string(key) + " is " + std::string(value) + "; " + std::string(expected));
}

Result<uint64_t> GgufConfig::integer(std::string_view key, uint64_t min, uint64_t max,
                                     std::optional<uint64_t> fallback) {
  const std::string name = full(key);
  if (fallback && !files_.gguf->has(name)) return *fallback;
  TT_ASSIGN(const uint64_t value, files_.gguf->get_u64(name));
  if (value < min || value > max) {
    return make_error(ErrorKind::bad_file, where(), name + " is " + std::to_string(value) + "; " + range_text(min, max));
  }
  return value;
}

Result<uint64_t> GgufConfig::uniform_integer(std::string_view key, uint64_t min, uint64_t max,
                                             std::optional<uint64_t> fallback) {
  const std::string name = full(key);
  const GgufValue* value = files_.gguf->find(name);
  if (value == nullptr || value->type != GgufType::array) return integer(key, min, max, fallback);
  TT_ASSIGN(const std::vector<int64_t> items, files_.gguf->get_int_array(name));
  for (const int64_t item : items) {
    if (item == items.front()) continue;
    return make_error(ErrorKind::unsupported, where(),
                      name + " differs between layers (" + std::to_string(items.front()) + " and " +
                          std::to_string(item) + "); this build computes layers of equal sizes");
  }
  if (items.empty() || items.front() < 0 || static_cast<uint64_t>(items.front()) < min ||
      static_cast<uint64_t>(items.front()) > max) {
    return make_error(ErrorKind::bad_file, where(),
                      name + " is a list " + (items.empty() ? "without entries" : "of " + std::to_string(items.front())) +
                          "; " + range_text(min, max));
  }
  return static_cast<uint64_t>(items.front());
}

Result<double> GgufConfig::number(std::string_view key, double min, double max, std::optional<double> fallback) {
  const std::string name = full(key);
  if (fallback && !files_.gguf->has(name)) return *fallback;
  TT_ASSIGN(const float value, files_.gguf->get_f32(name));
  if (!(value >= min && value <= max)) {
    return make_error(ErrorKind::bad_file, where(),
                      name + " is " + std::to_string(value) + "; a number from " + Json(min).dump() + " to " +
                          Json(max).dump() + " was expected");
  }
  return value;
}

Result<std::string> GgufConfig::text(std::string_view key, std::string fallback) {
  const std::string name = full(key);
  if (!files_.gguf->has(name)) return fallback;
  TT_ASSIGN(const std::string_view value, files_.gguf->get_string(name));
  return std::string(value);
}

Result<void> GgufConfig::require_zero(std::string_view key, std::string_view expected) {
  const std::string name = full(key);
  const GgufValue* value = files_.gguf->find(name);
  if (value == nullptr) return {};
  const bool zero = std::ranges::all_of(value->bytes, [](std::byte b) { return b == std::byte{0}; });
  const bool scalar = value->type != GgufType::array && value->type != GgufType::string;
  if (scalar && zero) return {};
  std::string shown = "not zero";
  if (const auto number = files_.gguf->get_f32(name)) {
    shown = Json(*number).dump();
  } else if (const auto whole = files_.gguf->get_i64(name)) {
    shown = std::to_string(*whole);
  }
  return refuse(key, shown, expected);
}

Result<void> GgufConfig::refuse_unread() const {
  // Bookkeeping that converters write beside the numbers that matter.
  static constexpr std::string_view kHarmless[] = {"tensor_data_layout", "vocab_size", "attention.causal"};
  for (const std::string_view key : files_.gguf->keys()) {
    if (!key.starts_with(prefix_) || read_.contains(key)) continue;
    const std::string_view tail = key.substr(prefix_.size());
    if (std::ranges::find(kHarmless, tail) != std::end(kHarmless) || tail.starts_with("mm.")) continue;
    if (!names_a_computation(tail)) continue;
    return make_error(ErrorKind::unsupported, where(),
                      "this build does not know the key " + std::string(key) +
                          ", and it may change what the model computes");
  }
  return {};
}

namespace {

Result<void> read_sizes(GgufConfig& config, DecoderConfig& out) {
  TT_ASSIGN(const uint64_t hidden, config.integer("embedding_length", 8, kMaxDim));
  TT_ASSIGN(const uint64_t layers, config.integer("block_count", 1, kMaxLayers));
  TT_ASSIGN(const uint64_t ffn, config.uniform_integer("feed_forward_length", 8, kMaxDim));
  TT_ASSIGN(const uint64_t heads, config.uniform_integer("attention.head_count", 1, kMaxHeads));
  TT_ASSIGN(const uint64_t kv_heads, config.uniform_integer("attention.head_count_kv", 1, heads, heads));
  std::optional<uint64_t> head_default;
  if (hidden % heads == 0) head_default = hidden / heads;
  TT_ASSIGN(const uint64_t head_dim, config.integer("attention.key_length", 8, kMaxHeadDim, head_default));
  TT_ASSIGN(const uint64_t value_dim, config.integer("attention.value_length", 1, kMaxHeadDim, head_default));
  if (value_dim != head_dim) {
    return config.refuse("attention.value_length", std::to_string(value_dim),
                         "keys have " + std::to_string(head_dim) + " dimensions and values must have as many");
  }
  TT_ASSIGN(out.context_tokens, config.integer("context_length", 1, kMaxContextTokens));
  TT_ASSIGN(const double eps, config.number("attention.layer_norm_rms_epsilon", 1e-12, 0.1));
  TT_ASSIGN(const TensorView embed, config.files().tensor("token_embd.weight"));
  const int64_t vocab = embed.shape.rank() == 2 ? embed.shape[0] : 0;
  if (vocab < 1 || static_cast<uint64_t>(vocab) > kMaxVocab) {
    return make_error(ErrorKind::bad_file, config.where(),
                      "tensor token_embd.weight has shape " + embed.shape.to_string() + "; [vocabulary, " +
                          std::to_string(hidden) + "] was expected");
  }
  out.vocab_size = static_cast<uint32_t>(vocab);
  out.hidden_dim = static_cast<uint32_t>(hidden);
  out.ffn_dim = static_cast<uint32_t>(ffn);
  out.num_q_heads = static_cast<uint32_t>(heads);
  out.num_kv_heads = static_cast<uint32_t>(kv_heads);
  out.head_dim = static_cast<uint32_t>(head_dim);
  out.layers.resize(layers);
  out.norm_eps = static_cast<float>(eps);
  out.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return {};
}

}  // namespace

Result<void> read_gguf_common(GgufConfig& config, DecoderConfig& out) {
  TT_TRY(config.require_zero("expert_count", "mixtures of experts cannot be computed yet"));
  config.ignore("expert_used_count");
  TT_TRY(config.require_zero("attn_logit_softcapping", "capped attention scores cannot be computed yet"));
  TT_TRY(config.require_zero("final_logit_softcapping", "capped logits cannot be computed yet"));
  TT_TRY(config.require_zero("logit_scale", "scaled logits cannot be computed yet"));
  TT_TRY(read_sizes(config, out));
  const ModelFiles& files = config.files();
  // Asked of the file itself, so that a tensor of unknown type is not taken for an absent one.
  const auto stored = [&](std::string_view name) { return files.gguf->find_tensor(name) != nullptr; };
  out.tied_head = !stored("output.weight");
  out.qkv_bias = stored("blk.0.attn_q.bias");
  out.output_bias = stored("blk.0.attn_output.bias");
  out.mlp_bias = stored("blk.0.ffn_gate.bias");
  for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (!files.gguf->has(key)) continue;
    TT_ASSIGN(const uint64_t id, files.gguf->get_u64(key));
    const bool known = std::ranges::find(out.end_ids, id) != out.end_ids.end();
    if (id < out.vocab_size && !known) out.end_ids.push_back(static_cast<uint32_t>(id));
  }
  return {};
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

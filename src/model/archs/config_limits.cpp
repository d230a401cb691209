#include "model/archs/config_limits.h"

#include <algorithm>

namespace tattletale {
namespace {

Error bad(const std::string& where, std::string what) {
  return make_error(ErrorKind::bad_file, where, std::move(what));
}

/// True when a key with this name may change what is computed, judging by the word stems that published
/// configurations use for what forward would have to do differently.
bool names_a_computation(std::string_view key) {
  static constexpr std::string_view kStems[] = {
      "scal", "cap",    "rope",      "rotary", "norm",     "bias",      "window",  "sliding", "expert",
      "moe",  "attn",   "act",       "mult",   "quant",    "layer",     "head",    "mlp",     "ffn",
      "feed", "posit",  "alibi",     "lora",   "logit",    "chunk",     "sparse",  "mamba",   "ssm",
      "conv", "sink",   "recurrent", "skip",   "gate",     "attention", "nope",    "rank",    "factor",
      "clip", "router", "causal",    "cross",  "parallel", "residual",  "pooling", "compress"};
  return std::ranges::any_of(kStems, [&](std::string_view stem) { return key.find(stem) != key.npos; });
}

}  // namespace

Result<uint64_t> read_int(ConfigReader& config, std::string_view key, uint64_t min, uint64_t max,
                          std::optional<uint64_t> fallback) {
  const auto least = static_cast<int64_t>(min), most = static_cast<int64_t>(max);
  if (fallback) {
    TT_ASSIGN(const int64_t value, config.optional_int(key, static_cast<int64_t>(*fallback), least, most));
    return static_cast<uint64_t>(value);
  }
  TT_ASSIGN(const int64_t value, config.required_int(key, least, most));
  return static_cast<uint64_t>(value);
}

Result<double> read_number(ConfigReader& config, std::string_view key, double min, double max,
                           std::optional<double> fallback) {
  if (fallback && !config.has(key)) {
    TT_TRY(config.optional_float(key, *fallback));  // notes that the key is known
    return *fallback;
  }
  TT_ASSIGN(const double value, config.required_float(key));
  if (value >= min && value <= max) return value;
  return config.key_error(ErrorKind::bad_file, key,
                          "is " + Json(value).dump() + ", expected a number from " + Json(min).dump() +
                              " to " + Json(max).dump());
}

Error unsupported_value(const ConfigReader& config, std::string_view key, std::string_view value,
                        std::string_view expected) {
  return config.key_error(ErrorKind::unsupported, key,
                          "is " + std::string(value) + "; " + std::string(expected));
}

Result<void> refuse_unread_keys(ConfigReader& config, std::span<const std::string_view> harmless,
                                bool strict) {
  for (const std::string& key : config.unread_keys()) {
    if (!strict && (!names_a_computation(key) || std::ranges::find(harmless, key) != harmless.end()))
      continue;
    TT_TRY(config.refuse(key, "this build does not know the key, and it may change what the model computes"));
  }
  return {};
}

Result<void> check_decoder_config(const std::string& where, const DecoderConfig& config) {
  if (config.num_q_heads % config.num_kv_heads != 0) {
    return bad(where, std::to_string(config.num_q_heads) + " attention heads cannot share " +
                          std::to_string(config.num_kv_heads) + " key/value heads evenly");
  }
  if (config.head_dim % 8 != 0) {
    return make_error(
        ErrorKind::unsupported, where,
        "heads have " + std::to_string(config.head_dim) + " dimensions; a multiple of 8 is needed");
  }
  if (uint64_t{config.num_q_heads} * config.head_dim > kMaxDim) {
    return bad(where, std::to_string(config.num_q_heads) + " heads of " + std::to_string(config.head_dim) +
                          " dimensions pass the limit of " + std::to_string(kMaxDim));
  }
  for (const RopeConfig& rope : config.ropes) {
    if (rope.rotary_dim < 4 || rope.rotary_dim % 2 != 0 || rope.rotary_dim > config.head_dim) {
      return bad(where, std::to_string(rope.rotary_dim) + " rotated dimensions do not fit heads of " +
                            std::to_string(config.head_dim) + "; an even number from 4 on is needed");
    }
  }
  CHECK(!config.layers.empty() && !config.ropes.empty() && config.attention_scale > 0);
  for (const LayerAttention& layer : config.layers) CHECK(layer.rope_index < config.ropes.size());
  return {};
}

}  // namespace tattletale

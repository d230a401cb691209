#include "model/archs/config_limits.h"

#include <string_view>

namespace tattletale {
namespace {

Error bad(const std::string& where, std::string what) {
  return make_error(ErrorKind::bad_file, where, std::move(what));
}

}  // namespace

Result<void> check_decoder_config(const std::string& where, const DecoderConfig& config) {
  if (config.num_q_heads % config.num_kv_heads != 0) {
    return bad(where, std::to_string(config.num_q_heads) + " attention heads cannot share " +
                          std::to_string(config.num_kv_heads) + " key/value heads evenly");
  }
  if (config.head_dim % 8 != 0) {
    return make_error(ErrorKind::unsupported, where,
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

bool names_a_computation(std::string_view key) {
  // Word stems that published configurations use for what forward would have to do differently.
  static constexpr std::string_view kStems[] = {
      "scal", "cap",  "rope",  "rotary", "norm",  "bias",  "window", "sliding", "expert", "moe",    "attn",   "attention",
      "act",  "mult", "quant", "layer",  "head",  "mlp",   "ffn",    "feed",    "posit",  "alibi",  "lora",   "residual",
      "logit", "chunk", "sparse", "mamba", "ssm", "conv",  "sink",   "recurrent", "skip", "gate",   "nope",   "compress",
      "factor", "parallel", "clip",  "rank",   "router", "cross", "causal", "pooling"};
  for (const std::string_view stem : kStems) {
    if (key.find(stem) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace tattletale

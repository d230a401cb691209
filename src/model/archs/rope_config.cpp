#include "model/archs/rope_config.h"

#include <cmath>

#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

constexpr double kMinTheta = 2.0, kMaxTheta = 1e12;
constexpr double kMinScale = 1e-3, kMaxScale = 1e6;

/// rotary_dim = floor(head_dim * share), as transformers rounds it.
Result<uint32_t> read_rotary_dim(HfConfig& config, uint32_t head_dim, uint32_t fallback) {
  if (!config.has("partial_rotary_factor")) return fallback;
  TT_ASSIGN(const double share, config.number("partial_rotary_factor", 0.0, 1.0));
  return static_cast<uint32_t>(head_dim * share);
}

Result<std::string> read_kind(HfConfig& object) {
  TT_ASSIGN(const std::string old_name, object.text("type", "default"));
  TT_ASSIGN(const std::string name, object.text("rope_type", old_name));
  if (object.has("type") && name != old_name) {
    return object.refuse("rope_type", "its older spelling, type, is \"" + old_name + "\"; remove one of the two");
  }
  return name;
}

Result<void> read_yarn(HfConfig& object, uint64_t context_tokens, RopeConfig& rope) {
  rope.kind = RopeScalingKind::yarn;
  // A missing factor is the growth of the context, as transformers has it.
  std::optional<double> growth;
  if (rope.original_context_tokens > 0) {
    growth = static_cast<double>(context_tokens) / static_cast<double>(rope.original_context_tokens);
  }
  TT_ASSIGN(rope.scale, object.number("factor", kMinScale, kMaxScale, growth));
  TT_ASSIGN(rope.attention_factor, object.number("attention_factor", 1e-6, 1e6, 0.0));
  TT_ASSIGN(rope.mscale, object.number("mscale", 0.0, 1e6, 0.0));
  TT_ASSIGN(rope.mscale_all_dim, object.number("mscale_all_dim", 0.0, 1e6, 0.0));
  TT_ASSIGN(rope.beta_fast, object.number("beta_fast", 0.0, 1e6, 32.0));
  TT_ASSIGN(rope.beta_slow, object.number("beta_slow", 0.0, 1e6, 1.0));
  TT_ASSIGN(rope.truncate, object.boolean("truncate", true));
  if (rope.beta_fast == 0.0) rope.beta_fast = 32.0;  // zero counts as absent there
  if (rope.beta_slow == 0.0) rope.beta_slow = 1.0;
  return {};
}

Result<void> read_llama3(HfConfig& object, RopeConfig& rope) {
  rope.kind = RopeScalingKind::llama3;
  TT_ASSIGN(rope.scale, object.number("factor", kMinScale, kMaxScale));
  TT_ASSIGN(rope.low_frequency_factor, object.number("low_freq_factor", 1e-6, 1e6));
  TT_ASSIGN(rope.high_frequency_factor, object.number("high_freq_factor", 1e-6, 1e6));
  if (rope.high_frequency_factor <= rope.low_frequency_factor) {
    return object.refuse("high_freq_factor", "it has to be above low_freq_factor");
  }
  return {};
}

/// One rope object of either spelling. `rope` holds what stands outside of it.
Result<RopeConfig> read_object(HfConfig object, RopeConfig rope, const DecoderConfig& decoder) {
  TT_ASSIGN(const std::string kind, read_kind(object));
  TT_ASSIGN(rope.theta, object.number("rope_theta", kMinTheta, kMaxTheta, rope.theta));
  TT_ASSIGN(rope.rotary_dim, read_rotary_dim(object, decoder.head_dim, rope.rotary_dim));
  TT_ASSIGN(const uint64_t original, object.integer("original_max_position_embeddings", 1, kMaxContextTokens,
                                                    decoder.context_tokens));
  if (object.has("finetuned")) TT_TRY(object.boolean("finetuned", false));  // bookkeeping of early yarn models
  if (kind == "linear" || kind == "dynamic") {
    rope.kind = kind == "linear" ? RopeScalingKind::linear : RopeScalingKind::dynamic;
    // Linear ignores the original context, and dynamic grows from the one the model names as its own.
    rope.original_context_tokens = kind == "dynamic" ? decoder.context_tokens : 0;
    TT_ASSIGN(rope.scale, object.number("factor", kMinScale, kMaxScale));
    if (kind == "dynamic" && rope.scale < 1.0) return object.refuse("factor", "dynamic scaling needs at least 1");
  } else if (kind == "yarn") {
    rope.original_context_tokens = original;
    TT_TRY(read_yarn(object, decoder.context_tokens, rope));
  } else if (kind == "llama3") {
    rope.original_context_tokens = original;
    TT_TRY(read_llama3(object, rope));
  } else if (kind != "default") {
    const std::string_view key = object.has("rope_type") ? "rope_type" : "type";
    return object.refuse(key, "this build computes default, linear, dynamic, yarn and llama3");
  }
  TT_TRY(object.refuse_unread(true));
  return rope;
}

}  // namespace

Result<RopeConfig> read_hf_rope(HfConfig& config, const HfRopeSource& source, const DecoderConfig& decoder) {
  RopeConfig plain;
  TT_ASSIGN(plain.theta, config.number(source.theta_key, kMinTheta, kMaxTheta, source.default_theta));
  TT_ASSIGN(plain.rotary_dim, read_rotary_dim(config, decoder.head_dim, decoder.head_dim));
  std::optional<RopeConfig> old_spelling, new_spelling;
  if (source.takes_scaling && config.has("rope_scaling")) {
    TT_ASSIGN(HfConfig object, config.object("rope_scaling"));
    TT_ASSIGN(old_spelling, read_object(std::move(object), plain, decoder));
  }
  if (config.has("rope_parameters")) {
    TT_ASSIGN(HfConfig object, config.object("rope_parameters"));
    if (source.layer_type.empty()) {
      TT_ASSIGN(new_spelling, read_object(std::move(object), plain, decoder));
    } else if (object.has(source.layer_type)) {
      TT_ASSIGN(HfConfig inner, object.object(source.layer_type));
      TT_ASSIGN(new_spelling, read_object(std::move(inner), plain, decoder));
    }
  }
  if (old_spelling && new_spelling && *old_spelling != *new_spelling) {
    return config.refuse("rope_scaling", "rope_parameters says something else; remove one of the two");
  }
  if (new_spelling) return *new_spelling;
  return old_spelling.value_or(plain);
}

Result<RopeConfig> read_gguf_rope(GgufConfig& config, const DecoderConfig& decoder) {
  RopeConfig rope;
  TT_ASSIGN(rope.theta, config.number("rope.freq_base", kMinTheta, kMaxTheta, 10000.0));
  TT_ASSIGN(const uint64_t rotary, config.integer("rope.dimension_count", 4, kMaxHeadDim, decoder.head_dim));
  rope.rotary_dim = static_cast<uint32_t>(rotary);
  // Files without a kind scale linearly; the oldest ones call the factor rope.scale_linear. Zero means none.
  TT_ASSIGN(const double old_factor, config.number("rope.scale_linear", 0.0, kMaxScale, 0.0));
  TT_ASSIGN(const double factor, config.number("rope.scaling.factor", 0.0, kMaxScale, old_factor));
  TT_ASSIGN(const std::string kind, config.text("rope.scaling.type", factor == 0.0 ? "none" : "linear"));
  TT_ASSIGN(rope.original_context_tokens,
            config.integer("rope.scaling.original_context_length", 1, kMaxContextTokens, decoder.context_tokens));
  TT_ASSIGN(const double attention, config.number("rope.scaling.attn_factor", 1e-6, 1e6, 1.0));
  TT_ASSIGN(rope.beta_fast, config.number("rope.scaling.yarn_beta_fast", 1e-6, 1e6, 32.0));
  TT_ASSIGN(rope.beta_slow, config.number("rope.scaling.yarn_beta_slow", 1e-6, 1e6, 1.0));
  TT_TRY(config.require_zero("rope.scaling.yarn_log_multiplier", "this variant of yarn cannot be computed yet"));
  config.ignore("rope.scaling.finetuned");
  if (kind == "none" || factor == 0.0) {
    rope.original_context_tokens = 0;
    rope.beta_fast = 32.0;
    rope.beta_slow = 1.0;
    return rope;
  }
  rope.scale = factor;
  if (kind == "linear") {
    rope.kind = RopeScalingKind::linear;
  } else if (kind == "yarn") {
    rope.kind = RopeScalingKind::yarn;
    // ggml multiplies its own 1 + 0.1 ln(factor) by attn_factor.
    if (attention != 1.0) rope.attention_factor = attention * (factor > 1.0 ? 1.0 + 0.1 * std::log(factor) : 1.0);
  } else {
    return config.refuse("rope.scaling.type", kind, "this build computes none, linear and yarn");
  }
  return rope;
}

}  // namespace tattletale

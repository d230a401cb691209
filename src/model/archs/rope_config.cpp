#include "model/archs/rope_config.h"

#include <cmath>

#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

constexpr double kMinTheta = 2.0, kMaxTheta = 1e12;
constexpr double kMinScale = 1e-3, kMaxScale = 1e6;

/// rotary_dim = floor(head_dim * share), as transformers rounds it.
Result<uint32_t> read_rotary_dim(ConfigReader& config, uint32_t head_dim, uint32_t fallback) {
  if (!config.has("partial_rotary_factor")) return fallback;
  TT_ASSIGN(const double share, read_number(config, "partial_rotary_factor", 0.0, 1.0));
  return static_cast<uint32_t>(head_dim * share);
}

Result<std::string> read_kind(ConfigReader& object) {
  TT_ASSIGN(const std::string old_name, object.optional_string("type", "default"));
  TT_ASSIGN(const std::string name, object.optional_string("rope_type", old_name));
  if (object.has("type") && name != old_name) {
    return unsupported_value(object, "rope_type", name,
                             "its older spelling, type, is " + old_name + "; remove one");
  }
  return name;
}

Result<void> read_yarn(ConfigReader& object, uint64_t context_tokens, RopeConfig& rope) {
  rope.kind = RopeScalingKind::yarn;
  // A missing factor is the growth of the context, as transformers has it.
  std::optional<double> growth;
  if (rope.original_context_tokens > 0) {
    growth = static_cast<double>(context_tokens) / static_cast<double>(rope.original_context_tokens);
  }
  TT_ASSIGN(rope.scale, read_number(object, "factor", kMinScale, kMaxScale, growth));
  TT_ASSIGN(rope.attention_factor, read_number(object, "attention_factor", 1e-6, 1e6, 0.0));
  TT_ASSIGN(rope.mscale, read_number(object, "mscale", 0.0, 1e6, 0.0));
  TT_ASSIGN(rope.mscale_all_dim, read_number(object, "mscale_all_dim", 0.0, 1e6, 0.0));
  TT_ASSIGN(rope.beta_fast, read_number(object, "beta_fast", 0.0, 1e6, 32.0));
  TT_ASSIGN(rope.beta_slow, read_number(object, "beta_slow", 0.0, 1e6, 1.0));
  TT_ASSIGN(rope.truncate, object.optional_bool("truncate", true));
  if (rope.beta_fast == 0.0) rope.beta_fast = 32.0;  // zero counts as absent there
  if (rope.beta_slow == 0.0) rope.beta_slow = 1.0;
  return {};
}

Result<void> read_llama3(ConfigReader& object, RopeConfig& rope) {
  rope.kind = RopeScalingKind::llama3;
  TT_ASSIGN(rope.scale, read_number(object, "factor", kMinScale, kMaxScale));
  TT_ASSIGN(rope.low_frequency_factor, read_number(object, "low_freq_factor", 1e-6, 1e6));
  TT_ASSIGN(rope.high_frequency_factor, read_number(object, "high_freq_factor", 1e-6, 1e6));
  if (rope.high_frequency_factor <= rope.low_frequency_factor) {
    return object.key_error(ErrorKind::bad_file, "high_freq_factor", "has to be above low_freq_factor");
  }
  return {};
}

/// One rope object of either spelling. `rope` holds what stands outside of it.
Result<RopeConfig> read_object(ConfigReader object, RopeConfig rope, const DecoderConfig& decoder) {
  TT_ASSIGN(const std::string kind, read_kind(object));
  TT_ASSIGN(rope.theta, read_number(object, "rope_theta", kMinTheta, kMaxTheta, rope.theta));
  TT_ASSIGN(rope.rotary_dim, read_rotary_dim(object, decoder.head_dim, rope.rotary_dim));
  TT_ASSIGN(const uint64_t original, read_int(object, "original_max_position_embeddings", 1,
                                              kMaxContextTokens, decoder.context_tokens));
  if (object.has("finetuned"))
    TT_TRY(object.optional_bool("finetuned", false));  // bookkeeping of early yarn models
  if (kind == "linear" || kind == "dynamic") {
    rope.kind = kind == "linear" ? RopeScalingKind::linear : RopeScalingKind::dynamic;
    // Linear ignores the original context, and dynamic grows from the one the model names as its own.
    rope.original_context_tokens = kind == "dynamic" ? decoder.context_tokens : 0;
    TT_ASSIGN(rope.scale, read_number(object, "factor", kMinScale, kMaxScale));
    if (kind == "dynamic" && rope.scale < 1.0) {
      return object.key_error(ErrorKind::bad_file, "factor", "is below 1, which dynamic scaling cannot have");
    }
  } else if (kind == "yarn") {
    rope.original_context_tokens = original;
    TT_TRY(read_yarn(object, decoder.context_tokens, rope));
  } else if (kind == "llama3") {
    rope.original_context_tokens = original;
    TT_TRY(read_llama3(object, rope));
  } else if (kind != "default") {
    const std::string_view key = object.has("rope_type") ? "rope_type" : "type";
    return unsupported_value(object, key, kind,
                             "this build computes default, linear, dynamic, yarn and llama3");
  }
  TT_TRY(refuse_unread_keys(object, {}, true));
  return rope;
}

}  // namespace

Result<RopeConfig> read_hf_rope(ConfigReader& config, const HfRopeSource& source,
                                const DecoderConfig& decoder) {
  RopeConfig plain;
  TT_ASSIGN(plain.theta, read_number(config, source.theta_key, kMinTheta, kMaxTheta, source.default_theta));
  TT_ASSIGN(plain.rotary_dim, read_rotary_dim(config, decoder.head_dim, decoder.head_dim));
  std::optional<RopeConfig> old_spelling, new_spelling;
  if (source.takes_scaling) {
    TT_ASSIGN(std::optional<ConfigReader> object, config.optional_object("rope_scaling"));
    if (object) {
      TT_ASSIGN(old_spelling, read_object(std::move(*object), plain, decoder));
    }
  }
  TT_ASSIGN(std::optional<ConfigReader> parameters, config.optional_object("rope_parameters"));
  if (parameters && !source.layer_type.empty()) {
    TT_ASSIGN(parameters, parameters->optional_object(source.layer_type));
  }
  if (parameters) {
    TT_ASSIGN(new_spelling, read_object(std::move(*parameters), plain, decoder));
  }
  if (old_spelling && new_spelling && *old_spelling != *new_spelling) {
    return config.key_error(ErrorKind::unsupported, "rope_scaling",
                            "and rope_parameters describe different rotations; remove one of the two");
  }
  if (new_spelling) return *new_spelling;
  return old_spelling.value_or(plain);
}

Result<RopeConfig> read_gguf_rope(ConfigReader& config, const DecoderConfig& decoder) {
  RopeConfig rope;
  TT_ASSIGN(rope.theta, read_number(config, "rope.freq_base", kMinTheta, kMaxTheta, 10000.0));
  TT_ASSIGN(const uint64_t rotary,
            read_int(config, "rope.dimension_count", 4, kMaxHeadDim, decoder.head_dim));
  rope.rotary_dim = static_cast<uint32_t>(rotary);
  // Files without a kind scale linearly; the oldest ones call the factor rope.scale_linear. Zero means none.
  TT_ASSIGN(const double old_factor, read_number(config, "rope.scale_linear", 0.0, kMaxScale, 0.0));
  TT_ASSIGN(const double factor, read_number(config, "rope.scaling.factor", 0.0, kMaxScale, old_factor));
  TT_ASSIGN(const std::string kind,
            config.optional_string("rope.scaling.type", factor == 0.0 ? "none" : "linear"));
  TT_ASSIGN(rope.original_context_tokens, read_int(config, "rope.scaling.original_context_length", 1,
                                                   kMaxContextTokens, decoder.context_tokens));
  TT_ASSIGN(const double attention, read_number(config, "rope.scaling.attn_factor", 1e-6, 1e6, 1.0));
  TT_ASSIGN(rope.beta_fast, read_number(config, "rope.scaling.yarn_beta_fast", 1e-6, 1e6, 32.0));
  TT_ASSIGN(rope.beta_slow, read_number(config, "rope.scaling.yarn_beta_slow", 1e-6, 1e6, 1.0));
  TT_TRY(config.refuse("rope.scaling.yarn_log_multiplier", "this variant of yarn cannot be computed yet"));
  TT_TRY(config.optional_bool("rope.scaling.finetuned", false));  // bookkeeping
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
    if (attention != 1.0)
      rope.attention_factor = attention * (factor > 1.0 ? 1.0 + 0.1 * std::log(factor) : 1.0);
  } else {
    return unsupported_value(config, "rope.scaling.type", kind, "this build computes none, linear and yarn");
  }
  return rope;
}

}  // namespace tattletale

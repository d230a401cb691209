#include "engine/sampling/sampling_options.h"

#include <cmath>
#include <string>

namespace tattletale {
namespace {

Error out_of_range(std::string_view option, double value, std::string_view range) {
  return make_error(ErrorKind::invalid_argument, std::string(option),
                    "is " + std::to_string(value) + "; it must be " + std::string(range));
}

constexpr size_t kMaxBiases = 65536;

}  // namespace

Result<void> SamplingOptions::validate() const {
  // Written so that NaN is out of every range.
  if (!(temperature >= 0.0f && temperature <= 100.0f))
    return out_of_range("temperature", temperature, "from 0 to 100");
  if (!(top_p > 0.0f && top_p <= 1.0f)) return out_of_range("top_p", top_p, "above 0 and at most 1");
  if (!(min_p >= 0.0f && min_p <= 1.0f)) return out_of_range("min_p", min_p, "from 0 to 1");
  if (!(typical_p > 0.0f && typical_p <= 1.0f))
    return out_of_range("typical_p", typical_p, "above 0 and at most 1");
  if (!(repetition_penalty > 0.0f && repetition_penalty <= 100.0f))
    return out_of_range("repetition_penalty", repetition_penalty, "above 0 and at most 100");
  if (!(std::abs(presence_penalty) <= 100.0f))
    return out_of_range("presence_penalty", presence_penalty, "from -100 to 100");
  if (!(std::abs(frequency_penalty) <= 100.0f))
    return out_of_range("frequency_penalty", frequency_penalty, "from -100 to 100");
  if (!(dry.multiplier >= 0.0f && dry.multiplier <= 100.0f))
    return out_of_range("dry_multiplier", dry.multiplier, "from 0 to 100");
  if (!(dry.base >= 1.0f && dry.base <= 100.0f)) return out_of_range("dry_base", dry.base, "from 1 to 100");
  if (dry.allowed_length == 0) return out_of_range("dry_allowed_length", 0, "at least 1");
  if (logit_bias.size() > kMaxBiases)
    return out_of_range("logit_bias", static_cast<double>(logit_bias.size()), "for at most 65536 tokens");
  for (const auto& [token, bias] : logit_bias) {
    if (!(bias <= 1000.0f)) return out_of_range("logit_bias", bias, "a number of at most 1000");
  }
  return {};
}

}  // namespace tattletale

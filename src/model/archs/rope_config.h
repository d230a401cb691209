// Reads how a checkpoint rotates its heads: transformers' rope_theta/rope_scaling (4.x) and rope_parameters
// (5.x), and GGUF's rope.* keys. The numbers they lead to are computed in model/rope_scaling.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/decoder_config.h"
#include "model/rope_scaling.h"
#include "weights/config_reader.h"

namespace tattletale {

/// Where one kind of layer finds its settings in a Hugging Face configuration.
struct HfRopeSource {
  std::string_view theta_key = "rope_theta";  // 4.x spelling
  std::string_view layer_type = "";  // 5.x: the object inside rope_parameters; empty when that is flat
  bool takes_scaling = true;         // rope_scaling applies
  double default_theta = 10000.0;
};

/// Supports default, linear, dynamic, yarn and llama3. Errors: unsupported naming any other kind or unknown
/// key; bad_file for impossible numbers, and where rope_scaling and rope_parameters disagree.
Result<RopeConfig> read_hf_rope(ConfigReader& config, const HfRopeSource& source,
                                const DecoderConfig& decoder);

/// Supports none, linear and yarn; Llama 3's frequencies come as the tensor rope_freqs.weight.
Result<RopeConfig> read_gguf_rope(ConfigReader& config, const DecoderConfig& decoder);

}  // namespace tattletale

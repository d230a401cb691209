// The keys of config.json that all Llama-like classes of Hugging Face transformers share.
// Source: the configuration classes of transformers 4 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/architecture.h"
#include "weights/config_reader.h"

namespace tattletale {

/// A class's own defaults of the shared keys; a key without one must be in the file.
struct HfDefaults {
  std::optional<uint64_t> vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  std::optional<uint64_t> num_key_value_heads;  // none: one per attention head
  std::optional<uint64_t> head_dim;             // none: hidden_size / num_attention_heads
  uint64_t max_position_embeddings = 2048;
  std::string_view activation_key = "hidden_act";
  std::optional<std::string> activation;
  bool tie_word_embeddings = false;
};

/// Written as null. A few classes tell that from an absent key, whose default may be a number.
bool is_written_null(const Json& object, std::string_view key);

/// Refuses quantized checkpoints, mixtures of experts and capped scores, by name.
Result<void> refuse_hf_other_models(ConfigReader& config);

/// Reads dimensions, activation, norm epsilon, tying and end tokens, and refuses other models. Layers get no
/// windows; ropes is left to the caller; attention_scale is set to head_dim^-0.5.
Result<void> read_hf_common(ConfigReader& config, const ModelFiles& files, const HfDefaults& defaults,
                            DecoderConfig& out);

/// Adds the ids of eos_token_id, a number or a list, that are inside the vocabulary and not known yet.
Result<void> read_hf_end_ids(ConfigReader& config, DecoderConfig& out);

/// Which layers slide: layer_types when the file has it, else slides(layer, argument). One flag a layer.
/// Errors: unsupported for other layer types; bad_file for a wrong length.
Result<std::vector<bool>> read_hf_sliding_layers(ConfigReader& config, size_t num_layers,
                                                 bool (*slides)(size_t, uint64_t), uint64_t argument);

/// The sliding window of Qwen's classes: use_sliding_window, sliding_window, max_window_layers, layer_types.
Result<void> read_hf_qwen_windows(ConfigReader& config, const Json& object, DecoderConfig& out);

/// refuse_unread_keys with the bookkeeping that transformers writes into every configuration.
Result<void> refuse_unread_hf_keys(ConfigReader& config);

/// transformers' tensor names of a Llama-like model below `prefix` ("model.").
TensorNames hf_tensor_names(std::string_view prefix, std::string_view head);

}  // namespace tattletale

// Typed, range-checked reads of a Hugging Face config.json, and the keys that all Llama-like classes share.
// It remembers what was read, so that a key that would change the computation cannot go unnoticed.
// Source: the configuration classes of transformers 4 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/architecture.h"

namespace tattletale {

/// One JSON object of the configuration. A null value counts as absent, as it does in transformers.
class HfConfig {
 public:
  /// `object` must outlive this. `where` names the file; `prefix` ("text_config.") the object inside it.
  /// Errors (open): bad_file when it is not an object.
  static Result<HfConfig> open(const Json& object, std::string where, std::string prefix = "");

  const std::string& where() const { return where_; }

  /// Present and not null. Marks the key as read.
  bool has(std::string_view key);
  /// Written as null. A few classes tell that from an absent key, whose default may be a number.
  bool is_null(std::string_view key) const;

  // Reads with range. Without a default an absent key is not_found; a wrong type or range is bad_file.
  Result<uint64_t> integer(std::string_view key, uint64_t min, uint64_t max,
                           std::optional<uint64_t> fallback = std::nullopt);
  Result<double> number(std::string_view key, double min, double max, std::optional<double> fallback = std::nullopt);
  Result<bool> boolean(std::string_view key, bool fallback);
  Result<std::string> text(std::string_view key, std::optional<std::string> fallback = std::nullopt);
  Result<std::vector<std::string>> texts(std::string_view key);
  Result<std::vector<uint32_t>> ids(std::string_view key);  // one id or a list; empty when absent
  Result<HfConfig> object(std::string_view key);            // the key must be there

  /// An unsupported error: "<key> is <value>; <expected>".
  Error refuse(std::string_view key, std::string_view expected) const;

  /// Errors: unsupported when the key is there and not null, false, zero or empty.
  Result<void> require_neutral(std::string_view key, std::string_view expected);

  /// Refuses keys that nobody read: all of them when `strict`, else those that may change the computation.
  Result<void> refuse_unread(bool strict) const;

 private:
  HfConfig(const Json& object, std::string where, std::string prefix)
      : object_(&object), where_(std::move(where)), prefix_(std::move(prefix)) {}
  const Json* get(std::string_view key);
  Error wrong(std::string_view key, std::string_view expected) const;

  const Json* object_;
  std::string where_;
  std::string prefix_;
  std::set<std::string, std::less<>> read_;
};

/// A class's own defaults of the shared keys; a key without one must be in the file.
struct HfDefaults {
  std::optional<uint64_t> vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  std::optional<uint64_t> num_key_value_heads;  // none: one per attention head
  std::optional<uint64_t> head_dim;             // none: hidden_size / num_attention_heads
  uint64_t max_position_embeddings = 2048;
  std::string_view activation_key = "hidden_act";
  std::optional<std::string> default_activation;
  bool tie_word_embeddings = false;
};

/// Refuses quantized checkpoints, mixtures of experts and capped scores, by name.
Result<void> refuse_hf_other_models(HfConfig& config);

/// Adds an end token unless it is known already or outside the vocabulary.
void add_end_id(uint32_t id, DecoderConfig& out);

/// Reads dimensions, activation, norm epsilon, tying and end tokens, and refuses quantized and expert models.
/// Layers, ropes and attention_scale are left to the caller (attention_scale is set to head_dim^-0.5).
Result<void> read_hf_common(HfConfig& config, const ModelFiles& files, const HfDefaults& defaults, DecoderConfig& out);

/// Which layers slide: layer_types when the file has it, else `slides(layer)`. Returns one flag a layer.
/// Errors: unsupported for other layer types; bad_file for a wrong length.
Result<std::vector<bool>> read_hf_sliding_layers(HfConfig& config, size_t num_layers, bool (*slides)(size_t, uint64_t),
                                                 uint64_t argument);

/// The sliding window of Qwen's classes: use_sliding_window, sliding_window, max_window_layers, layer_types.
Result<void> read_hf_qwen_windows(HfConfig& config, DecoderConfig& out);

/// transformers' tensor names of a Llama-like model below `prefix` ("model.").
TensorNames hf_tensor_names(std::string_view prefix, std::string_view head);

}  // namespace tattletale

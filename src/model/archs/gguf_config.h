// Typed, range-checked reads of the metadata below one architecture's prefix of a GGUF file ("llama."), and the keys
// that all Llama-like architectures share. It remembers what was read, like HfConfig.
// Source: the GGUF specification's list of standardised keys, and the tensor names it gives.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "model/architecture.h"

namespace tattletale {

class GgufConfig {
 public:
  /// `arch` is the prefix of the keys, without the dot.
  GgufConfig(const ModelFiles& files, std::string_view arch) : files_(files), prefix_(std::string(arch) + ".") {}

  const ModelFiles& files() const { return files_; }
  std::string where() const { return files_.gguf->path(); }
  bool has(std::string_view key);
  void ignore(std::string_view key) { read_.emplace(prefix_ + std::string(key)); }

  // Keys are given without the prefix. Without a default an absent key is not_found.
  Result<uint64_t> integer(std::string_view key, uint64_t min, uint64_t max,
                           std::optional<uint64_t> fallback = std::nullopt);
  /// As integer; a list of one number a layer is taken when all are equal, and refused otherwise.
  Result<uint64_t> uniform_integer(std::string_view key, uint64_t min, uint64_t max,
                                   std::optional<uint64_t> fallback = std::nullopt);
  Result<double> number(std::string_view key, double min, double max, std::optional<double> fallback = std::nullopt);
  Result<std::string> text(std::string_view key, std::string fallback);

  Error refuse(std::string_view key, std::string_view value, std::string_view expected) const;
  /// Errors: unsupported when the number or flag is there and not zero.
  Result<void> require_zero(std::string_view key, std::string_view expected);
  /// Refuses keys below the prefix that nobody read and that may change the computation.
  Result<void> refuse_unread() const;

 private:
  std::string full(std::string_view key);

  const ModelFiles& files_;
  std::string prefix_;
  std::set<std::string, std::less<>> read_;
};

/// Reads dimensions, norm epsilon, tying, biases (by the presence of their tensors) and the end token, and refuses
/// expert models. Layers get no windows; ropes is left to the caller; attention_scale is set to head_dim^-0.5.
Result<void> read_gguf_common(GgufConfig& config, DecoderConfig& out);

/// GGUF's tensor names of a Llama-like model.
TensorNames gguf_tensor_names();

}  // namespace tattletale

// The architectures this build can compute: which class names they answer to, and how each turns a
// checkpoint's configuration into a DecoderConfig. One file per architecture in archs/; a new one is one file
// and one table row.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "model/decoder.h"
#include "model/decoder_config.h"
#include "weights/model_files.h"

namespace tattletale {

/// A checkpoint's configuration, understood: what to compute, and what its tensors are called.
struct LoadedConfig {
  DecoderConfig config;
  TensorNames names;
};

/// One family of models. The readers check every number's range and refuse, naming file, key and value,
/// whatever would change the computation in a way that forward does not follow; a tensor's shape is checked
/// by the loader.
///   Errors: not_found for a missing required key; bad_file for a wrong type or impossible number;
///   unsupported.
struct Architecture {
  std::string_view name;                             // ours, also DecoderConfig::arch
  std::span<const std::string_view> hf_class_names;  // config.json "architectures"
  std::span<const std::string_view> hf_model_types;  // config.json "model_type", where no class is named
  std::span<const std::string_view> gguf_names;      // general.architecture
  Result<LoadedConfig> (*read_hf)(const ModelFiles& files) = nullptr;
  Result<LoadedConfig> (*read_gguf)(const ModelFiles& files) = nullptr;
};

/// Every architecture of this build.
std::span<const Architecture* const> all_architectures();

/// Finds the architecture by config.json's "architectures" (else "model_type") or GGUF's
/// general.architecture, and reads the configuration with it. Pure. Errors: unsupported naming the
/// architecture and those this build knows.
Result<LoadedConfig> read_architecture(const ModelFiles& files);

/// read_architecture, then Decoder::load. `context_tokens` is the longest context to be used; 0 means the
/// checkpoint's own. Errors: those of both.
Result<std::unique_ptr<Decoder>> load_decoder(Device& device, const ModelFiles& files,
                                              uint64_t context_tokens);

}  // namespace tattletale

// Finds and opens what makes up one model on disk: weights, config and tokenizer files.
// It reads containers only; what the tensors and keys mean is the business of model/ and text/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "tensor/tensor_view.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace tattletale {

enum class ModelSource : uint8_t { gguf, safetensors };

/// Where the tokenizer's files are, each empty when absent. A GGUF model carries its tokenizer in its
/// metadata.
struct TokenizerPaths {
  std::filesystem::path tokenizer_json;
  std::filesystem::path tokenizer_model;
  std::filesystem::path tokenizer_config_json;
  std::filesystem::path chat_template;  // chat_template.jinja, else chat_template.json
};

/// One opened model. Copies share the mapped files; views stay valid while `owner` (or a copy) lives.
struct ModelFiles {
  ModelSource source = ModelSource::gguf;
  std::filesystem::path path;                          // as given to open_model
  std::shared_ptr<const GgufFile> gguf;                // source gguf, else null
  std::shared_ptr<const SafetensorsFile> safetensors;  // source safetensors, else null
  std::shared_ptr<const void> owner;                   // keeps every view and name alive
  Json config;                                         // config.json; null for gguf
  std::string config_path;                             // names `config` in errors
  Json generation_config;                              // generation_config.json, or null
  TokenizerPaths tokenizer;
  uint64_t weight_bytes = 0;  // of all tensors of known dtype

  /// The tensor, pointing into the mapped file; null when absent or of a dtype this build does not know.
  const TensorView* find(std::string_view name) const;
  /// Errors: not_found naming the file; unsupported naming tensor and type.
  Result<TensorView> tensor(std::string_view name) const;
  /// Every tensor name in file order, also those of unknown dtype.
  const std::vector<std::string_view>& names() const { return names_; }

  /// Adds a tensor of a model that is made in memory; `owner` must keep name and bytes alive.
  void add_tensor(std::string_view name, const TensorView& view) {
    names_.push_back(name);
    views_.insert_or_assign(name, view);
    weight_bytes += view.bytes.size();
  }

 private:
  friend Result<ModelFiles> open_model(const std::filesystem::path& path);
  void list_gguf_tensors();
  void list_safetensors_tensors();

  std::vector<std::string_view> names_;
  std::unordered_map<std::string_view, TensorView> views_;
};

/// Opens a model from: a .gguf file; a folder with config.json and model.safetensors (or its index, or
/// exactly one other .safetensors file); a folder with exactly one .gguf; a .safetensors or its index, with
/// config.json beside it. Errors: not_found and bad_file, saying which files were looked for.
Result<ModelFiles> open_model(const std::filesystem::path& path);

}  // namespace tattletale

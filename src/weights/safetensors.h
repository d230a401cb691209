// Reads safetensors files: a JSON header and a dense data section, single or sharded with an index.
// Nothing is copied: tensors point into the mapped files, which the reader keeps alive.
// Source: the safetensors format description, huggingface/safetensors README and its validator's rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/tensor_view.h"

namespace tattletale {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

/// One tensor of a file.
struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;      // as written: "BF16", "F8_E8M0"
  std::optional<DType> dtype;  // nothing when this build does not know the dtype
  Shape shape;
  std::span<const std::byte> bytes;  // its data, also of an unknown dtype
  uint32_t part = 0;                 // which file of a sharded model
};

/// A safetensors file or all shards of one model. Immutable, so safe to read from many threads.
class SafetensorsFile {
 public:
  /// Maps `path`: a .safetensors file, or a model.safetensors.index.json whose shards lie beside it.
  /// Errors: not_found, io; bad_file naming file, tensor and offset; limit_exceeded for a huge header.
  static Result<std::shared_ptr<const SafetensorsFile>> open(const std::filesystem::path& path);

  /// Reads one file from memory that `owner` keeps alive; `where` names it in errors.
  static Result<std::shared_ptr<const SafetensorsFile>> parse(std::span<const std::byte> bytes,
                                                              std::shared_ptr<const void> owner,
                                                              std::string where);

  const std::string& path() const { return path_; }
  uint64_t weight_bytes() const { return weight_bytes_; }
  /// The __metadata__ strings, in file order; of a sharded model, those of the first shard.
  std::span<const std::pair<std::string, std::string>> metadata() const { return metadata_; }
  std::span<const SafetensorsEntry> tensors() const { return tensors_; }  // in file order
  const SafetensorsEntry* find_tensor(std::string_view name) const;
  /// Errors: not_found; unsupported naming the tensor and its dtype.
  Result<TensorView> tensor(std::string_view name) const;

 private:
  friend class SafetensorsParser;
  static Result<std::shared_ptr<const SafetensorsFile>> open_sharded(const std::filesystem::path& index_path);
  void append_part(SafetensorsFile& part, uint32_t number);

  std::string path_;
  uint64_t weight_bytes_ = 0;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<SafetensorsEntry> tensors_;
  std::unordered_map<std::string_view, size_t> index_;  // keys point into tensors_
};

std::optional<DType> dtype_from_safetensors(std::string_view name);
/// The safetensors name of a dtype, or nothing for packed types.
std::optional<std::string_view> safetensors_from_dtype(DType dtype);

}  // namespace tattletale

// Writes safetensors files: for tests, synthetic models and conversion.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "weights/tensor_source.h"

namespace tattletale {

/// Collects tensors, then writes them in the order given. Single-threaded.
class SafetensorsWriter {
 public:
  void add_metadata(std::string key, std::string value) {
    metadata_.emplace_back(std::move(key), std::move(value));
  }
  /// The fill runs at write time.
  void add_tensor(std::string name, DType dtype, Shape shape, TensorFill fill);
  /// `bytes` must live until the file is written.
  void add_tensor(std::string name, DType dtype, Shape shape, std::span<const std::byte> bytes) {
    add_tensor(std::move(name), dtype, shape, copy_of(bytes));
  }

  /// Errors: invalid_argument for a duplicate name, a name that is not UTF-8, or a packed dtype; io.
  Result<void> write(const std::filesystem::path& path) const;
  Result<std::vector<std::byte>> to_bytes() const;

 private:
  Result<void> produce(const ByteSink& sink) const;

  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<TensorSource> tensors_;
};

}  // namespace tattletale

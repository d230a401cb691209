// Writes GGUF version 3 files: for tests, synthetic models and conversion.
// It checks what it is given (block sizes, duplicate names), not what keys a model needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "weights/gguf.h"
#include "weights/tensor_source.h"

namespace tattletale {

/// Collects metadata and tensors, then writes them in the order given. Single-threaded.
class GgufWriter {
 public:
  void add_u8(std::string_view key, uint8_t value);
  void add_u32(std::string_view key, uint32_t value);
  void add_i32(std::string_view key, int32_t value);
  void add_u64(std::string_view key, uint64_t value);
  void add_i64(std::string_view key, int64_t value);
  void add_u16(std::string_view key, uint16_t value);
  void add_f32(std::string_view key, float value);
  void add_f64(std::string_view key, double value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_string_array(std::string_view key, std::span<const std::string> values);
  void add_string_array(std::string_view key, std::span<const std::string_view> values);
  void add_i32_array(std::string_view key, std::span<const int32_t> values);
  void add_u32_array(std::string_view key, std::span<const uint32_t> values);
  void add_f32_array(std::string_view key, std::span<const float> values);
  void add_bool_array(std::string_view key, std::span<const bool> values);

  /// Writes general.alignment too; a power of two from 8.
  void set_alignment(uint32_t alignment);

  /// Shape outermost first; the fill runs at write time.
  void add_tensor(std::string name, DType dtype, Shape shape, TensorFill fill);
  /// `bytes` must live until the file is written.
  void add_tensor(std::string name, DType dtype, Shape shape, std::span<const std::byte> bytes) {
    add_tensor(std::move(name), dtype, shape, copy_of(bytes));
  }

  /// Errors: invalid_argument for a duplicate name, a dtype GGUF lacks, rows that are not whole blocks; io.
  Result<void> write(const std::filesystem::path& path) const;
  Result<std::vector<std::byte>> to_bytes() const;

 private:
  void begin_value(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType element_type, uint64_t count);
  Result<void> produce(const ByteSink& sink) const;

  uint64_t alignment_ = 32;
  uint64_t num_keys_ = 0;
  std::set<std::string, std::less<>> keys_;
  std::string duplicate_key_;  // the first key added twice, reported by write()
  std::vector<std::byte> metadata_;
  std::vector<TensorSource> tensors_;
};

}  // namespace tattletale

// Reads GGUF files, versions 2 and 3, from a file map or from memory: metadata and the tensor table.
// Nothing is copied: strings and tensors point into the file, which the reader keeps alive.
// Every length, count and offset is checked before it is used, so a hostile file gives an error.
// Source: the GGUF specification, ggml's docs/gguf.md.
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
#include <vector>

#include "base/error.h"
#include "tensor/tensor_view.h"

namespace tattletale {

/// Type numbers of metadata values, as stored in the file.
enum class GgufType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

std::string_view gguf_type_name(GgufType type);

/// One metadata value. Only the fields of its type are meaningful.
struct GgufValue {
  GgufType type = GgufType::u8;
  GgufType element_type = GgufType::u8;  // arrays
  uint64_t count = 0;                    // arrays: elements
  std::span<const std::byte> bytes;      // a scalar's or a fixed-size array's little-endian bytes, unaligned
  std::string_view string;               // strings
  std::span<const std::string_view> strings;  // arrays of strings
  std::vector<GgufValue> values;              // arrays of arrays
};

/// One entry of the tensor table.
struct GgufTensor {
  std::string_view name;
  uint32_t type_number = 0;          // ggml's number of the element type
  std::optional<DType> dtype;        // nothing when this build does not know the number
  Shape shape;                       // outermost first: the file's order turned round
  std::span<const std::byte> bytes;  // empty when the dtype is unknown
  uint32_t part = 0;                 // which file of a split model
};

/// A GGUF model: one file, or all parts of a split one. Immutable, so safe to read from many threads.
class GgufFile {
 public:
  /// Maps and reads `path`. A file with split.count > 1 must be named "...-00001-of-0000N.gguf" (any part may
  /// be given); its other parts are opened from the same folder, and metadata is that of the first part.
  /// Errors: not_found, io; bad_file naming file, tensor or key, and byte offset; unsupported for other
  /// versions, big-endian files.
  static Result<std::shared_ptr<const GgufFile>> open(const std::filesystem::path& path);

  /// Reads one file from memory that `owner` keeps alive; `where` names it in errors. A part of a split model
  /// is read alone.
  static Result<std::shared_ptr<const GgufFile>> parse(std::span<const std::byte> bytes,
                                                       std::shared_ptr<const void> owner, std::string where);

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  uint64_t weight_bytes() const { return weight_bytes_; }  // of all tensors of known dtype

  // Metadata. `find` is null for an absent key; the get_ functions return not_found naming file and key, or
  // bad_file with the expected and the found type. Integers of every width and sign convert when the value
  // fits.
  std::span<const std::string_view> keys() const { return keys_; }
  const GgufValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  Result<uint64_t> get_u64(std::string_view key) const;
  Result<int64_t> get_i64(std::string_view key) const;
  Result<float> get_f32(std::string_view key) const;  // f32 or f64
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;
  Result<std::span<const std::string_view>> get_string_array(std::string_view key) const;
  Result<std::vector<int64_t>> get_int_array(
      std::string_view key) const;                                       // any integer type; booleans as 0, 1
  Result<std::vector<float>> get_f32_array(std::string_view key) const;  // f32 or f64

  // Tensors, in file order.
  std::span<const GgufTensor> tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;
  /// Errors: not_found; unsupported naming the tensor and its type number.
  Result<TensorView> tensor(std::string_view name) const;

 private:
  friend class GgufParser;
  static Result<std::shared_ptr<const GgufFile>> open_parts(const std::filesystem::path& folder,
                                                            const std::string& stem, uint32_t count);
  Result<void> append_part(GgufFile& part, uint32_t number);
  Result<const GgufValue*> require(std::string_view key) const;
  Error type_error(std::string_view key, const GgufValue& value, std::string_view expected) const;

  std::string path_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  uint64_t weight_bytes_ = 0;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<std::string_view> keys_;
  std::unordered_map<std::string_view, GgufValue> metadata_;
  std::vector<std::unique_ptr<std::string_view[]>> string_arrays_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
};

/// The dtype of ggml's type number, or nothing.
std::optional<DType> dtype_from_ggml(uint32_t type_number);
/// ggml's type number of a dtype, or nothing (u8, fp8 and other types that GGUF lacks).
std::optional<uint32_t> ggml_from_dtype(DType dtype);
/// ggml's name of a type number ("IQ2_XXS"), or "type 99".
std::string ggml_type_name(uint32_t type_number);

}  // namespace tattletale

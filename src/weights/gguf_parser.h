// One pass over one GGUF file's header, metadata and tensor table. Internal to weights/.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "weights/gguf.h"

namespace tattletale {

class GgufParser {
 public:
  /// Fills an empty `file` with views into `bytes`; `where` names the file in errors.
  GgufParser(std::span<const std::byte> bytes, std::string where, GgufFile& file)
      : bytes_(bytes), where_(std::move(where)), file_(file) {}

  Result<void> parse();

 private:
  Error fault(ErrorKind kind, std::string what) const;  // at the current offset
  Error truncated(uint64_t wanted, std::string_view of_what) const;
  uint64_t remaining() const { return bytes_.size() - offset_; }
  template <class T>
  Result<T> read(std::string_view of_what);
  Result<std::string_view> read_string(std::string_view of_what);

  Result<void> parse_header();
  Result<void> parse_metadata();
  Result<void> parse_value(GgufType type, std::string_view key, int depth, GgufValue& value);
  Result<void> parse_array(std::string_view key, int depth, GgufValue& value);
  Result<void> parse_string_array(std::string_view key, GgufValue& value);
  Result<void> parse_alignment();
  Result<void> parse_tensor_table();
  Result<void> parse_tensor();
  Result<void> parse_shape(GgufTensor& tensor);
  Result<void> place_tensors();

  std::span<const std::byte> bytes_;
  std::string where_;
  GgufFile& file_;
  uint64_t offset_ = 0;
  uint64_t num_tensors_ = 0;
  uint64_t num_keys_ = 0;
  std::vector<uint64_t> data_offsets_;  // of each tensor, from the start of the data section
};

}  // namespace tattletale

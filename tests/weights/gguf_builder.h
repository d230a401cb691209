// GGUF files put together byte by byte, so that tests can write what GgufWriter would refuse.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weights/gguf.h"

namespace tattletale {

class ByteBuilder {
 public:
  template <class T>
  ByteBuilder& put(T value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), from, from + sizeof(T));
    return *this;
  }
  ByteBuilder& text(std::string_view value) {
    put<uint64_t>(value.size());
    return raw(value);
  }
  ByteBuilder& raw(std::string_view value) {
    const auto* from = reinterpret_cast<const std::byte*>(value.data());
    bytes.insert(bytes.end(), from, from + value.size());
    return *this;
  }
  ByteBuilder& header(uint64_t num_tensors, uint64_t num_keys, uint32_t version = 3) {
    return raw("GGUF").put(version).put(num_tensors).put(num_keys);
  }
  ByteBuilder& key(std::string_view name, uint32_t type) { return text(name).put(type); }
  /// A tensor entry; dims innermost first, as stored.
  ByteBuilder& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    text(name).put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) put(dim);
    return put(type).put(offset);
  }
  ByteBuilder& pad(size_t alignment = 32, size_t data_bytes = 0) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment + data_bytes);
    return *this;
  }

  std::vector<std::byte> bytes;
};

/// Reads bytes that the reader owns from then on.
inline Result<std::shared_ptr<const GgufFile>> parse_gguf(std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return GgufFile::parse(*owner, owner, "test.gguf");
}

/// Reads bytes that the caller keeps.
inline Result<std::shared_ptr<const GgufFile>> parse_gguf_in_place(const std::vector<std::byte>& bytes) {
  return GgufFile::parse(bytes, nullptr, "test.gguf");
}

}  // namespace tattletale

// A file mapped read-only into memory. Pages are shared with every other process that maps the
// same file, and are only read from disk when touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

namespace tattletale {

class FileMap {
 public:
  /// Maps the whole file. Errors: not_found, io, bad_file when it is empty or not a regular file.
  static Result<std::shared_ptr<const FileMap>> open(const std::filesystem::path& path);

  ~FileMap();
  FileMap(const FileMap&) = delete;
  FileMap& operator=(const FileMap&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  /// Asks the kernel to read the file ahead; returns at once.
  void prefetch() const;

 private:
  FileMap() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

/// Reads a whole text file of at most `max_bytes`. Errors: not_found, io, limit_exceeded.
Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes);

}  // namespace tattletale

// Compiled programs kept on disk between runs: one file per program in one folder, shared by all processes of
// a user. It never fails its caller: a folder that cannot be read or written only makes the next start
// slower. It knows nothing of what is inside a program; whoever loads one may still refuse it and compile
// anew.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "ir/target_info.h"

namespace tattletale::compiler {

/// Names one compiled program: a 128-bit hash of everything it depends on.
struct CacheKey {
  std::array<uint8_t, 16> bytes{};
  bool operator==(const CacheKey&) const = default;
  /// 32 hexadecimal digits.
  std::string text() const;
};

/// The key of a kernel (as ir::print writes it) compiled for `target` by the compiler that calls itself
/// `compiler_identity` (ProgramDevice::compiler_identity). Hash: XXH3, 128 bits; the format of the files is
/// part of it, so an incompatible version finds nothing instead of something strange.
CacheKey cache_key(std::string_view ir_text, const ir::TargetInfo& target,
                   std::string_view compiler_identity);

/// A binary as a file's bytes: magic, version, key, length, XXH3 checksum of all the rest, fields.
std::vector<std::byte> serialize_entry(const CacheKey& key, const KernelBinary& binary);
/// The binary, or nothing when the bytes are not a whole, undamaged entry of this key and version.
std::optional<KernelBinary> parse_entry(const CacheKey& key, std::span<const std::byte> bytes);

/// A folder of entries. Any number of threads and processes may use one folder at once, each thread through a
/// DiskCache of its own.
class DiskCache {
 public:
  static constexpr uint64_t kDefaultMaxBytes = 512u << 20;

  /// $XDG_CACHE_HOME/tattletale/kernels, else $HOME/.cache/tattletale/kernels; empty when neither is set.
  static std::filesystem::path default_folder();

  /// `max_bytes`: files are removed, least recently used first, when together they are larger. An empty
  /// folder name makes a cache that holds nothing. Touches no file yet.
  explicit DiskCache(std::filesystem::path folder = default_folder(), uint64_t max_bytes = kDefaultMaxBytes);

  /// The program stored under `key`, which becomes the most recently used. A damaged file counts as absent.
  std::optional<KernelBinary> find(const CacheKey& key);

  /// Stores a program, replacing whatever was there; false when that was not possible.
  bool store(const CacheKey& key, const KernelBinary& binary);

  /// Forgets one program, e.g. one that its driver no longer accepts.
  void remove(const CacheKey& key);

 private:
  std::filesystem::path entry_path(const CacheKey& key) const;
  void trim();

  std::filesystem::path folder_;
  uint64_t max_bytes_;
  uint64_t added_since_trim_ = 0;
  bool trimmed_ = false;
};

}  // namespace tattletale::compiler

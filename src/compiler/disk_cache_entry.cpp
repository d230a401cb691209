// The bytes of one file of the disk cache, and the hash that names it. Little-endian, fixed widths.
#include <xxhash.h>

#include <bit>
#include <cstring>

#include "compiler/disk_cache.h"

namespace tattletale::compiler {
namespace {

static_assert(std::endian::native == std::endian::little, "entries are written as they stand in memory");

constexpr std::string_view kMagic = "TTKERNEL";
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kChecksumOffset = 8 + 4 + 16 + 8;  // magic, version, key, length of the body
constexpr size_t kHeaderBytes = kChecksumOffset + 16;

class Writer {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_integral_v<T>);
    raw(&value, sizeof value);
  }
  void block(const void* bytes, size_t size) {
    number(uint64_t{size});
    raw(bytes, size);
  }
  void raw(const void* bytes, size_t size) {
    const auto* first = static_cast<const std::byte*>(bytes);
    out_.insert(out_.end(), first, first + size);
  }
  std::vector<std::byte> take() { return std::move(out_); }
  size_t size() const { return out_.size(); }
  std::span<std::byte> bytes() { return out_; }

 private:
  std::vector<std::byte> out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
  bool number(T& value) {
    if (rest_.size() < sizeof value) return false;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return true;
  }
  template <class Container>
  bool block(Container& out) {
    uint64_t size = 0;
    if (!number(size) || rest_.size() < size) return false;
    out.resize(size);
    if (size > 0) std::memcpy(out.data(), rest_.data(), size);
    rest_ = rest_.subspan(size);
    return true;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

std::array<uint8_t, 16> canonical(XXH128_hash_t hash) {
  XXH128_canonical_t form;
  XXH128_canonicalFromHash(&form, hash);
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), form.digest, bytes.size());
  return bytes;
}

/// Of an entry with its checksum field left out.
std::array<uint8_t, 16> checksum(std::span<const std::byte> entry) {
  const auto body = entry.subspan(kHeaderBytes);
  const XXH64_hash_t seed = XXH3_64bits(entry.data(), kChecksumOffset);
  return canonical(XXH3_128bits_withSeed(body.data(), body.size(), seed));
}

}  // namespace

std::string CacheKey::text() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

CacheKey cache_key(std::string_view ir_text, const ir::TargetInfo& target,
                   std::string_view compiler_identity) {
  // Taking the struct apart by name makes a forgotten new field a compile error.
  const auto& [name, subgroup_size, max_workgroup_threads, max_shared_bytes, max_bindings, max_binding_bytes,
               num_processors, is_cpu, f16x2, dot4_i8, mul_hi, funnel_shift, async_copy, f16_fragments,
               bf16_fragments] = target;
  Writer writer;
  writer.number(kFormatVersion);
  writer.block(ir_text.data(), ir_text.size());
  writer.block(compiler_identity.data(), compiler_identity.size());
  writer.block(name.data(), name.size());
  for (const uint32_t number :
       {subgroup_size, max_workgroup_threads, max_shared_bytes, max_bindings, num_processors}) {
    writer.number(number);
  }
  writer.number(max_binding_bytes);
  for (const bool flag : {is_cpu, f16x2, dot4_i8, mul_hi, funnel_shift, async_copy})
    writer.number(uint8_t{flag});
  for (const ir::FragmentTier tier : {f16_fragments, bf16_fragments}) {
    writer.number(static_cast<uint8_t>(tier));
  }
  return CacheKey{canonical(XXH3_128bits(writer.bytes().data(), writer.size()))};
}

std::vector<std::byte> serialize_entry(const CacheKey& key, const KernelBinary& binary) {
  const auto& [format, name, comptime, code, entry_point, num_bindings, params_bytes, writes_mask,
               workgroup_threads, subgroup_size, shared_bytes] = binary;
  Writer body;
  body.number(static_cast<uint8_t>(format));
  body.block(name.data(), name.size());
  body.block(comptime.data(), comptime.size());
  body.block(code.data(), code.size());
  body.block(entry_point.data(), entry_point.size());
  for (const uint32_t number :
       {num_bindings, params_bytes, writes_mask, workgroup_threads, subgroup_size, shared_bytes}) {
    body.number(number);
  }

  Writer entry;
  entry.raw(kMagic.data(), kMagic.size());
  entry.number(kFormatVersion);
  entry.raw(key.bytes.data(), key.bytes.size());
  entry.number(uint64_t{body.size()});
  const std::array<uint8_t, 16> blank{};
  entry.raw(blank.data(), blank.size());
  entry.raw(body.bytes().data(), body.size());
  const auto sum = checksum(entry.bytes());
  std::memcpy(entry.bytes().data() + kChecksumOffset, sum.data(), sum.size());
  return entry.take();
}

std::optional<KernelBinary> parse_entry(const CacheKey& key, std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return {};
  uint32_t version = 0;
  std::memcpy(&version, bytes.data() + 8, sizeof version);
  uint64_t body_bytes = 0;
  std::memcpy(&body_bytes, bytes.data() + 28, sizeof body_bytes);
  if (version != kFormatVersion || std::memcmp(bytes.data() + 12, key.bytes.data(), key.bytes.size()) != 0 ||
      body_bytes != bytes.size() - kHeaderBytes) {
    return {};
  }
  const auto sum = checksum(bytes);
  if (std::memcmp(bytes.data() + kChecksumOffset, sum.data(), sum.size()) != 0) return {};

  KernelBinary binary;
  auto& [format, name, comptime, code, entry_point, num_bindings, params_bytes, writes_mask,
         workgroup_threads, subgroup_size, shared_bytes] = binary;
  Reader reader(bytes.subspan(kHeaderBytes));
  uint8_t format_byte = 0;
  const bool whole = reader.number(format_byte) && reader.block(name) && reader.block(comptime) &&
                     reader.block(code) && reader.block(entry_point) && reader.number(num_bindings) &&
                     reader.number(params_bytes) && reader.number(writes_mask) &&
                     reader.number(workgroup_threads) && reader.number(subgroup_size) &&
                     reader.number(shared_bytes) && reader.at_end();
  if (!whole) return {};
  format = static_cast<KernelBinary::Format>(format_byte);
  return binary;
}

}  // namespace tattletale::compiler

// Element types of stored tensors: plain numbers and GGUF's packed blocks, in one table.
// A packed type stores `block_elements` numbers in `block_bytes` bytes; a plain type has blocks of one.
// Source of the packed types: the GGML block layouts as documented by the `gguf` Python package.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tattletale {

enum class DType : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  f8_e4m3,
  f8_e5m2,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  boolean,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
  bool packed;  // more than one element per block
};

/// Every dtype, in the order of the enum.
std::span<const DTypeInfo> all_dtypes();

const DTypeInfo& dtype_info(DType dtype);
inline std::string_view dtype_name(DType dtype) {
  return dtype_info(dtype).name;
}
std::optional<DType> dtype_from_name(std::string_view name);

/// Bytes of a row of `elements` numbers; nothing when they are not whole blocks or overflow 64 bits.
std::optional<uint64_t> row_bytes(DType dtype, uint64_t elements);

}  // namespace tattletale

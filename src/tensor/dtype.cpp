#include "tensor/dtype.h"

#include <array>

namespace tattletale {
namespace {

constexpr auto kTable = std::to_array<DTypeInfo>({
    {DType::f32, "f32", 1, 4, false},
    {DType::f16, "f16", 1, 2, false},
    {DType::bf16, "bf16", 1, 2, false},
    {DType::f64, "f64", 1, 8, false},
    {DType::f8_e4m3, "f8_e4m3", 1, 1, false},
    {DType::f8_e5m2, "f8_e5m2", 1, 1, false},
    {DType::i8, "i8", 1, 1, false},
    {DType::u8, "u8", 1, 1, false},
    {DType::i16, "i16", 1, 2, false},
    {DType::u16, "u16", 1, 2, false},
    {DType::i32, "i32", 1, 4, false},
    {DType::u32, "u32", 1, 4, false},
    {DType::i64, "i64", 1, 8, false},
    {DType::u64, "u64", 1, 8, false},
    {DType::boolean, "bool", 1, 1, false},
    {DType::q4_0, "q4_0", 32, 18, true},
    {DType::q4_1, "q4_1", 32, 20, true},
    {DType::q5_0, "q5_0", 32, 22, true},
    {DType::q5_1, "q5_1", 32, 24, true},
    {DType::q8_0, "q8_0", 32, 34, true},
    {DType::q2_k, "q2_k", 256, 84, true},
    {DType::q3_k, "q3_k", 256, 110, true},
    {DType::q4_k, "q4_k", 256, 144, true},
    {DType::q5_k, "q5_k", 256, 176, true},
    {DType::q6_k, "q6_k", 256, 210, true},
    {DType::iq4_nl, "iq4_nl", 32, 18, true},
    {DType::iq4_xs, "iq4_xs", 256, 136, true},
});

constexpr bool table_follows_enum() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].dtype) != i) return false;
  }
  return true;
}
static_assert(table_follows_enum());

}  // namespace

std::span<const DTypeInfo> all_dtypes() {
  return kTable;
}

const DTypeInfo& dtype_info(DType dtype) {
  return kTable[static_cast<size_t>(dtype)];
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& info : kTable) {
    if (info.name == name) return info.dtype;
  }
  return std::nullopt;
}

std::optional<uint64_t> row_bytes(DType dtype, uint64_t elements) {
  const DTypeInfo& info = dtype_info(dtype);
  if (elements % info.block_elements != 0) return std::nullopt;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements / info.block_elements, uint64_t{info.block_bytes}, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace tattletale

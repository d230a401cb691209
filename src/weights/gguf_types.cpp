// The number tables of GGUF: metadata types and ggml's element types.
#include <algorithm>
#include <array>

#include "weights/gguf.h"

namespace tattletale {
namespace {

struct GgmlType {
  uint32_t number;
  std::string_view name;
  std::optional<DType> dtype;
};

// Numbers missing here (4, 5, 31-33, 36-38) were withdrawn by ggml.
constexpr auto kGgmlTypes = std::to_array<GgmlType>({
    {0, "F32", DType::f32},        {1, "F16", DType::f16},        {2, "Q4_0", DType::q4_0},
    {3, "Q4_1", DType::q4_1},      {6, "Q5_0", DType::q5_0},      {7, "Q5_1", DType::q5_1},
    {8, "Q8_0", DType::q8_0},      {9, "Q8_1", std::nullopt},     {10, "Q2_K", DType::q2_k},
    {11, "Q3_K", DType::q3_k},     {12, "Q4_K", DType::q4_k},     {13, "Q5_K", DType::q5_k},
    {14, "Q6_K", DType::q6_k},     {15, "Q8_K", std::nullopt},    {16, "IQ2_XXS", std::nullopt},
    {17, "IQ2_XS", std::nullopt},  {18, "IQ3_XXS", std::nullopt}, {19, "IQ1_S", std::nullopt},
    {20, "IQ4_NL", DType::iq4_nl}, {21, "IQ3_S", std::nullopt},   {22, "IQ2_S", std::nullopt},
    {23, "IQ4_XS", DType::iq4_xs}, {24, "I8", DType::i8},         {25, "I16", DType::i16},
    {26, "I32", DType::i32},       {27, "I64", DType::i64},       {28, "F64", DType::f64},
    {29, "IQ1_M", std::nullopt},   {30, "BF16", DType::bf16},     {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},   {39, "MXFP4", std::nullopt},   {40, "NVFP4", std::nullopt},
    {41, "Q1_0", std::nullopt},
});

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  switch (type) {
    case GgufType::u8: return "u8";
    case GgufType::i8: return "i8";
    case GgufType::u16: return "u16";
    case GgufType::i16: return "i16";
    case GgufType::u32: return "u32";
    case GgufType::i32: return "i32";
    case GgufType::f32: return "f32";
    case GgufType::boolean: return "bool";
    case GgufType::string: return "string";
    case GgufType::array: return "array";
    case GgufType::u64: return "u64";
    case GgufType::i64: return "i64";
    case GgufType::f64: return "f64";
  }
  return "unknown";
}

std::optional<DType> dtype_from_ggml(uint32_t type_number) {
  const auto* found = std::ranges::find(kGgmlTypes, type_number, &GgmlType::number);
  return found == kGgmlTypes.end() ? std::nullopt : found->dtype;
}

std::optional<uint32_t> ggml_from_dtype(DType dtype) {
  for (const GgmlType& type : kGgmlTypes) {
    if (type.dtype == dtype) return type.number;
  }
  return std::nullopt;
}

std::string ggml_type_name(uint32_t type_number) {
  const auto* found = std::ranges::find(kGgmlTypes, type_number, &GgmlType::number);
  if (found == kGgmlTypes.end()) return "type " + std::to_string(type_number);
  return std::string(found->name);
}

}  // namespace tattletale

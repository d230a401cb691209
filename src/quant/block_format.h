// The storage formats of numbers, one BlockFormat per dtype: naive decoding, encoding and synthetic data.
// These are the references that every kernel is checked against, written to be obviously right, not fast.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tattletale {

/// Decodes `n` numbers. dst [n] f32; src row_bytes(dtype, n) bytes, any alignment; n a multiple of the block.
using DequantizeRow = void (*)(const std::byte* src, float* dst, int64_t n);
/// Encodes `n` finite numbers; the twin of DequantizeRow.
using QuantizeRow = void (*)(const float* src, std::byte* dst, int64_t n);
/// Fills a row with blocks that decode to about N(0, sigma), the same for the same seed, never NaN or inf.
/// For synthetic models and tests: fast, no copy of any real weight distribution.
using FillRandomRow = void (*)(std::byte* dst, int64_t n, uint64_t seed, float sigma);

/// All functions are pure and safe to call from many threads on distinct rows.
struct BlockFormat {
  DType dtype = DType::f32;
  DequantizeRow dequantize_row = nullptr;
  QuantizeRow quantize_row = nullptr;
  FillRandomRow fill_random_row = nullptr;
};

/// The format of a dtype; every dtype has all three functions. Integers and booleans convert by value;
/// encoding rounds to nearest and saturates. 64-bit integers and f64 lose what f32 cannot hold.
const BlockFormat& block_format(DType dtype);

/// Bits per number, for reports: 4.5 for q4_0.
double bits_per_element(DType dtype);

}  // namespace tattletale

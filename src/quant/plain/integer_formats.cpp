// Integers and booleans: decoded by value, encoded by rounding to nearest even and saturating.
#include <cmath>
#include <cstring>
#include <limits>

#include "quant/plain/formats.h"
#include "quant/random_source.h"

namespace tattletale {
namespace {

template <class Int>
Int saturate(float value) {
  // The limits are compared as powers of two, since f32 cannot hold 2^31 - 1 or 2^63 - 1.
  const float above = std::ldexp(1.0f, std::numeric_limits<Int>::digits);
  const float rounded = std::nearbyint(value);
  if (std::isnan(rounded)) return 0;
  if (rounded >= above) return std::numeric_limits<Int>::max();
  if (std::is_signed_v<Int> ? rounded < -above : rounded < 0) return std::numeric_limits<Int>::min();
  return static_cast<Int>(rounded);
}

template <class Int>
void dequantize(const std::byte* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    Int stored;
    std::memcpy(&stored, src + i * sizeof(Int), sizeof(Int));
    dst[i] = static_cast<float>(stored);
  }
}

template <class Int>
void quantize(const float* src, std::byte* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const Int stored = saturate<Int>(src[i]);
    std::memcpy(dst + i * sizeof(Int), &stored, sizeof(Int));
  }
}

template <class Int>
void fill_random(std::byte* dst, int64_t n, uint64_t seed, float sigma) {
  RandomSource random(seed);
  for (int64_t i = 0; i < n; ++i) {
    const Int stored = saturate<Int>(next_normal(random) * sigma);
    std::memcpy(dst + i * sizeof(Int), &stored, sizeof(Int));
  }
}

// A boolean is a byte, true when not zero; it is read as a byte because other values than 0 and 1 may be
// stored.
void dequantize_boolean(const std::byte* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = src[i] == std::byte{0} ? 0.0f : 1.0f;
}

void quantize_boolean(const float* src, std::byte* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = std::byte{src[i] != 0.0f};
}

void fill_random_boolean(std::byte* dst, int64_t n, uint64_t seed, float) {
  RandomSource random(seed);
  for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<std::byte>(random.next() >> 63);
}

template <class Int>
constexpr BlockFormat make_format(DType dtype) {
  return {dtype, dequantize<Int>, quantize<Int>, fill_random<Int>};
}

}  // namespace

const BlockFormat kI8Format = make_format<int8_t>(DType::i8);
const BlockFormat kU8Format = make_format<uint8_t>(DType::u8);
const BlockFormat kI16Format = make_format<int16_t>(DType::i16);
const BlockFormat kU16Format = make_format<uint16_t>(DType::u16);
const BlockFormat kI32Format = make_format<int32_t>(DType::i32);
const BlockFormat kU32Format = make_format<uint32_t>(DType::u32);
const BlockFormat kI64Format = make_format<int64_t>(DType::i64);
const BlockFormat kU64Format = make_format<uint64_t>(DType::u64);
const BlockFormat kBooleanFormat = {DType::boolean, dequantize_boolean, quantize_boolean,
                                    fill_random_boolean};

}  // namespace tattletale

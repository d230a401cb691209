// Plain floats: every stored number stands for itself.
#include <array>
#include <cstring>

#include "quant/plain/float8.h"
#include "quant/plain/formats.h"
#include "quant/random_source.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

float same(float value) {
  return value;
}
float narrow(double value) {
  return static_cast<float>(value);
}
double widen(float value) {
  return value;
}

template <class Stored, auto kDecode>
void dequantize(const std::byte* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    Stored stored;
    std::memcpy(&stored, src + i * sizeof(Stored), sizeof(Stored));
    dst[i] = kDecode(stored);
  }
}

template <class Stored, auto kEncode>
void quantize(const float* src, std::byte* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const Stored stored = kEncode(src[i]);
    std::memcpy(dst + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

template <class Stored, auto kEncode>
void fill_random(std::byte* dst, int64_t n, uint64_t seed, float sigma) {
  RandomSource random(seed);
  for (int64_t i = 0; i < n; ++i) {
    const Stored stored = kEncode(next_normal(random) * sigma);
    std::memcpy(dst + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

/// Eight-bit floats encode slowly, so the 256 likely values are encoded once per call.
template <auto kEncode>
void fill_random_f8(std::byte* dst, int64_t n, uint64_t seed, float sigma) {
  std::array<uint8_t, 256> values;
  for (size_t i = 0; i < 256; ++i) values[i] = kEncode(normal_quantiles()[i] * sigma);
  RandomSource random(seed);
  uint64_t word = 0;
  for (int64_t i = 0; i < n; ++i, word >>= 8) {
    if (i % 8 == 0) word = random.next();
    dst[i] = static_cast<std::byte>(values[word & 0xff]);
  }
}

template <class Stored, auto kDecode, auto kEncode>
constexpr BlockFormat make_format(DType dtype) {
  return {dtype, dequantize<Stored, kDecode>, quantize<Stored, kEncode>, fill_random<Stored, kEncode>};
}

}  // namespace

const BlockFormat kF32Format = make_format<float, same, same>(DType::f32);
const BlockFormat kF16Format = make_format<uint16_t, f16_to_f32, f32_to_f16>(DType::f16);
const BlockFormat kBf16Format = make_format<uint16_t, bf16_to_f32, f32_to_bf16>(DType::bf16);
const BlockFormat kF64Format = make_format<double, narrow, widen>(DType::f64);
const BlockFormat kF8E4M3Format = {DType::f8_e4m3, dequantize<uint8_t, f8_e4m3_to_f32>,
                                   quantize<uint8_t, f32_to_f8_e4m3>, fill_random_f8<f32_to_f8_e4m3>};
const BlockFormat kF8E5M2Format = {DType::f8_e5m2, dequantize<uint8_t, f8_e5m2_to_f32>,
                                   quantize<uint8_t, f32_to_f8_e5m2>, fill_random_f8<f32_to_f8_e5m2>};

}  // namespace tattletale

#include "quant/plain/float8.h"

#include <algorithm>
#include <cmath>

#include "tensor/float16.h"

namespace tattletale {
namespace {

/// Bits of |value| in a format with `mantissa_bits`, whose normal numbers start at 2^min_exponent.
uint8_t encode_magnitude(float magnitude, int mantissa_bits, int min_exponent, float largest) {
  magnitude = std::min(magnitude, largest);
  const int exponent = magnitude == 0 ? min_exponent : std::max(std::ilogb(magnitude), min_exponent);
  // In units of the last place the number is an integer; rounding up to the next power of two carries
  // into the exponent field by itself.
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent)));
  const int field = exponent - min_exponent;  // exponent field - 1 for normal numbers
  return static_cast<uint8_t>((field << mantissa_bits) + units);
}

}  // namespace

float f8_e4m3_to_f32(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if ((bits & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fc00000u | (uint32_t{bits & 0x80u} << 24));
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

float f8_e5m2_to_f32(uint8_t bits) {
  return f16_to_f32(static_cast<uint16_t>(bits << 8));
}

uint8_t f32_to_f8_e4m3(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return sign | 0x7f;
  return sign | encode_magnitude(std::fabs(value), 3, -6, 448.0f);
}

uint8_t f32_to_f8_e5m2(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return sign | 0x7e;
  if (std::isinf(value)) return sign | 0x7c;
  return sign | encode_magnitude(std::fabs(value), 2, -14, 57344.0f);
}

}  // namespace tattletale

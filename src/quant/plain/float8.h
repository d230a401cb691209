// The two 8-bit floats of the OCP specification: E4M3 (no infinity, largest 448) and E5M2 (a short binary16).
// Encoding rounds to nearest even and saturates finite numbers at the largest finite value.
// Source: OCP 8-bit Floating Point Specification (OFP8), revision 1.0.
#pragma once

#include <cstdint>

namespace tattletale {

float f8_e4m3_to_f32(uint8_t bits);
float f8_e5m2_to_f32(uint8_t bits);
uint8_t f32_to_f8_e4m3(float value);
uint8_t f32_to_f8_e5m2(float value);

}  // namespace tattletale

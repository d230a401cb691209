// WGSL functions for operations that the language lacks or leaves too loose: the high half of a product,
// rounding packs, a four-way integer dot, and trigonometry accurate enough for rotary embeddings.
// Sources: WGSL sec. 15.7 (accuracy), IEEE 754 rounding; the polynomials are minimax fits of our own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tattletale::webgpu {

/// A bit for each function a kernel calls.
enum class WgslFunction : uint32_t {
  mul_hi = 1 << 0,       // mul_hi(u32, u32) -> u32
  dot4_i8 = 1 << 1,      // dot4_i8(u32, u32) -> i32
  pack_half = 1 << 2,    // pack_half(f32) -> u32: 16 bits, nearest even
  unpack_half = 1 << 3,  // unpack_half(u32) -> f32 of the low 16 bits, subnormals kept
  pack_bfloat = 1 << 4,  // pack_bfloat(f32) -> u32: 16 bits, nearest even
  exact_sin = 1 << 5,    // exact_sin(f32) -> f32
  exact_cos = 1 << 6,    // exact_cos(f32) -> f32
  exact_tanh = 1 << 7,   // exact_tanh(f32) -> f32
  scaled_exp2 = 1 << 8,  // scaled_exp2(f32) -> f32
};

/// The texts of a set of functions, each once.
std::string wgsl_functions(uint32_t set);

}  // namespace tattletale::webgpu

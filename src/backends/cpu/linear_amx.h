// Many tokens at once through AMX tiles: the same integer dot products and the same f32 sums as
// linear_panel.h describes, hence the same bits, 1.7 to 2.3 times as fast as AVX-512 VNNI.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/linear_panel.h"

namespace tattletale::cpu {

inline constexpr uint32_t kTileTokens = 16;
/// From this many tokens on a tile, even a partly filled one, beats a vector per token.
inline constexpr uint64_t kFewestAmxTokens = 8;

/// The int8 view of x in tiles of 16 tokens, so that a tile is one run of memory. Tokens past T hold
/// anything.
struct TiledRows {
  int8_t* q = nullptr;     // [tiles, K / 32, 16, 32]
  float* scale = nullptr;  // [tiles, K / 32, 16]
  float* sum32 = nullptr;  // [tiles, K / 32, 16]
  float* sum16 = nullptr;  // [tiles, K / 16, 16]

  static uint64_t bytes(uint64_t num_tokens, uint64_t k);
  static TiledRows at(std::byte* memory, uint64_t num_tokens, uint64_t k);
};

/// Whether this machine has what is needed; false after disable_linear_amx(true), which is for tests.
bool has_linear_amx();
void disable_linear_amx(bool disabled);

/// Sets up, and gives back, the calling thread's tile registers around any number of calls of amx_dot.
void amx_begin();
void amx_end();

/// Copies token t of `from` to its place.
void amx_tile_row(const QuantizedRows& from, uint64_t k, uint64_t t, const TiledRows& to);

/// Once per packed panel, before amx_dot: takes the format's offset off every u, in place.
void amx_center_panel(DType dtype, const PackedPanel& panel, uint64_t k);

/// As LinearIsa::dot, for a centered panel. t0 is a multiple of 16.
void amx_dot(DType dtype, const PackedPanel& panel, const TiledRows& x, uint64_t k, uint64_t t0, uint64_t t1,
             float* acc);

}  // namespace tattletale::cpu

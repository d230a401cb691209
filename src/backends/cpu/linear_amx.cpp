// Tile layout: A holds 16 tokens of one scale group, B the panel's quads of that group as they lie, C the dot
// products [16 tokens, 16 rows], which leave through a small buffer because tiles cannot be scaled. The
// products of the next groups are under way while those of the current ones are scaled and summed. Source:
// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBSSD.
#include "backends/cpu/linear_amx.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/cpu_info.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tattletale::cpu {
namespace {

constexpr uint64_t align64(uint64_t n) {
  return (n + 63) & ~uint64_t{63};
}
constexpr uint64_t num_tiles(uint64_t num_tokens) {
  return (num_tokens + kTileTokens - 1) / kTileTokens;
}

std::atomic<bool> disabled{false};

/// What amx_dot must know of a format; the traits of linear_unpack-inl.h in a table that any code can read.
struct GroupInfo {
  int group;
  bool has_min;
  int offset;
};

GroupInfo group_info(DType dtype) {
  switch (dtype) {
    case DType::q4_0: return {32, false, 8};
    case DType::q5_0: return {32, false, 16};
    case DType::q8_0:
    case DType::iq4_nl:
    case DType::iq4_xs: return {32, false, 128};
    case DType::q2_k: return {16, true, 0};
    case DType::q3_k: return {16, false, 4};
    case DType::q6_k: return {16, false, 32};
    default: return {32, true, 0};  // q4_1, q5_1, q4_k, q5_k
  }
}

}  // namespace

uint64_t TiledRows::bytes(uint64_t num_tokens, uint64_t k) {
  return num_tiles(num_tokens) * (align64(16 * k) + 2 * align64(2 * k) + align64(4 * k));
}

TiledRows TiledRows::at(std::byte* memory, uint64_t num_tokens, uint64_t k) {
  const uint64_t tiles = num_tiles(num_tokens);
  TiledRows rows;
  rows.q = reinterpret_cast<int8_t*>(memory);
  memory += tiles * align64(16 * k);
  rows.scale = reinterpret_cast<float*>(memory);
  memory += tiles * align64(2 * k);
  rows.sum32 = reinterpret_cast<float*>(memory);
  memory += tiles * align64(2 * k);
  rows.sum16 = reinterpret_cast<float*>(memory);
  return rows;
}

void amx_tile_row(const QuantizedRows& from, uint64_t k, uint64_t t, const TiledRows& to) {
  const uint64_t tile = t / kTileTokens, row = t % kTileTokens, blocks = k / 32;
  for (uint64_t b = 0; b < blocks; ++b) {
    const uint64_t at = (tile * blocks + b) * kTileTokens + row;
    std::memcpy(to.q + at * 32, from.q + t * k + b * 32, 32);
    to.scale[at] = from.scale[t * blocks + b];
    to.sum32[at] = from.sum32[t * blocks + b];
    for (uint64_t h = 0; h < 2; ++h) {
      to.sum16[((tile * blocks + b) * 2 + h) * kTileTokens + row] = from.sum16[(t * blocks + b) * 2 + h];
    }
  }
}

void disable_linear_amx(bool value) {
  disabled.store(value, std::memory_order_relaxed);
}

#if defined(__x86_64__)

bool has_linear_amx() {
  static const bool present = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    const bool int8 = (edx >> 25 & 1u) != 0;
    return int8 && has_amx_bf16();  // which also asks for the permission to use tiles
  }();
  return present && !disabled.load(std::memory_order_relaxed);
}

#pragma clang attribute push(                                                            \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512dq,fma"))), \
    apply_to = function)

namespace {

// Tile registers: 0 and 1 products, 4 and 5 tokens and rows of a group of 32, 6 and 7 of a group of 16.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_per_row[16] = {64, 64, 64, 64, 32, 64, 16, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 8, 16, 4};
};

// Groups whose products are under way together. Two such batches fill 4 KB; with more, loads would meet
// unfinished stores whose addresses have the same low 12 bits, which the processor takes for the same
// address.
constexpr uint64_t kBatch = 2;

template <int C, int Group>
inline void product(const int8_t* q, const uint8_t* w, int32_t* out) {
  _tile_zero(C);
  if constexpr (Group == 32) {
    _tile_loadd(4, q, 32);
    _tile_loadd(5, w, 64);
    _tile_dpbssd(C, 4, 5);
  } else {
    _tile_loadd(6, q, 32);
    _tile_loadd(7, w, 64);
    _tile_dpbssd(C, 6, 7);
  }
  _tile_stored(C, out, 64);
}

/// The products of up to kBatch groups from `g` on.
template <int Group>
inline void products(const PackedPanel& panel, const int8_t* q, uint64_t g, uint64_t count, int32_t* out) {
  const auto tokens = [&](uint64_t i) {
    return Group == 32 ? q + (g + i) * 512 : q + (g + i) / 2 * 512 + (g + i) % 2 * 16;
  };
  const uint8_t* w = panel.q + g * Group * 16;
  if (count > 0) product<0, Group>(tokens(0), w, out);
  if (count > 1) product<1, Group>(tokens(1), w + Group * 16, out + 256);
}

/// One tile of 16 tokens times one panel.
template <int Group, bool HasMin>
void tile_dot(const PackedPanel& panel, const int8_t* q, const float* x_scale, const float* x_sum,
              uint64_t groups, uint64_t num_tokens, float* acc_out) {
  alignas(64) int32_t buffer[2][kBatch * 256];
  __m512 acc[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) acc[i] = _mm512_setzero_ps();
  products<Group>(panel, q, 0, std::min(kBatch, groups), buffer[0]);
  int current = 0;
  for (uint64_t g0 = 0; g0 < groups; g0 += kBatch, current ^= 1) {
    const uint64_t next = g0 + kBatch;
    if (next < groups) products<Group>(panel, q, next, std::min(kBatch, groups - next), buffer[current ^ 1]);
    for (uint64_t g = g0; g < std::min(next, groups); ++g) {
      const int32_t* idot = buffer[current] + (g - g0) * 256;
      const __m512 scale = _mm512_loadu_ps(panel.scale + g * 16);
      const __m512 min = HasMin ? _mm512_loadu_ps(panel.min + g * 16) : _mm512_setzero_ps();
      const float* scales = x_scale + g * Group / 32 * 16;
      const float* sums = x_sum + g * 16;
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; ++i) {
        const __m512 value = _mm512_cvtepi32_ps(_mm512_load_si512(idot + 16 * i));
        acc[i] = _mm512_fmadd_ps(value, _mm512_mul_ps(scale, _mm512_set1_ps(scales[i])), acc[i]);
        if constexpr (HasMin) acc[i] = _mm512_fmadd_ps(min, _mm512_set1_ps(sums[i]), acc[i]);
      }
    }
  }
  // Written out with constant indices: acc must stay in registers.
#pragma clang loop unroll(full)
  for (uint64_t i = 0; i < 16; ++i) {
    if (i < num_tokens) _mm512_storeu_ps(acc_out + 16 * i, acc[i]);
  }
}

}  // namespace

void amx_begin() {
  const TileConfig config;
  _tile_loadconfig(&config);
}

void amx_end() {
  _tile_release();
}

void amx_center_panel(DType dtype, const PackedPanel& panel, uint64_t k) {
  const int offset = group_info(dtype).offset;
  if (offset == 0) return;
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(offset));
  for (uint64_t i = 0; i < 16 * k; i += 64) {
    _mm512_storeu_si512(panel.q + i, _mm512_sub_epi8(_mm512_loadu_si512(panel.q + i), bias));
  }
}

void amx_dot(DType dtype, const PackedPanel& panel, const TiledRows& x, uint64_t k, uint64_t t0, uint64_t t1,
             float* acc) {
  const GroupInfo info = group_info(dtype);
  const uint64_t groups = k / static_cast<uint64_t>(info.group);
  for (uint64_t t = t0; t < t1; t += kTileTokens) {
    const uint64_t tile = t / kTileTokens, count = std::min<uint64_t>(kTileTokens, t1 - t);
    const int8_t* q = x.q + tile * 16 * k;
    const float* scale = x.scale + tile * k / 32 * 16;
    const float* sum = info.group == 32 ? x.sum32 + tile * k / 32 * 16 : x.sum16 + tile * k / 16 * 16;
    float* out = acc + (t - t0) * kPanelRows;
    if (info.group == 32) {
      info.has_min ? tile_dot<32, true>(panel, q, scale, sum, groups, count, out)
                   : tile_dot<32, false>(panel, q, scale, sum, groups, count, out);
    } else {
      info.has_min ? tile_dot<16, true>(panel, q, scale, sum, groups, count, out)
                   : tile_dot<16, false>(panel, q, scale, sum, groups, count, out);
    }
  }
}

#pragma clang attribute pop

#else  // other processors have no AMX: never called

bool has_linear_amx() {
  return false;
}
void amx_begin() {}
void amx_end() {}
void amx_center_panel(DType, const PackedPanel&, uint64_t) {}
void amx_dot(DType, const PackedPanel&, const TiledRows&, uint64_t, uint64_t, uint64_t, float*) {}

#endif

}  // namespace tattletale::cpu

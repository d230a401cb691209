// Attention over one part of the keys on AMX tiles, for f16 and bf16 caches.
//
// A product with f32-like accuracy is made of bf16 products of high and low halves: a query is q_high + q_low
// (16 bits), an f16 key is exactly k_high + k_low, a bf16 key is k_high. Scores take every product but low by
// low. Probabilities against a bf16 cache are p_high + p_low; against an f16 cache probabilities and values
// are rounded to bf16 once each, so an output is within 2^-8 of the largest value's size.
//
// A tile instruction gives each output element the same sum whichever operand is called left, so the two
// forms below, few rows (keys as left operand, as they lie) and many rows (keys turned), agree bit for bit.
// Tile arithmetic: Intel 64 manual, TDPBF16PS: two chains over even and odd k, added, then added to the tile.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/paged_attention_part.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

#define TT_AMX_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))
#define TT_AMX TT_AMX_TARGET __attribute__((noinline))
#define TT_AMX_INLINE TT_AMX_TARGET inline __attribute__((always_inline))

namespace tattletale::cpu {
namespace {

constexpr uint32_t kTileRows = 16;
constexpr uint32_t kTileElements = 512;  // bf16 numbers in a tile: 16 rows of 32
constexpr uint32_t kTileRowBytes = 64;
constexpr uint32_t kBlockRows = 32;  // rows of queries done together
constexpr float kLog2e = 1.44269504088896341f;
constexpr float kLn2 = 0.69314718055994531f;

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// What a thread works in, carved from its scratch.
struct Workspace {
  uint32_t padded_dim = 0;  // head_dim rounded up to 32
  uint16_t* q_high =
      nullptr;  // [rows rounded up to 32, padded_dim]; turned, [padded_dim / 2, 16, 2], for few rows
  uint16_t* q_low = nullptr;
  uint16_t* k_high = nullptr;  // few rows: [256, padded_dim]; many: turned tiles [256 / 16, padded_dim / 32]
  uint16_t* k_low = nullptr;
  uint16_t* v = nullptr;       // tiles [256 / 32, padded_dim / 32, 2], rows are pairs of keys
  float* scores = nullptr;     // [32, 256]
  uint16_t* p_high = nullptr;  // [32, 256]
  uint16_t* p_low = nullptr;

  static uint64_t elements(uint32_t max_rows, uint32_t padded_dim) {
    const uint64_t rows = (max_rows + kBlockRows - 1) / kBlockRows * kBlockRows;
    return 2 * rows * padded_dim + uint64_t{3} * kPartKeys * padded_dim +
           uint64_t{4} * kBlockRows * kPartKeys;
  }
  Workspace(std::byte* memory, uint32_t num_rows, uint32_t head_dim) : padded_dim((head_dim + 31) / 32 * 32) {
    const uint64_t rows = (num_rows + kBlockRows - 1) / kBlockRows * kBlockRows;
    q_high = reinterpret_cast<uint16_t*>(memory);
    q_low = q_high + rows * padded_dim;
    k_high = q_low + rows * padded_dim;
    k_low = k_high + uint64_t{kPartKeys} * padded_dim;
    v = k_low + uint64_t{kPartKeys} * padded_dim;
    scores = reinterpret_cast<float*>(v + uint64_t{kPartKeys} * padded_dim);
    p_high = reinterpret_cast<uint16_t*>(scores + uint64_t{kBlockRows} * kPartKeys);
    p_low = p_high + uint64_t{kBlockRows} * kPartKeys;
  }
};

struct Halves {
  __m512i high, low;
};

/// 32 f32 numbers as bf16 high halves (truncated) and the rounded rest.
TT_AMX_INLINE Halves split(__m512 a, __m512 b) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const __m512 a_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), mask));
  const __m512 b_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(b), mask));
  const auto low = _mm512_cvtne2ps_pbh(_mm512_sub_ps(b, b_high), _mm512_sub_ps(a, a_high));
  return {reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b_high, a_high)), reinterpret_cast<__m512i>(low)};
}

TT_AMX_INLINE __mmask32 mask_of(uint32_t count) {
  return count >= 32 ? ~0u : (1u << count) - 1;
}

/// Up to 32 stored 16-bit numbers; those past `count` are zero.
TT_AMX_INLINE __m512i load_16_bit(const std::byte* p, uint32_t count) {
  return _mm512_maskz_loadu_epi16(mask_of(count), p);
}
TT_AMX_INLINE __m512 low_half_f32(__m512i f16) {
  return _mm512_cvtph_ps(_mm512_castsi512_si256(f16));
}
TT_AMX_INLINE __m512 high_half_f32(__m512i f16) {
  return _mm512_cvtph_ps(_mm512_extracti64x4_epi64(f16, 1));
}

/// Turns 16 rows of 16 32-bit numbers.
TT_AMX_INLINE void transpose_16x16(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

TT_AMX_INLINE void store_turned(__m512i rows[16], uint16_t* tile) {
  transpose_16x16(rows);
  for (int i = 0; i < 16; ++i) _mm512_store_si512(tile + 32 * i, rows[i]);
}

/// Queries of the part, split; turned when there are few.
TT_AMX void prepare_queries(const AttentionPart& part, const Workspace& w, bool few) {
  const uint32_t rows = few ? kTileRows : (part.num_rows + kBlockRows - 1) / kBlockRows * kBlockRows;
  for (uint32_t d = 0; d < w.padded_dim; d += 32) {
    __m512i high[16];
    __m512i low[16];
    for (uint32_t r = 0; r < rows; ++r) {
      Halves halves{_mm512_setzero_si512(), _mm512_setzero_si512()};
      if (r < part.num_rows) {
        const float* q = part.q + uint64_t{r} * part.row_floats + d;
        halves = split(_mm512_loadu_ps(q),
                       d + 16 < part.row_floats ? _mm512_loadu_ps(q + 16) : _mm512_setzero_ps());
      }
      if (few) {
        high[r] = halves.high;
        low[r] = halves.low;
      } else {
        _mm512_store_si512(w.q_high + uint64_t{r} * w.padded_dim + d, halves.high);
        _mm512_store_si512(w.q_low + uint64_t{r} * w.padded_dim + d, halves.low);
      }
    }
    if (few) {
      store_turned(high, w.q_high + uint64_t{d} * kTileRows);
      store_turned(low, w.q_low + uint64_t{d} * kTileRows);
    }
  }
}

TT_AMX_INLINE Halves load_key(const AttentionPart& part, const std::byte* row, uint32_t d) {
  if (d >= part.head_dim) return {_mm512_setzero_si512(), _mm512_setzero_si512()};
  const __m512i bits = load_16_bit(row + uint64_t{d} * 2, part.head_dim - d);
  if (part.kv_dtype == DType::bf16) return {bits, _mm512_setzero_si512()};
  return split(low_half_f32(bits), high_half_f32(bits));
}

/// Keys [begin, end), begin a multiple of 16, as rows of halves.
TT_AMX void prepare_key_rows(const AttentionPart& part, const Workspace& w, uint32_t begin, uint32_t end) {
  const std::byte* row = nullptr;
  for (uint32_t j = begin; j < end; ++j, row += uint64_t{part.head_dim} * 2) {
    if (j % kTileRows == 0) row = part.k_pages + part.key_offset_bytes(j);
    for (uint32_t d = 0; d < w.padded_dim; d += 32) {
      const Halves halves = load_key(part, row, d);
      _mm512_store_si512(w.k_high + uint64_t{j} * w.padded_dim + d, halves.high);
      if (part.kv_dtype != DType::bf16)
        _mm512_store_si512(w.k_low + uint64_t{j} * w.padded_dim + d, halves.low);
    }
  }
}

/// Tiles of 16 keys that meet [begin, end), turned so that keys run along rows; keys outside are zero.
TT_AMX void prepare_key_tiles(const AttentionPart& part, const Workspace& w, uint32_t begin, uint32_t end) {
  for (uint32_t first = begin / 32 * 32; first < end; first += kTileRows) {
    // The 16 keys lie side by side in one page; it is only looked up when one of them is wanted.
    const bool wanted = first + kTileRows > begin;
    const std::byte* rows = wanted ? part.k_pages + part.key_offset_bytes(first) : nullptr;
    for (uint32_t d = 0; d < w.padded_dim; d += 32) {
      __m512i high[16];
      __m512i low[16];
      for (uint32_t i = 0; i < kTileRows; ++i) {
        Halves halves{_mm512_setzero_si512(), _mm512_setzero_si512()};
        if (first + i >= begin && first + i < end) {
          halves = load_key(part, rows + uint64_t{i} * part.head_dim * 2, d);
        }
        high[i] = halves.high;
        low[i] = halves.low;
      }
      const uint64_t tile = (uint64_t{first / kTileRows} * w.padded_dim + d) * kTileRows;
      store_turned(high, w.k_high + tile);
      if (part.kv_dtype != DType::bf16) store_turned(low, w.k_low + tile);
    }
  }
}

TT_AMX_INLINE __m512i load_value(const AttentionPart& part, const std::byte* row, uint32_t d) {
  if (row == nullptr || d >= part.head_dim) return _mm512_setzero_si512();
  const __m512i bits = load_16_bit(row + uint64_t{d} * 2, part.head_dim - d);
  if (part.kv_dtype == DType::bf16) return bits;
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high_half_f32(bits), low_half_f32(bits)));
}

/// Values in pairs of keys. Of 32 dimensions, the first tile holds quads 0, 2, 4, 6 and the second 1, 3, 5,
/// 7: the order in which the interleaving instructions leave them; store_out puts it right. Keys outside are
/// zero.
TT_AMX void prepare_values(const AttentionPart& part, const Workspace& w, uint32_t begin, uint32_t end) {
  const uint64_t row_bytes = uint64_t{part.head_dim} * 2;
  const std::byte* rows = nullptr;  // of the 16 keys that j is among
  for (uint32_t j = begin / 32 * 32; j < (end + 31) / 32 * 32; j += 2) {
    const uint32_t first = j / kTileRows * kTileRows;
    if (j == first)
      rows = first + kTileRows > begin && first < end ? part.v_pages + part.key_offset_bytes(first) : nullptr;
    const std::byte* even = j >= begin && j < end ? rows + (j - first) * row_bytes : nullptr;
    const std::byte* odd = j + 1 >= begin && j + 1 < end ? rows + (j + 1 - first) * row_bytes : nullptr;
    for (uint32_t d = 0; d < w.padded_dim; d += 32) {
      const __m512i a = load_value(part, even, d);
      const __m512i b = load_value(part, odd, d);
      uint16_t* tile = w.v + (uint64_t{j / 32} * w.padded_dim + d) * 32 + j % 32 / 2 * 32;
      _mm512_store_si512(tile, _mm512_unpacklo_epi16(a, b));
      _mm512_store_si512(tile + kTileElements, _mm512_unpackhi_epi16(a, b));
    }
  }
}

/// Scores of up to 16 rows against 64 keys from `first` (32 when kTiles is 2): keys as left operand. k_stride
/// in bytes. Results are turned into rows of w.scores.
template <int kTiles>
TT_AMX_INLINE void few_scores(const AttentionPart& part, const Workspace& w, const std::byte* const k_high[4],
                              const std::byte* const k_low[4], uint64_t k_stride, uint32_t first) {
  const bool low = k_low[0] != nullptr;
  _tile_zero(0);
  _tile_zero(1);
  if (kTiles > 2) _tile_zero(2);
  if (kTiles > 2) _tile_zero(3);
  for (uint32_t d = 0; d < w.padded_dim; d += 32) {
    _tile_loadd(6, w.q_high + uint64_t{d} * kTileRows, kTileRowBytes);
    _tile_loadd(7, w.q_low + uint64_t{d} * kTileRows, kTileRowBytes);
#define TT_HIGH(c, a)                                    \
  _tile_loadd(a, k_high[c] + uint64_t{d} * 2, k_stride); \
  _tile_dpbf16ps(c, a, 6);                               \
  _tile_dpbf16ps(c, a, 7);
#define TT_LOW(c, a)                                    \
  _tile_loadd(a, k_low[c] + uint64_t{d} * 2, k_stride); \
  _tile_dpbf16ps(c, a, 6);
    TT_HIGH(0, 4)
    TT_HIGH(1, 5)
    if (kTiles > 2) {
      TT_HIGH(2, 4)
      TT_HIGH(3, 5)
    }
    if (low) {
      TT_LOW(0, 4)
      TT_LOW(1, 5)
      if (kTiles > 2) {
        TT_LOW(2, 4)
        TT_LOW(3, 5)
      }
    }
#undef TT_HIGH
#undef TT_LOW
  }
  alignas(64) float turned[4][256];
  _tile_stored(0, turned[0], kTileRowBytes);
  _tile_stored(1, turned[1], kTileRowBytes);
  if (kTiles > 2) _tile_stored(2, turned[2], kTileRowBytes);
  if (kTiles > 2) _tile_stored(3, turned[3], kTileRowBytes);
  const __m512i column = _mm512_mullo_epi32(
      _mm512_set1_epi32(16), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (int t = 0; t < kTiles; ++t) {
    for (uint32_t r = 0; r < part.num_rows; ++r) {
      _mm512_store_ps(w.scores + r * kPartKeys + first + 16 * t,
                      _mm512_i32gather_ps(column, turned[t] + r, 4));
    }
  }
}

/// Scores of all rows (at most 16) against keys [begin, end).
TT_AMX void score_few(const AttentionPart& part, const Workspace& w, uint32_t begin, uint32_t end) {
  // Whole tiles of 16 keys lie inside one page, as pages hold a multiple of 16 keys; what they hold past the
  // context may be anything, and its scores are masked later.
  const bool direct = part.kv_dtype == DType::bf16 && part.head_dim == w.padded_dim;
  const uint32_t tile_end = (end + kTileRows - 1) / kTileRows * kTileRows;
  const uint32_t tile_begin = begin / kTileRows * kTileRows;
  if (!direct) prepare_key_rows(part, w, tile_begin, tile_end);
  const uint64_t stride = direct ? uint64_t{part.head_dim} * 2 : uint64_t{w.padded_dim} * 2;
  for (uint32_t first = begin / 32 * 32; first < tile_end;) {
    const std::byte* high[4] = {};
    const std::byte* low[4] = {};
    const uint32_t count = first + 64 <= kPartKeys && first + 32 < tile_end ? 4 : 2;
    for (uint32_t t = 0; t < count; ++t) {
      // Tiles outside stand in for by one inside; their scores are masked.
      const uint32_t j = std::clamp(first + t * kTileRows, tile_begin, tile_end - kTileRows);
      const uint64_t at = uint64_t{j} * w.padded_dim;
      high[t] = direct ? part.k_pages + part.key_offset_bytes(j)
                       : reinterpret_cast<const std::byte*>(w.k_high + at);
      if (part.kv_dtype != DType::bf16) low[t] = reinterpret_cast<const std::byte*>(w.k_low + at);
    }
    if (count == 4) {
      few_scores<4>(part, w, high, low, stride, first);
    } else {
      few_scores<2>(part, w, high, low, stride, first);
    }
    first += count * kTileRows;
  }
}

/// Scores of 32 rows from `row` against keys [begin, end), both multiples of 32.
TT_AMX void score_many(const AttentionPart& part, const Workspace& w, uint32_t row, uint32_t begin,
                       uint32_t end) {
  const uint64_t q_stride = uint64_t{w.padded_dim} * 2;
  const uint64_t second = uint64_t{kTileRows} * w.padded_dim;  // the next tile of rows or keys
  const uint16_t* q_high = w.q_high + uint64_t{row} * w.padded_dim;
  const uint16_t* q_low = w.q_low + uint64_t{row} * w.padded_dim;
  for (uint32_t j = begin; j < end; j += 32) {
    const uint16_t* k_high = w.k_high + uint64_t{j} * w.padded_dim;
    const uint16_t* k_low = w.k_low + uint64_t{j} * w.padded_dim;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (uint32_t d = 0; d < w.padded_dim; d += 32) {
      _tile_loadd(4, q_high + d, q_stride);
      _tile_loadd(6, k_high + uint64_t{d} * kTileRows, kTileRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, k_high + second + uint64_t{d} * kTileRows, kTileRowBytes);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, q_high + second + d, q_stride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      _tile_loadd(4, q_low + d, q_stride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, q_low + second + d, q_stride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      if (part.kv_dtype == DType::bf16) continue;
      _tile_loadd(4, q_high + d, q_stride);
      _tile_loadd(6, k_low + uint64_t{d} * kTileRows, kTileRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, k_low + second + uint64_t{d} * kTileRows, kTileRowBytes);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, q_high + second + d, q_stride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    float* scores = w.scores + j;
    _tile_stored(0, scores, kPartKeys * 4);
    _tile_stored(1, scores + 16, kPartKeys * 4);
    _tile_stored(2, scores + kTileRows * kPartKeys, kPartKeys * 4);
    _tile_stored(3, scores + kTileRows * kPartKeys + 16, kPartKeys * 4);
  }
}

/// 2^x for x <= 0, exactly 0 below -126 (denormal results would be slow) and 1 at 0; relative error below
/// 4e-5, or 3e-7 when kFine.
template <bool kFine>
TT_AMX_INLINE __m512 exp2_nonpositive(__m512 x) {
  const __m512 lowest = _mm512_set1_ps(-126.0f);
  const __mmask16 normal = _mm512_cmp_ps_mask(x, lowest, _CMP_GE_OQ);
  const __m512 clamped = _mm512_max_ps(x, lowest);
  const __m512 k = _mm512_roundscale_ps(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(clamped, k);
  // Powers of ln 2 over factorials.
  __m512 sum = _mm512_set1_ps(9.61812910763e-3f);
  if (kFine) {
    sum = _mm512_set1_ps(1.54035303934e-4f);
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.33335581464e-3f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(9.61812910763e-3f));
  }
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(5.55041086648e-2f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(2.40226506959e-1f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(6.93147180560e-1f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.0f));
  // k is whole, so 2^k is an addition to the exponent.
  const __m512i shifted = _mm512_slli_epi32(_mm512_cvtps_epi32(k), 23);
  return _mm512_castsi512_ps(_mm512_maskz_add_epi32(normal, _mm512_castps_si512(sum), shifted));
}

/// The softmax of one row of scores (in units of log 2) over keys [first, end), zero elsewhere in [begin,
/// stop), multiples of 32; as bf16 high halves and, for a bf16 cache, low halves.
template <bool kFine>
TT_AMX void softmax_row(float* scores, uint32_t first, uint32_t end, uint32_t begin, uint32_t stop,
                        uint16_t* p_high, uint16_t* p_low, float& max_out, float& sum_out) {
  if (first > begin) std::fill(scores + begin, scores + first, -INFINITY);
  if (end < stop) std::fill(scores + end, scores + stop, -INFINITY);
  __m512 even_max = _mm512_set1_ps(kLowestScore);
  __m512 odd_max = even_max;
  for (uint32_t j = begin; j < stop; j += 32) {
    even_max = _mm512_max_ps(even_max, _mm512_load_ps(scores + j));
    odd_max = _mm512_max_ps(odd_max, _mm512_load_ps(scores + j + 16));
  }
  const float max = _mm512_reduce_max_ps(_mm512_max_ps(even_max, odd_max));
  const __m512 highest = _mm512_set1_ps(max);
  __m512 even_sum = _mm512_setzero_ps();
  __m512 odd_sum = _mm512_setzero_ps();
  for (uint32_t j = begin; j < stop; j += 32) {
    const __m512 a = exp2_nonpositive<kFine>(_mm512_sub_ps(_mm512_load_ps(scores + j), highest));
    const __m512 b = exp2_nonpositive<kFine>(_mm512_sub_ps(_mm512_load_ps(scores + j + 16), highest));
    even_sum = _mm512_add_ps(even_sum, a);
    odd_sum = _mm512_add_ps(odd_sum, b);
    if (kFine) {
      const Halves halves = split(a, b);
      _mm512_store_si512(p_high + j, halves.high);
      _mm512_store_si512(p_low + j, halves.low);
    } else {
      _mm512_store_si512(p_high + j, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)));
    }
  }
  max_out = max * kLn2;
  sum_out = _mm512_reduce_add_ps(_mm512_add_ps(even_sum, odd_sum));
}

/// Writes 16 rows of 32 dimensions from the two tiles that prepare_values' order gave.
TT_AMX_INLINE void store_out(const float (&tiles)[2][256], const AttentionPart& part, uint32_t row,
                             uint32_t d) {
  const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  const uint32_t rows = std::min(kTileRows, part.num_rows - row);
  for (uint32_t r = 0; r < rows; ++r) {
    const __m512d a = _mm512_load_pd(&tiles[0][r * 16]);
    const __m512d b = _mm512_load_pd(&tiles[1][r * 16]);
    float* out = part.out + uint64_t{row + r} * part.row_floats + d;
    _mm512_storeu_ps(out, _mm512_castpd_ps(_mm512_permutex2var_pd(a, front, b)));
    if (d + 16 < part.row_floats)
      _mm512_storeu_ps(out + 16, _mm512_castpd_ps(_mm512_permutex2var_pd(a, back, b)));
  }
}

/// out rows [row, row + 32) = p v over keys [begin, end), multiples of 32. Without kTwo only 16 rows.
template <bool kTwo>
TT_AMX void weighted_sums(const AttentionPart& part, const Workspace& w, uint32_t row, uint32_t begin,
                          uint32_t end) {
  const bool fine = part.kv_dtype == DType::bf16;
  constexpr uint32_t kPStride = kPartKeys * 2;
  for (uint32_t d = 0; d < w.padded_dim; d += 32) {
    _tile_zero(0);
    _tile_zero(1);
    if (kTwo) _tile_zero(2);
    if (kTwo) _tile_zero(3);
    for (uint32_t j = begin; j < end; j += 32) {
      const uint16_t* v = w.v + (uint64_t{j / 32} * w.padded_dim + d) * 32;
      _tile_loadd(6, v, kTileRowBytes);
      _tile_loadd(7, v + kTileElements, kTileRowBytes);
      _tile_loadd(4, w.p_high + j, kPStride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (kTwo) {
        _tile_loadd(5, w.p_high + kTileRows * kPartKeys + j, kPStride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      if (!fine) continue;
      _tile_loadd(4, w.p_low + j, kPStride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (kTwo) {
        _tile_loadd(5, w.p_low + kTileRows * kPartKeys + j, kPStride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    alignas(64) float tiles[2][256];
    _tile_stored(0, tiles[0], kTileRowBytes);
    _tile_stored(1, tiles[1], kTileRowBytes);
    store_out(tiles, part, row, d);
    if (kTwo && row + kTileRows < part.num_rows) {
      _tile_stored(2, tiles[0], kTileRowBytes);
      _tile_stored(3, tiles[1], kTileRowBytes);
      store_out(tiles, part, row + kTileRows, d);
    }
  }
}

/// Scores, softmax and weighted sums of up to 32 rows from `row`.
TT_AMX void attend_block(const AttentionPart& part, const Workspace& w, uint32_t row, bool few) {
  const uint32_t rows = std::min(few ? kTileRows : kBlockRows, part.num_rows - row);
  uint32_t begin = kPartKeys;
  uint32_t end = 0;
  for (uint32_t r = row; r < row + rows; ++r) {
    if (part.first_key[r] >= part.end_key[r]) continue;
    begin = std::min(begin, part.first_key[r]);
    end = std::max(end, part.end_key[r]);
  }
  const uint32_t block_begin = begin / 32 * 32;
  const uint32_t block_end = (end + 31) / 32 * 32;
  if (begin < end) {
    if (few) {
      score_few(part, w, begin, end);
    } else {
      score_many(part, w, row, block_begin, block_end);
    }
  }
  for (uint32_t r = 0; r < rows; ++r) {
    float& max = part.row_max[row + r];
    float& sum = part.row_sum[row + r];
    uint16_t* p_high = w.p_high + r * kPartKeys;
    uint16_t* p_low = w.p_low + r * kPartKeys;
    const uint32_t first = part.first_key[row + r];
    const uint32_t last = part.end_key[row + r];
    if (first >= last) {  // sees nothing of this part
      max = kLowestScore;
      sum = 0.0f;
      std::fill_n(part.out + uint64_t{row + r} * part.row_floats, part.row_floats, 0.0f);
      if (begin < end) std::fill(p_high + block_begin, p_high + block_end, uint16_t{0});
      if (begin < end) std::fill(p_low + block_begin, p_low + block_end, uint16_t{0});
    } else if (part.kv_dtype == DType::bf16) {
      softmax_row<true>(w.scores + r * kPartKeys, first, last, block_begin, block_end, p_high, p_low, max,
                        sum);
    } else {
      softmax_row<false>(w.scores + r * kPartKeys, first, last, block_begin, block_end, p_high, p_low, max,
                         sum);
    }
  }
  if (begin >= end) return;
  if (rows > kTileRows) {
    weighted_sums<true>(part, w, row, block_begin, block_end);
  } else {
    weighted_sums<false>(part, w, row, block_begin, block_end);
  }
}

TT_AMX void compute(const AttentionPart& part) {
  const TileConfig config;
  _tile_loadconfig(&config);
  const Workspace w(part.scratch, part.num_rows, part.head_dim);
  const bool few = part.num_rows <= kTileRows;
  uint32_t begin = kPartKeys;
  uint32_t end = 0;
  for (uint32_t r = 0; r < part.num_rows; ++r) {
    if (part.first_key[r] >= part.end_key[r]) continue;
    begin = std::min(begin, part.first_key[r]);
    end = std::max(end, part.end_key[r]);
  }
  if (begin < end) {
    prepare_queries(part, w, few);
    if (!few) prepare_key_tiles(part, w, begin, end);
    prepare_values(part, w, begin, end);
  }
  for (uint32_t row = 0; row < part.num_rows; row += few ? kTileRows : kBlockRows)
    attend_block(part, w, row, few);
  _tile_release();
}

uint64_t scratch_bytes(uint32_t max_rows, uint32_t row_floats) {
  return Workspace::elements(max_rows, (row_floats + 31) / 32 * 32) * sizeof(uint16_t);
}

}  // namespace

const AttentionMath* attention_math_amx() {
  static const AttentionMath kMath = {
      .target_rows = 192, .query_factor = kLog2e, .scratch_bytes = scratch_bytes, .compute = compute};
  return has_amx_bf16() ? &kMath : nullptr;
}

}  // namespace tattletale::cpu

#else

namespace tattletale::cpu {
const AttentionMath* attention_math_amx() {
  return nullptr;
}
}  // namespace tattletale::cpu

#endif

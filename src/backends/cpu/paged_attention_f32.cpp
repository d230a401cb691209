// Attention over one part of the keys in f32: dot products with lanes along the head dimension, four keys at
// a time; weighted sums of values with lanes along the head dimension, keys in order. A row's arithmetic is
// the same whether it is computed alone (decode) or in a block of rows (prefill).
#include <algorithm>
#include <cmath>

#include "backends/cpu/paged_attention_part.h"
#include "tensor/float16.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/paged_attention_f32.cpp"
#include <hwy/foreach_target.h>
// clang-format off: foreach_target.h comes first
#include "backends/cpu/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu {
namespace HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;
using V = hn::Vec<F32>;

// Rows per block: four rows times four keys of accumulators need the 32 registers of AVX-512 and NEON.
constexpr uint32_t kScoreRows = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 4 : 2;
constexpr uint32_t kKeysAtOnce = 4;

/// The sums of the lanes of four vectors, into four consecutive floats, always by the same tree.
HWY_INLINE void store_four_sums(F32 df, V a, V b, V c, V d, float* out) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  out[0] = hn::GetLane(hn::SumOfLanes(df, a));
  out[1] = hn::GetLane(hn::SumOfLanes(df, b));
  out[2] = hn::GetLane(hn::SumOfLanes(df, c));
  out[3] = hn::GetLane(hn::SumOfLanes(df, d));
#else
  // Within blocks of four lanes: [a0+a2, c0+c2, a1+a3, c1+c3], the same for b and d, then both together.
  const auto ac = hn::Add(hn::InterleaveLower(df, a, c), hn::InterleaveUpper(df, a, c));
  const auto bd = hn::Add(hn::InterleaveLower(df, b, d), hn::InterleaveUpper(df, b, d));
  const auto abcd = hn::Add(hn::InterleaveLower(df, ac, bd), hn::InterleaveUpper(df, ac, bd));
#if HWY_TARGET <= HWY_AVX3
  const hn::Half<F32> d256;
  const auto halves = hn::Add(hn::LowerHalf(d256, abcd), hn::UpperHalf(d256, abcd));
#elif HWY_TARGET == HWY_AVX2
  const F32 d256;
  const auto halves = abcd;
#endif
#if HWY_TARGET <= HWY_AVX2
  const hn::Half<decltype(d256)> d128;
  hn::StoreU(hn::Add(hn::LowerHalf(d128, halves), hn::UpperHalf(d128, halves)), d128, out);
#else
  hn::StoreU(abcd, df, out);
#endif
#endif
}

/// scores[r][0..3] = q_r . k_0..3 for kRows rows. k: four key rows `key_stride` elements apart.
template <uint32_t kRows, class T>
HWY_INLINE void dot_block(const float* HWY_RESTRICT q, uint32_t q_stride, const T* HWY_RESTRICT k,
                          uint32_t key_stride, uint32_t n, float* HWY_RESTRICT scores) {
  const F32 df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  V sum[kRows][kKeysAtOnce];
  for (uint32_t r = 0; r < kRows; ++r) {
    for (uint32_t j = 0; j < kKeysAtOnce; ++j) sum[r][j] = hn::Zero(df);
  }
  for (uint32_t d = 0; d < n; d += lanes) {
    V key[kKeysAtOnce];
    for (uint32_t j = 0; j < kKeysAtOnce; ++j) key[j] = load_f32(df, k + j * key_stride + d);
    for (uint32_t r = 0; r < kRows; ++r) {
      const V query = hn::LoadU(df, q + r * q_stride + d);
      for (uint32_t j = 0; j < kKeysAtOnce; ++j) sum[r][j] = hn::MulAdd(query, key[j], sum[r][j]);
    }
  }
  for (uint32_t r = 0; r < kRows; ++r) {
    store_four_sums(df, sum[r][0], sum[r][1], sum[r][2], sum[r][3], scores + r * kPartKeys);
  }
}

/// Scores of kRows rows against keys [begin, end), multiples of four inside one run of equally spaced rows.
template <uint32_t kRows, class T>
void dot_run(const float* q, uint32_t q_stride, const T* k, uint32_t key_stride, uint32_t n, uint32_t begin,
             uint32_t end, float* scores) {
  for (uint32_t j = begin; j < end; j += kKeysAtOnce, k += uint64_t{kKeysAtOnce} * key_stride) {
    dot_block<kRows>(q, q_stride, k, key_stride, n, scores + j);
  }
}

/// out[r][0 .. kVectors lanes) += sum_j weights[r][j] * v[j], keys in order.
template <uint32_t kRows, uint32_t kVectors, class T>
HWY_INLINE void weighted_sum_block(const float* HWY_RESTRICT weights, const T* HWY_RESTRICT v,
                                   uint32_t value_stride, uint32_t num_keys, float* HWY_RESTRICT out,
                                   uint32_t row_floats) {
  const F32 df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  V sum[kRows][kVectors];
  for (uint32_t r = 0; r < kRows; ++r) {
    for (uint32_t c = 0; c < kVectors; ++c) sum[r][c] = hn::LoadU(df, out + r * row_floats + c * lanes);
  }
  for (uint32_t j = 0; j < num_keys; ++j, v += value_stride) {
    V value[kVectors];
    for (uint32_t c = 0; c < kVectors; ++c) value[c] = load_f32(df, v + c * lanes);
    for (uint32_t r = 0; r < kRows; ++r) {
      const V weight = hn::Set(df, weights[r * kPartKeys + j]);
      for (uint32_t c = 0; c < kVectors; ++c) sum[r][c] = hn::MulAdd(weight, value[c], sum[r][c]);
    }
  }
  for (uint32_t r = 0; r < kRows; ++r) {
    for (uint32_t c = 0; c < kVectors; ++c) hn::StoreU(sum[r][c], df, out + r * row_floats + c * lanes);
  }
}

template <uint32_t kRows, class T>
void weighted_sum_run(const float* weights, const T* v, uint32_t value_stride, uint32_t n, uint32_t num_keys,
                      float* out, uint32_t row_floats) {
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(F32()));
  constexpr uint32_t kVectors = 4;
  uint32_t d = 0;
  for (; d + kVectors * lanes <= n; d += kVectors * lanes) {
    weighted_sum_block<kRows, kVectors>(weights, v + d, value_stride, num_keys, out + d, row_floats);
  }
  for (; d < n; d += lanes)
    weighted_sum_block<kRows, 1>(weights, v + d, value_stride, num_keys, out + d, row_floats);
}

/// Turns scores [first, end) of a row into exp(score - max), zero elsewhere in [0, padded_end); returns max,
/// sum.
void softmax_row(float* scores, uint32_t first, uint32_t end, uint32_t begin, uint32_t padded_end,
                 float& max_out, float& sum_out) {
  const F32 df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  std::fill(scores + begin, scores + first, -INFINITY);
  std::fill(scores + end, scores + padded_end, -INFINITY);
  auto highest = hn::Set(df, kLowestScore);
  for (uint32_t j = begin; j < padded_end; j += lanes) highest = hn::Max(highest, hn::Load(df, scores + j));
  highest = hn::MaxOfLanes(df, highest);
  auto sum = hn::Zero(df);
  for (uint32_t j = begin; j < padded_end; j += lanes) {
    const auto weight = exp_nonpositive(df, hn::Sub(hn::Load(df, scores + j), highest));
    hn::Store(weight, df, scores + j);
    sum = hn::Add(sum, weight);
  }
  max_out = hn::GetLane(highest);
  sum_out = hn::GetLane(hn::SumOfLanes(df, sum));
}

/// Keys or values [begin, end) of the part as f32 rows of row_floats, zero past head_dim.
template <class T>
void widen_tile(const AttentionPart& part, const std::byte* pages, uint32_t begin, uint32_t end,
                float* tile) {
  const F32 df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  for (uint32_t j = begin; j < end; ++j) {
    const T* row = reinterpret_cast<const T*>(pages + part.key_offset_bytes(j));
    float* out = tile + uint64_t{j} * part.row_floats;
    uint32_t d = 0;
    for (; d + lanes <= part.head_dim; d += lanes) hn::Store(load_f32(df, row + d), df, out + d);
    for (; d < part.head_dim; ++d) {
      if constexpr (sizeof(T) == 4) {
        out[d] = row[d];
      } else {
        out[d] = std::is_same_v<T, F16Bits> ? f16_to_f32(row[d].bits) : bf16_to_f32(row[d].bits);
      }
    }
    for (; d < part.row_floats; ++d) out[d] = 0.0f;
  }
}

/// A block of kRows rows, from `row` on, against the part. `run(begin, end, ...)` hands out stretches of
/// keys.
template <uint32_t kRows, class T, class Runs>
void attend_rows(const AttentionPart& part, uint32_t row, uint32_t padded_dim, float* scores,
                 const Runs& runs) {
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(F32()));
  const uint32_t first = part.first_key[row];
  const uint32_t end = part.end_key[row + kRows - 1];
  const float* q = part.q + uint64_t{row} * part.row_floats;
  float* out = part.out + uint64_t{row} * part.row_floats;
  std::fill(out, out + kRows * part.row_floats, 0.0f);
  const uint32_t begin = first / kKeysAtOnce * kKeysAtOnce;
  runs.for_keys(begin, (end + kKeysAtOnce - 1) / kKeysAtOnce * kKeysAtOnce,
                [&](uint32_t run_begin, uint32_t run_end, const T* k, const T*, uint32_t stride) {
                  dot_run<kRows>(q, part.row_floats, k, stride, padded_dim, run_begin, run_end, scores);
                });
  for (uint32_t r = 0; r < kRows; ++r) {
    softmax_row(scores + r * kPartKeys, part.first_key[row + r], part.end_key[row + r], first / lanes * lanes,
                (end + lanes - 1) / lanes * lanes, part.row_max[row + r], part.row_sum[row + r]);
  }
  runs.for_keys(first, end, [&](uint32_t run_begin, uint32_t run_end, const T*, const T* v, uint32_t stride) {
    weighted_sum_run<kRows>(scores + run_begin, v, stride, padded_dim, run_end - run_begin, out,
                            part.row_floats);
  });
}

template <class T, class Runs>
void attend_all_rows(const AttentionPart& part, uint32_t padded_dim, float* scores, const Runs& runs) {
  uint32_t row = 0;
  while (row < part.num_rows) {
    if (part.first_key[row] >= part.end_key[row]) {  // sees nothing of this part
      std::fill_n(part.out + uint64_t{row} * part.row_floats, part.row_floats, 0.0f);
      part.row_max[row] = kLowestScore;
      part.row_sum[row++] = 0.0f;
      continue;
    }
    // A block may only join rows that all see something, so that its union of keys has no holes.
    uint32_t rows = 1;
    while (rows < kScoreRows && row + rows < part.num_rows &&
           part.first_key[row + rows] < part.end_key[row + rows] &&
           part.first_key[row + rows] < part.end_key[row]) {
      ++rows;
    }
    if (kScoreRows >= 4 && rows >= 4) {
      attend_rows<kScoreRows, T>(part, row, padded_dim, scores, runs);
    } else if (kScoreRows >= 4 && rows == 3) {
      attend_rows<kScoreRows - 1, T>(part, row, padded_dim, scores, runs);
    } else if (rows == 2) {
      attend_rows<2, T>(part, row, padded_dim, scores, runs);
    } else {
      attend_rows<1, T>(part, row, padded_dim, scores, runs);
    }
    row += rows;
  }
}

/// Keys where they lie in the pages.
template <class T>
struct PageRuns {
  const AttentionPart& part;
  template <class Body>
  void for_keys(uint32_t begin, uint32_t end, const Body& body) const {
    for (uint32_t j = begin; j < end;) {
      const uint32_t page_end = j + part.page_tokens - (part.part_start + j) % part.page_tokens;
      const uint32_t run_end = std::min(end, page_end);
      const uint64_t offset = part.key_offset_bytes(j);
      body(j, run_end, reinterpret_cast<const T*>(part.k_pages + offset),
           reinterpret_cast<const T*>(part.v_pages + offset), part.head_dim);
      j = run_end;
    }
  }
};

/// Keys widened to f32 beforehand.
struct TileRuns {
  const float* k;
  const float* v;
  uint32_t row_floats;
  template <class Body>
  void for_keys(uint32_t begin, uint32_t end, const Body& body) const {
    body(begin, end, k + uint64_t{begin} * row_floats, v + uint64_t{begin} * row_floats, row_floats);
  }
};

template <class T>
void attend_part(const AttentionPart& part) {
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(F32()));
  const uint32_t padded_dim = (part.head_dim + lanes - 1) / lanes * lanes;
  float* scores = reinterpret_cast<float*>(part.scratch);
  // Widening every key once pays when more than a few rows look at it.
  constexpr uint32_t kRowsWorthWidening = 3 * kScoreRows;
  const bool direct = padded_dim == part.head_dim && (sizeof(T) == 4 || part.num_rows <= kRowsWorthWidening);
  if (direct) return attend_all_rows<T>(part, padded_dim, scores, PageRuns<T>{part});
  uint32_t begin = kPartKeys;
  uint32_t end = 0;
  for (uint32_t r = 0; r < part.num_rows; ++r) {
    if (part.first_key[r] >= part.end_key[r]) continue;
    begin = std::min(begin, part.first_key[r]);
    end = std::max(end, part.end_key[r]);
  }
  float* k = scores + kScoreRows * kPartKeys;
  float* v = k + uint64_t{kPartKeys} * part.row_floats;
  widen_tile<T>(part, part.k_pages, begin / kKeysAtOnce * kKeysAtOnce,
                (end + kKeysAtOnce - 1) / kKeysAtOnce * kKeysAtOnce, k);
  widen_tile<T>(part, part.v_pages, begin, end, v);
  attend_all_rows<float>(part, padded_dim, scores, TileRuns{k, v, part.row_floats});
}

void compute_part(const AttentionPart& part) {
  switch (part.kv_dtype) {
    case DType::f16: return attend_part<F16Bits>(part);
    case DType::bf16: return attend_part<Bf16Bits>(part);
    default: return attend_part<float>(part);
  }
}

void fold_part_row(float* out, float& max, float& sum, const float* part_out, float part_max, float part_sum,
                   uint32_t row_floats) {
  const F32 df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  const float new_max = std::max(max, part_max);
  const auto old_factor = exp_nonpositive(df, hn::Set(df, max - new_max));
  const auto part_factor = exp_nonpositive(df, hn::Set(df, part_max - new_max));
  sum = sum * hn::GetLane(old_factor) + part_sum * hn::GetLane(part_factor);
  max = new_max;
  for (uint32_t d = 0; d < row_floats; d += lanes) {
    const auto old_out = hn::Mul(hn::LoadU(df, out + d), old_factor);
    hn::StoreU(hn::MulAdd(hn::LoadU(df, part_out + d), part_factor, old_out), df, out + d);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tattletale::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tattletale::cpu {
namespace {

HWY_EXPORT(compute_part);
HWY_EXPORT(fold_part_row);

uint64_t scratch_bytes(uint32_t, uint32_t row_floats) {
  constexpr uint64_t kMaxScoreRows = 4;
  return (kMaxScoreRows * kPartKeys + uint64_t{2} * kPartKeys * row_floats) * sizeof(float);
}

void compute(const AttentionPart& part) {
  HWY_DYNAMIC_DISPATCH(compute_part)(part);
}

}  // namespace

const AttentionMath& attention_math_f32() {
  static const AttentionMath kMath = {.target_rows = 48, .scratch_bytes = scratch_bytes, .compute = compute};
  return kMath;
}

void fold_part(float* out, float& max, float& sum, const float* part_out, float part_max, float part_sum,
               uint32_t row_floats) {
  HWY_DYNAMIC_DISPATCH(fold_part_row)(out, max, sum, part_out, part_max, part_sum, row_floats);
}

void finish_row(float* destination, const float* out, float sum, uint32_t head_dim) {
  const float factor = 1.0f / sum;
  // Adding zero turns -0 into 0: a masked key adds nothing, but may flip the sign of a zero.
  for (uint32_t d = 0; d < head_dim; ++d) destination[d] = out[d] * factor + 0.0f;
}

}  // namespace tattletale::cpu
#endif

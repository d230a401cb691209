// f32, f16 and bf16 weights times f32 activations, 16 rows at a time.
// Numerics: one accumulator vector per output element runs along k with fused multiply-adds, then its lanes
// are summed in a fixed order, then the numbers past the last whole vector are added one by one. The result
// depends on the vector width of the machine but not on the tile an element is computed in. Per-target
// header: included once for every Highway target.
#if defined(TT_LINEAR_FLOAT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TT_LINEAR_FLOAT_INL_H
#undef TT_LINEAR_FLOAT_INL_H
#else
#define TT_LINEAR_FLOAT_INL_H
#endif

#include <cstdint>
#include <cstring>

#include "backends/cpu/linear_panel.h"
#include "hwy/highway.h"
#include "tensor/float16.h"

#include "backends/cpu/linear_target-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::CappedTag<float, 16>;

struct F32Row {
  static constexpr uint64_t kBytes = 4;
  static HWY_INLINE hn::Vec<FloatTag> load(const uint8_t* p) {
    return hn::LoadU(FloatTag(), reinterpret_cast<const float*>(p));
  }
  static HWY_INLINE float load_one(const uint8_t* p) {
    float v;
    std::memcpy(&v, p, 4);
    return v;
  }
};
struct F16Row {
  static constexpr uint64_t kBytes = 2;
  static HWY_INLINE hn::Vec<FloatTag> load(const uint8_t* p) {
    const hn::Rebind<hwy::float16_t, FloatTag> half;
    return hn::PromoteTo(FloatTag(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(p)));
  }
  static HWY_INLINE float load_one(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, 2);
    return f16_to_f32(v);
  }
};
struct Bf16Row {
  static constexpr uint64_t kBytes = 2;
  static HWY_INLINE hn::Vec<FloatTag> load(const uint8_t* p) {
    const hn::Rebind<hwy::bfloat16_t, FloatTag> half;
    return hn::PromoteTo(FloatTag(), hn::LoadU(half, reinterpret_cast<const hwy::bfloat16_t*>(p)));
  }
  static HWY_INLINE float load_one(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, 2);
    return bf16_to_f32(v);
  }
};

template <class Row, int Rows, int Tokens>
HWY_INLINE void float_tile(const uint8_t* const* row, const float* x, uint64_t x_stride, uint64_t k,
                           float* acc_out) {
  const FloatTag d;
  const uint64_t lanes = hn::Lanes(d);
  hn::Vec<FloatTag> acc[Rows][Tokens];
  HWY_UNROLL(8)
  for (int r = 0; r < Rows; ++r) {
    HWY_UNROLL(4)
    for (int t = 0; t < Tokens; ++t) acc[r][t] = hn::Zero(d);
  }
  uint64_t i = 0;
  for (; i + lanes <= k; i += lanes) {
    hn::Vec<FloatTag> xv[Tokens];
    HWY_UNROLL(4)
    for (int t = 0; t < Tokens; ++t) xv[t] = hn::LoadU(d, x + t * x_stride + i);
    HWY_UNROLL(8)
    for (int r = 0; r < Rows; ++r) {
      const auto w = Row::load(row[r] + i * Row::kBytes);
      HWY_UNROLL(4)
      for (int t = 0; t < Tokens; ++t) acc[r][t] = hn::MulAdd(w, xv[t], acc[r][t]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) {
      float sum = hn::GetLane(hn::SumOfLanes(d, acc[r][t]));
      for (uint64_t j = i; j < k; ++j)
        sum = __builtin_fmaf(Row::load_one(row[r] + j * Row::kBytes), x[t * x_stride + j], sum);
      acc_out[16 * t + r] = sum;
    }
  }
}

template <class Row>
void float_panel(const PanelRows& rows, const float* x, uint64_t x_stride, uint64_t k, uint64_t t0,
                 uint64_t t1, float* acc) {
  uint64_t t = t0;
  for (; t + 4 <= t1; t += 4) {
    for (int r = 0; r < 16; r += 4) {
      float_tile<Row, 4, 4>(rows.row + r, x + t * x_stride, x_stride, k, acc + (t - t0) * 16 + r);
    }
  }
  for (; t < t1; ++t) {
    for (int r = 0; r < 16; r += 8) {
      float_tile<Row, 8, 1>(rows.row + r, x + t * x_stride, x_stride, k, acc + (t - t0) * 16 + r);
    }
  }
}

}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Compiles the linear kernel's pieces for every instruction set and hands out the best.
// What they compute is in linear_panel.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/linear_isa.cpp"
#define HWY_WANT_AVX3_DL 1
#include "hwy/foreach_target.h"  // must come before highway.h

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/linear_dot-inl.h"
#include "backends/cpu/linear_float-inl.h"
#include "backends/cpu/linear_pack-inl.h"
#include "backends/cpu/linear_panel.h"
#include "backends/cpu/linear_unpack-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

#include "backends/cpu/linear_target-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu::HWY_NAMESPACE {
namespace {

/// Blocks whose largest |x| is below this count as zero: 127 / |x| must stay finite.
constexpr uint32_t kSmallestAmaxBits = 0x0da24260;  // 1e-30
constexpr uint32_t kInfinityBits = 0x7f800000;

HWY_INLINE void quantize_block(const float* x, int8_t* q, float& scale, int32_t sums[2]) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<int8_t, FloatTag> d8;
  const size_t lanes = hn::Lanes(d);
  auto largest = hn::Zero(di);  // magnitudes compare as integers, and NaN is larger than all
  for (size_t i = 0; i < 32; i += lanes) {
    const auto bits = hn::BitCast(di, hn::LoadU(d, x + i));
    largest = hn::Max(largest, hn::And(bits, hn::Set(di, 0x7fffffff)));
  }
  const auto amax_bits = static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(di, largest)));
  sums[0] = sums[1] = 0;
  if (amax_bits < kSmallestAmaxBits || amax_bits >= kInfinityBits) {
    std::memset(q, 0, 32);
    scale = amax_bits < kInfinityBits ? 0.0f : __builtin_nanf("");  // an infinity or NaN in x must show in y
    return;
  }
  float amax;
  std::memcpy(&amax, &amax_bits, 4);
  scale = amax * (1.0f / 127.0f);
  const auto inverse = hn::Set(d, 127.0f / amax);
  for (size_t half = 0; half < 2; ++half) {
    auto sum = hn::Zero(di);
    for (size_t i = 16 * half; i < 16 * half + 16; i += lanes) {
      const auto value = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), inverse));  // ties to even
      sum = hn::Add(sum, value);
      hn::StoreU(hn::DemoteTo(d8, value), d8, q + i);
    }
    sums[half] = hn::GetLane(hn::SumOfLanes(di, sum));
  }
}

void quantize_row(const float* x, uint64_t k, const QuantizedRows& out, uint64_t t) {
  for (uint64_t b = 0; b < k / 32; ++b) {
    float scale;
    int32_t sums[2];
    quantize_block(x + 32 * b, out.q + t * k + 32 * b, scale, sums);
    const uint64_t at32 = t * (k / 32) + b;
    out.scale[at32] = scale;
    out.isum32[at32] = sums[0] + sums[1];
    out.sum32[at32] = scale * static_cast<float>(sums[0] + sums[1]);
    for (int h = 0; h < 2; ++h) {
      out.isum16[2 * at32 + h] = sums[h];
      out.sum16[2 * at32 + h] = scale * static_cast<float>(sums[h]);
    }
  }
}

/// Any rows and any machine: row by row into natural order, then four bytes at a time to their place in the
/// panel.
template <class F>
void pack_block(const PanelRows& rows, uint64_t b, uint8_t* q, float* scale, float* min) {
  constexpr int kGroups = F::kElements / F::kGroup;
  for (uint32_t r = 0; r < kPanelRows; ++r) {
    alignas(64) uint8_t u[F::kElements];
    float d[kGroups], m[kGroups];
    F::unpack(reinterpret_cast<const typename F::Block*>(rows.row[r])[b], u, d, m);
    for (int j = 0; j < F::kElements / 4; ++j) std::memcpy(q + 64 * j + 4 * r, u + 4 * j, 4);
    for (int g = 0; g < kGroups; ++g) {
      scale[g * 16 + r] = d[g];
      if constexpr (F::kHasMin) min[g * 16 + r] = m[g];
    }
  }
}

/// Sixteen rows read side by side are more streams than the processor's own prefetcher follows; the rows lie
/// one after the other, so the next panel is one run of memory. Prefetching may pass the end of a mapping: it
/// never faults. A matrix that is larger than any cache is brought only into the second level: fetching it
/// from memory into the first holds that level's few fill buffers too long (measured on Gemma 3's 170 MiB
/// head: 10 % faster decoding).
HWY_INLINE void prefetch(const uint8_t* begin, const uint8_t* end, bool from_memory) {
  if (from_memory) {
    for (const uint8_t* p = begin; p < end; p += 64) __builtin_prefetch(p, 0, 2);
  } else {
    for (const uint8_t* p = begin; p < end; p += 64) __builtin_prefetch(p, 0, 3);
  }
}

/// Unpacks the blocks [b0, b1) of the rows to the panel's beginning.
template <class F>
HWY_INLINE void pack_blocks(const PanelRows& rows, uint64_t b0, uint64_t b1, const PackedPanel& out) {
  constexpr int kGroups = F::kElements / F::kGroup;
  for (uint64_t b = b0; b < b1; ++b) {
    uint8_t* q = out.q + (b - b0) * F::kElements * 16;
    float* scale = out.scale + (b - b0) * kGroups * 16;
    float* min = out.min + (b - b0) * kGroups * 16;
    if (rows.next != nullptr) {
      constexpr uint64_t kColumnBytes = kPanelRows * sizeof(typename F::Block);
      prefetch(rows.next + b * kColumnBytes, rows.next + (b + 1) * kColumnBytes, rows.from_memory);
    }
#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    if (rows.stride_bytes != 0) {
      pack_column<F>(rows.row[0], rows.stride_bytes, b, q, scale, min);
      continue;
    }
#endif
    pack_block<F>(rows, b, q, scale, min);
  }
}

template <class F>
void pack_format(const PanelRows& rows, uint64_t k, const PackedPanel& out) {
  pack_blocks<F>(rows, 0, k / F::kElements, out);
}

/// One token: unpacks a little at a time, to stay in the first-level cache, and continues the sums.
template <class F>
void dot_stored_format(const PanelRows& rows, const QuantizedRows& x, uint64_t k, uint64_t t,
                       const PackedPanel& scratch, float* acc) {
  constexpr uint64_t kGroups = F::kElements / F::kGroup;
  constexpr uint64_t kBlocks = F::kElements == 256 ? 1 : 4;
  const uint64_t num_blocks = k / F::kElements;
  std::memset(acc, 0, 16 * sizeof(float));
  for (uint64_t b = 0; b < num_blocks; b += kBlocks) {
    const uint64_t end = b + kBlocks < num_blocks ? b + kBlocks : num_blocks;
    pack_blocks<F>(rows, b, end, scratch);
    dot_tile<F, 1>(scratch, x, k, t, b * kGroups, end * kGroups, acc);
  }
}

void pack(DType dtype, const PanelRows& rows, uint64_t k, const PackedPanel& out) {
  with_format(dtype, [&]<class F>() { pack_format<F>(rows, k, out); });
}

void dot(DType dtype, const PackedPanel& panel, const QuantizedRows& x, uint64_t k, uint64_t t0, uint64_t t1,
         float* acc) {
  with_format(dtype, [&]<class F>() { dot_format<F>(panel, x, k, t0, t1, acc); });
}

void dot_stored(DType dtype, const PanelRows& rows, const QuantizedRows& x, uint64_t k, uint64_t t,
                const PackedPanel& scratch, float* acc) {
  with_format(dtype, [&]<class F>() { dot_stored_format<F>(rows, x, k, t, scratch, acc); });
}

void dot_float(DType dtype, const PanelRows& rows, const float* x, uint64_t x_stride, uint64_t k, uint64_t t0,
               uint64_t t1, float* acc) {
  switch (dtype) {
    case DType::f32: return float_panel<F32Row>(rows, x, x_stride, k, t0, t1, acc);
    case DType::f16: return float_panel<F16Row>(rows, x, x_stride, k, t0, t1, acc);
    case DType::bf16: return float_panel<Bf16Row>(rows, x, x_stride, k, t0, t1, acc);
    default: return;
  }
}

/// v * sigmoid(s), without overflow.
template <class V>
HWY_INLINE V times_sigmoid(V v, V s) {
  const FloatTag d;
  const V e = hn::Exp(d, hn::Min(hn::Neg(s), hn::Set(d, 88.0f)));
  return hn::Div(v, hn::Add(hn::Set(d, 1.0f), e));
}

// n is a multiple of 16.
void silu_mul(const float* gate, const float* up, float* y, uint64_t n) {
  const FloatTag d;
  for (uint64_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto g = hn::LoadU(d, gate + i);
    hn::StoreU(hn::Mul(times_sigmoid(g, g), hn::LoadU(d, up + i)), d, y + i);
  }
}

// 0.5 * (1 + tanh(u)) = sigmoid(2 u)
void gelu_tanh_mul(const float* gate, const float* up, float* y, uint64_t n) {
  const FloatTag d;
  for (uint64_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto g = hn::LoadU(d, gate + i);
    const auto cubic = hn::MulAdd(hn::Mul(hn::Set(d, 0.044715f), hn::Mul(g, g)), g, g);
    const auto s = hn::Mul(hn::Set(d, 1.5957691216057308f), cubic);
    hn::StoreU(hn::Mul(times_sigmoid(g, s), hn::LoadU(d, up + i)), d, y + i);
  }
}

}  // namespace

const LinearIsa* linear_isa_of_target() {
  static const LinearIsa isa = {.name = hwy::TargetName(HWY_TARGET),
                                .quantize_row = quantize_row,
                                .pack = pack,
                                .dot = dot,
                                .dot_stored = dot_stored,
                                .dot_float = dot_float,
                                .silu_mul = silu_mul,
                                .gelu_tanh_mul = gelu_tanh_mul};
  return &isa;
}

}  // namespace tattletale::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tattletale::cpu {

HWY_EXPORT(linear_isa_of_target);

const LinearIsa& linear_isa() {
  apply_isa_limits();
  return *HWY_DYNAMIC_DISPATCH(linear_isa_of_target)();
}

bool is_packed_linear_dtype(DType dtype) {
  return dtype >= DType::q4_0;
}
bool is_float_linear_dtype(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace tattletale::cpu
#endif

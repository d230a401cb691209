// rope_append on the CPU. A work item is one token, or for small batches a share of one token's heads; every
// item computes the token's sines itself, which costs less than a barrier.
#include "kernels/rope_append.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/cpu_kernel.h"
#include "tensor/float16.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/rope_append.cpp"
#include <hwy/foreach_target.h>
// clang-format off: foreach_target.h comes first
#include "backends/cpu/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu {
namespace HWY_NAMESPACE {

/// cosines [n], sines [n] of position * inv_freq[i], times factor.
void fill_angles(uint32_t position, const float* inv_freq, uint32_t n, float factor, float* cosines,
                 float* sines) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(dd));
  const auto scale = hn::Set(df, factor);
  for (uint32_t i = 0; i < n; i += lanes) {
    float padded[HWY_MAX_BYTES / sizeof(double)] = {};
    const float* source = inv_freq + i;
    const uint32_t count = std::min(lanes, n - i);
    if (count < lanes) {
      std::copy_n(source, count, padded);
      source = padded;
    }
    auto sine = hn::Zero(df);
    auto cosine = hn::Zero(df);
    sin_cos_of_angles(dd, df, static_cast<double>(position), hn::LoadU(df, source), sine, cosine);
    float sine_lanes[HWY_MAX_BYTES / sizeof(double)];
    float cosine_lanes[HWY_MAX_BYTES / sizeof(double)];
    hn::StoreU(hn::Mul(sine, scale), df, sine_lanes);
    hn::StoreU(hn::Mul(cosine, scale), df, cosine_lanes);
    std::copy_n(sine_lanes, count, sines + i);
    std::copy_n(cosine_lanes, count, cosines + i);
  }
}

/// x [n] *= rsqrt(mean(x^2) + eps) * (weight + offset), from `source` into `out`; they may be the same.
void norm_head(const float* source, const float* weight, float eps, float offset, uint32_t n, float* out) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  auto partial = hn::Zero(df);
  uint32_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(df, source + i);
    partial = hn::MulAdd(x, x, partial);
  }
  float sum = hn::GetLane(hn::SumOfLanes(df, partial));
  for (; i < n; ++i) sum += source[i] * source[i];
  const float inverse_rms = 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
  const auto scale = hn::Set(df, inverse_rms);
  const auto plus = hn::Set(df, offset);
  for (i = 0; i + lanes <= n; i += lanes) {
    const auto w = hn::Add(hn::LoadU(df, weight + i), plus);
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(df, source + i), scale), w), df, out + i);
  }
  for (; i < n; ++i) out[i] = source[i] * inverse_rms * (weight[i] + offset);
}

/// Rotates pairs (i, i + half) of x in place.
void rotate_half(float* x, const float* cosines, const float* sines, uint32_t half) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  uint32_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto c = hn::LoadU(df, cosines + i);
    const auto s = hn::LoadU(df, sines + i);
    const auto a = hn::LoadU(df, x + i);
    const auto b = hn::LoadU(df, x + half + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), df, x + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), df, x + half + i);
  }
  for (; i < half; ++i) {
    const float a = x[i];
    const float b = x[half + i];
    x[i] = a * cosines[i] - b * sines[i];
    x[half + i] = b * cosines[i] + a * sines[i];
  }
}

/// Rotates pairs (2i, 2i + 1) of x in place.
void rotate_interleaved(float* x, const float* cosines, const float* sines, uint32_t half) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  uint32_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto c = hn::LoadU(df, cosines + i);
    const auto s = hn::LoadU(df, sines + i);
    auto a = hn::Zero(df);
    auto b = hn::Zero(df);
    hn::LoadInterleaved2(df, x + 2 * i, a, b);
    const auto turned_a = hn::NegMulAdd(b, s, hn::Mul(a, c));
    const auto turned_b = hn::MulAdd(a, s, hn::Mul(b, c));
    hn::StoreInterleaved2(turned_a, turned_b, df, x + 2 * i);
  }
  for (; i < half; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    x[2 * i] = a * cosines[i] - b * sines[i];
    x[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

template <class T>
void store_row(const float* x, uint32_t n, std::byte* out_bytes) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  T* out = reinterpret_cast<T*>(out_bytes);
  uint32_t i = 0;
  for (; i + lanes <= n; i += lanes) store_f32(df, hn::LoadU(df, x + i), out + i);
  for (; i < n; ++i) {
    if constexpr (sizeof(T) == 4) {
      out[i] = x[i];
    } else {
      out[i].bits = std::is_same_v<T, F16Bits> ? f32_to_f16(x[i]) : f32_to_bf16(x[i]);
    }
  }
}

void store_kv_row(DType dtype, const float* x, uint32_t n, std::byte* out) {
  switch (dtype) {
    case DType::f16: return store_row<F16Bits>(x, n, out);
    case DType::bf16: return store_row<Bf16Bits>(x, n, out);
    default: return store_row<float>(x, n, out);
  }
}

/// Heads [first_head, end_head) of token t, counted through q, k and v. scratch: 2 * head_dim floats.
void rope_heads(const Launch& launch, uint64_t t, uint32_t first_head, uint32_t end_head, float* scratch) {
  const auto& c = launch.comptime_as<RopeAppendComptime>();
  const auto& p = launch.params_as<RopeAppendParams>();
  const uint32_t half = p.rotary_dim / 2;
  const uint32_t position = launch.bindings[4].as<uint32_t>()[t];
  float* head = scratch;
  float* cosines = scratch + p.head_dim;
  float* sines = cosines + half;
  if (first_head < p.num_q_heads + p.num_kv_heads) {
    fill_angles(position, launch.bindings[3].as<float>(), half, p.rope_factor, cosines, sines);
  }
  const uint64_t slot = launch.bindings[5].as<uint64_t>()[t];
  const uint64_t page = slot / p.page_tokens;
  const uint64_t offset = slot % p.page_tokens;
  const uint64_t element_bytes = dtype_info(c.kv_dtype).block_bytes;
  for (uint32_t h = first_head; h < end_head; ++h) {
    float* x = launch.bindings[0].as<float>() + t * p.qkv_stride + uint64_t{h} * p.head_dim;
    const bool is_q = h < p.num_q_heads;
    const bool is_v = h >= p.num_q_heads + p.num_kv_heads;
    float* y = is_q || is_v ? x : head;  // k and v of the projection stay as they are
    if (!is_v) {
      const float* norm = launch.bindings[is_q ? 1 : 2].as<float>();
      if (norm != nullptr) {
        norm_head(x, norm, p.norm_eps, p.norm_weight_offset, p.head_dim, y);
      } else if (y != x) {
        std::copy_n(x, p.head_dim, y);
      }
      if (c.layout == RopeLayout::half) {
        rotate_half(y, cosines, sines, half);
      } else {
        rotate_interleaved(y, cosines, sines, half);
      }
    }
    if (is_q) continue;
    const uint64_t kv_head = (h - p.num_q_heads) % p.num_kv_heads;
    const uint64_t row = (page * p.num_kv_heads + kv_head) * p.page_tokens + offset;
    store_kv_row(c.kv_dtype, y, p.head_dim,
                 launch.bindings[is_v ? 7 : 6].data + row * p.head_dim * element_bytes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tattletale::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tattletale::cpu {
namespace {

HWY_EXPORT(rope_heads);

uint64_t thread_scratch_floats(const RopeAppendParams& p) {
  return (uint64_t{2} * p.head_dim + 15) / 16 * 16;
}

uint64_t scratch_bytes(const void*, const void* params, uint32_t num_threads) {
  return thread_scratch_floats(*static_cast<const RopeAppendParams*>(params)) * sizeof(float) * num_threads;
}

void run(const Launch& launch) {
  const auto& p = launch.params_as<RopeAppendParams>();
  const uint32_t num_heads = p.num_q_heads + 2 * p.num_kv_heads;
  float* scratch = reinterpret_cast<float*>(launch.team.shared_scratch.data()) +
                   launch.team.thread_index * thread_scratch_floats(p);
  // A few tokens are cut by heads so that every thread has work, unless a piece would be smaller than its
  // sines.
  constexpr uint32_t kMinHeadsPerPiece = 4;
  uint32_t pieces = 1;
  if (p.num_tokens > 0 && p.num_tokens < launch.team.num_threads) {
    const uint32_t wanted = (launch.team.num_threads + p.num_tokens - 1) / p.num_tokens;
    pieces = std::clamp(num_heads / kMinHeadsPerPiece, 1u, wanted);
  }
  const Team::Range mine = launch.team.share(uint64_t{p.num_tokens} * pieces);
  for (uint64_t i = mine.begin; i < mine.end; ++i) {
    const uint32_t piece = static_cast<uint32_t>(i % pieces);
    HWY_DYNAMIC_DISPATCH(rope_heads)
    (launch, i / pieces, num_heads * piece / pieces, num_heads * (piece + 1) / pieces, scratch);
  }
}

bool supports(const void* comptime) {
  const DType dtype = static_cast<const RopeAppendComptime*>(comptime)->kv_dtype;
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace

const CpuKernel kRopeAppendCpu = {
    .contract = &kRopeAppendContract, .run = run, .scratch_bytes = scratch_bytes, .supports = supports};

}  // namespace tattletale::cpu
#endif

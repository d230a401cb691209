// embed on the CPU: token rows are shared out between threads; common dtypes decode with SIMD, the packed
// ones of quant/ through their reference decoder (a lookup reads one row, the product with it reads them
// all).
#include "kernels/embed.h"

#include <cstring>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/cpu_kernel.h"
#include "quant/block_format.h"
#include "tensor/float16.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/embed.cpp"
#include <hwy/foreach_target.h>
// clang-format off: foreach_target.h comes first
#include "backends/cpu/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu {
namespace HWY_NAMESPACE {

template <class T>
void widen_row(const std::byte* source, float scale, float* out, uint32_t n) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  const T* row = reinterpret_cast<const T*>(source);
  const auto factor = hn::Set(df, scale);
  uint32_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Mul(load_f32(df, row + i), factor), df, out + i);
  for (; i < n; ++i) {
    float value;
    if constexpr (sizeof(T) == 4) {
      value = row[i];
    } else {
      value = std::is_same_v<T, F16Bits> ? f16_to_f32(row[i].bits) : bf16_to_f32(row[i].bits);
    }
    out[i] = value * scale;
  }
}

/// Blocks of 32: an f16 scale, then 32 signed bytes.
void decode_q8_0(const std::byte* source, float scale, float* out, uint32_t n) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<int32_t, decltype(df)> d32;
  const hn::Rebind<int8_t, decltype(df)> d8;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  for (uint32_t block = 0; block < n / 32; ++block, source += 34) {
    uint16_t bits;
    std::memcpy(&bits, source, sizeof(bits));
    const auto block_scale = hn::Set(df, f16_to_f32(bits));
    const auto factor = hn::Set(df, scale);
    const int8_t* quants = reinterpret_cast<const int8_t*>(source + 2);
    for (uint32_t i = 0; i < 32; i += lanes) {
      const auto value = hn::ConvertTo(df, hn::PromoteTo(d32, hn::LoadU(d8, quants + i)));
      hn::StoreU(hn::Mul(hn::Mul(value, block_scale), factor), df, out + block * 32 + i);
    }
  }
}

void scale_row(float scale, float* out, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) out[i] *= scale;
}

void embed_row(DType dtype, const std::byte* source, float scale, float* out, uint32_t n) {
  switch (dtype) {
    case DType::f32: return widen_row<float>(source, scale, out, n);
    case DType::f16: return widen_row<F16Bits>(source, scale, out, n);
    case DType::bf16: return widen_row<Bf16Bits>(source, scale, out, n);
    case DType::q8_0: return decode_q8_0(source, scale, out, n);
    default: break;
  }
  block_format(dtype).dequantize_row(source, out, n);
  if (scale != 1.0f) scale_row(scale, out, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tattletale::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tattletale::cpu {
namespace {

HWY_EXPORT(embed_row);

void run(const Launch& launch) {
  const DType dtype = launch.comptime_as<EmbedComptime>().table_dtype;
  const auto& p = launch.params_as<EmbedParams>();
  const uint64_t bytes_per_row = row_bytes(dtype, p.dim).value_or(0);
  const uint32_t* ids = launch.bindings[0].as<uint32_t>();
  const Team::Range mine = launch.team.share(p.num_tokens);
  for (uint64_t t = mine.begin; t < mine.end; ++t) {
    float* out = launch.bindings[2].as<float>() + t * p.dim;
    if ((ids[t] & kReadyEmbeddingBit) != 0) {
      const uint64_t row = ids[t] & ~kReadyEmbeddingBit;
      std::memcpy(out, launch.bindings[3].as<float>() + row * p.dim, uint64_t{p.dim} * sizeof(float));
      continue;
    }
    HWY_DYNAMIC_DISPATCH(embed_row)(dtype, launch.bindings[1].data + ids[t] * bytes_per_row, p.scale, out,
                                    p.dim);
  }
}

}  // namespace

const CpuKernel kEmbedCpu = {.contract = &kEmbedContract, .run = run};

}  // namespace tattletale::cpu
#endif

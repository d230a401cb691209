// rms_norm on the CPU: rows are shared out between threads; one row is always summed in the same order.
#include "kernels/rms_norm.h"

#include <cmath>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/cpu_kernel.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/rms_norm.cpp"
#include <hwy/foreach_target.h>
// clang-format off: foreach_target.h comes first
#include "backends/cpu/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tattletale::cpu {
namespace HWY_NAMESPACE {

float sum_of_squares(const float* x, uint32_t n) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  auto a = hn::Zero(df);
  auto b = hn::Zero(df);
  auto c = hn::Zero(df);
  auto e = hn::Zero(df);
  uint32_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto x0 = hn::LoadU(df, x + i);
    const auto x1 = hn::LoadU(df, x + i + lanes);
    const auto x2 = hn::LoadU(df, x + i + 2 * lanes);
    const auto x3 = hn::LoadU(df, x + i + 3 * lanes);
    a = hn::MulAdd(x0, x0, a);
    b = hn::MulAdd(x1, x1, b);
    c = hn::MulAdd(x2, x2, c);
    e = hn::MulAdd(x3, x3, e);
  }
  for (; i + lanes <= n; i += lanes) {
    const auto x0 = hn::LoadU(df, x + i);
    a = hn::MulAdd(x0, x0, a);
  }
  float sum = hn::GetLane(hn::SumOfLanes(df, hn::Add(hn::Add(a, b), hn::Add(c, e))));
  for (; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

template <bool kAdd>
void norm_row(const float* x, const float* weight, float* y, const RmsNormParams& p) {
  const hn::ScalableTag<float> df;
  const uint32_t lanes = static_cast<uint32_t>(hn::Lanes(df));
  const float inverse_rms = 1.0f / std::sqrt(sum_of_squares(x, p.dim) / static_cast<float>(p.dim) + p.eps);
  const auto scale = hn::Set(df, inverse_rms);
  const auto offset = hn::Set(df, p.weight_offset);
  uint32_t i = 0;
  for (; i + lanes <= p.dim; i += lanes) {
    const auto w = hn::Add(hn::LoadU(df, weight + i), offset);
    const auto normed = hn::Mul(hn::LoadU(df, x + i), scale);
    if constexpr (kAdd) {
      hn::StoreU(hn::MulAdd(normed, w, hn::LoadU(df, y + i)), df, y + i);
    } else {
      hn::StoreU(hn::Mul(normed, w), df, y + i);
    }
  }
  for (; i < p.dim; ++i) {
    const float normed = x[i] * inverse_rms * (weight[i] + p.weight_offset);
    y[i] = kAdd ? y[i] + normed : normed;
  }
}

void norm_rows(const Launch& launch) {
  const auto& p = launch.params_as<RmsNormParams>();
  const bool add = launch.comptime_as<RmsNormComptime>().add != 0;
  const float* weight = launch.bindings[1].as<float>();
  const Team::Range mine = launch.team.share(p.num_rows);
  for (uint64_t t = mine.begin; t < mine.end; ++t) {
    const float* x = launch.bindings[0].as<float>() + t * p.x_stride;
    float* y = launch.bindings[2].as<float>() + t * p.dim;
    if (add) {
      norm_row<true>(x, weight, y, p);
    } else {
      norm_row<false>(x, weight, y, p);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tattletale::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tattletale::cpu {
namespace {

HWY_EXPORT(norm_rows);

void run(const Launch& launch) {
  HWY_DYNAMIC_DISPATCH(norm_rows)(launch);
}

}  // namespace

const CpuKernel kRmsNormCpu = {.contract = &kRmsNormContract, .run = run};

}  // namespace tattletale::cpu
#endif

#include "kernels/rms_norm.h"

#include <cmath>

namespace tattletale {
namespace {

void twin(std::span<const HostBinding> bindings, const void* comptime, const void* params) {
  const bool add = static_cast<const RmsNormComptime*>(comptime)->add != 0;
  const auto& p = *static_cast<const RmsNormParams*>(params);
  const float* weight = bindings[1].as<float>();
  for (uint64_t t = 0; t < p.num_rows; ++t) {
    const float* x = bindings[0].as<float>() + t * p.x_stride;
    float* y = bindings[2].as<float>() + t * p.dim;
    double sum = 0.0;
    for (uint32_t d = 0; d < p.dim; ++d) sum += double{x[d]} * double{x[d]};
    const double inverse_rms = 1.0 / std::sqrt(sum / p.dim + double{p.eps});
    for (uint32_t d = 0; d < p.dim; ++d) {
      const double normed = x[d] * inverse_rms * (double{weight[d]} + double{p.weight_offset});
      y[d] = static_cast<float>(add ? y[d] + normed : normed);
    }
  }
}

}  // namespace

const KernelContract kRmsNormContract = {
    .name = "rms_norm",
    .num_bindings = 3,
    .comptime_bytes = sizeof(RmsNormComptime),
    .params_bytes = sizeof(RmsNormParams),
    .writes_mask = 1u << 2,
    .twin = twin,
    .plan = plan_rms_norm,
};

}  // namespace tattletale

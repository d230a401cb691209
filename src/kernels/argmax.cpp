#include "kernels/argmax.h"

#include <limits>

namespace tattletale {
namespace {

void twin(std::span<const HostBinding> bindings, const void*, const void* params) {
  const auto& p = *static_cast<const ArgmaxParams*>(params);
  for (uint64_t r = 0; r < p.num_rows; ++r) {
    const float* x = bindings[0].as<float>() + r * p.dim;
    float best = -std::numeric_limits<float>::infinity();
    uint32_t place = 0;
    for (uint32_t i = 0; i < p.dim; ++i) {
      if (x[i] > best) best = x[i], place = i;
    }
    bindings[1].as<uint32_t>()[r] = place;
  }
}

}  // namespace

const KernelContract kArgmaxContract = {
    .name = "argmax",
    .num_bindings = 2,
    .comptime_bytes = sizeof(ArgmaxComptime),
    .params_bytes = sizeof(ArgmaxParams),
    .writes_mask = 1u << 1,
    .twin = twin,
    .plan = plan_argmax,
};

}  // namespace tattletale

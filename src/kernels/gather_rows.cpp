#include "kernels/gather_rows.h"

namespace tattletale {
namespace {

void twin(std::span<const HostBinding> bindings, const void*, const void* params) {
  const auto& p = *static_cast<const GatherRowsParams*>(params);
  const uint32_t* rows = bindings[0].as<uint32_t>();
  const float* x = bindings[1].as<float>();
  float* out = bindings[2].as<float>();
  for (uint64_t i = 0; i < p.num_rows; ++i) {
    for (uint64_t d = 0; d < p.dim; ++d) out[i * p.dim + d] = x[uint64_t{rows[i]} * p.dim + d];
  }
}

}  // namespace

const KernelContract kGatherRowsContract = {
    .name = "gather_rows",
    .num_bindings = 3,
    .comptime_bytes = sizeof(GatherRowsComptime),
    .params_bytes = sizeof(GatherRowsParams),
    .writes_mask = 1u << 2,
    .twin = twin,
    .plan = plan_gather_rows,
};

}  // namespace tattletale

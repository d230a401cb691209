#include "kernels/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/float16.h"

namespace tattletale {
namespace {

double load_kv(const std::byte* pages, uint64_t element, DType dtype) {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, pages + element * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, pages + element * 2, 2);
  return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

/// One query head of one token against keys [first_key, end_key) of its sequence.
void attend(std::span<const HostBinding> bindings, DType dtype, const PagedAttentionParams& p, const float* q,
            uint32_t kv_head, const uint32_t* pages, uint32_t first_key, uint32_t end_key, float* out) {
  const auto row = [&](uint32_t j) {
    return ((uint64_t{pages[j / p.page_tokens]} * p.num_kv_heads + kv_head) * p.page_tokens +
            j % p.page_tokens) *
           p.head_dim;
  };
  std::vector<double> weights;
  double highest = -INFINITY;
  for (uint32_t j = first_key; j < end_key; ++j) {
    double dot = 0.0;
    for (uint32_t d = 0; d < p.head_dim; ++d) dot += q[d] * load_kv(bindings[1].data, row(j) + d, dtype);
    weights.push_back(dot * double{p.scale});
    highest = std::max(highest, weights.back());
  }
  double sum = 0.0;
  for (double& w : weights) sum += w = std::exp(w - highest);
  std::vector<double> mean(p.head_dim, 0.0);
  for (uint32_t j = first_key; j < end_key; ++j) {
    const double w = weights[j - first_key] / sum;
    for (uint32_t d = 0; d < p.head_dim; ++d) mean[d] += w * load_kv(bindings[2].data, row(j) + d, dtype);
  }
  for (uint32_t d = 0; d < p.head_dim; ++d) out[d] = static_cast<float>(mean[d]);
}

void twin(std::span<const HostBinding> bindings, const void* comptime, const void* params) {
  const DType dtype = static_cast<const PagedAttentionComptime*>(comptime)->kv_dtype;
  const auto& p = *static_cast<const PagedAttentionParams*>(params);
  for (uint32_t s = 0; s < p.num_sequences; ++s) {
    const BatchSequence& sequence = bindings[3].as<BatchSequence>()[s];
    for (uint32_t i = 0; i < sequence.num_tokens; ++i) {
      const uint32_t end_key = sequence.context_tokens - sequence.num_tokens + i + 1;
      const uint32_t first_key = p.window > 0 && end_key > p.window ? end_key - p.window : 0;
      for (uint32_t h = 0; h < p.num_q_heads; ++h) {
        const uint64_t t = uint64_t{sequence.first_token} + i;
        attend(bindings, dtype, p, bindings[0].as<float>() + t * p.q_stride + uint64_t{h} * p.head_dim,
               h / (p.num_q_heads / p.num_kv_heads), bindings[4].as<uint32_t>() + sequence.first_page,
               first_key, end_key, bindings[5].as<float>() + (t * p.num_q_heads + h) * p.head_dim);
      }
    }
  }
}

}  // namespace

const KernelContract kPagedAttentionContract = {
    .name = "paged_attention",
    .num_bindings = 6,
    .comptime_bytes = sizeof(PagedAttentionComptime),
    .params_bytes = sizeof(PagedAttentionParams),
    .writes_mask = 1u << 5,
    .twin = twin,
    .plan = plan_paged_attention,
};

}  // namespace tattletale

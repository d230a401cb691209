#include "kernels/rope_append.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/float16.h"

namespace tattletale {
namespace {

void normalise_head(std::vector<double>& head, const float* weight, const RopeAppendParams& p) {
  double sum = 0.0;
  for (const double x : head) sum += x * x;
  const double inverse_rms = 1.0 / std::sqrt(sum / p.head_dim + double{p.norm_eps});
  for (uint32_t d = 0; d < p.head_dim; ++d) {
    head[d] *= inverse_rms * (double{weight[d]} + double{p.norm_weight_offset});
  }
}

void rotate_head(std::vector<double>& head, uint32_t position, const float* inv_freq, RopeLayout layout,
                 const RopeAppendParams& p) {
  const uint32_t half = p.rotary_dim / 2;
  for (uint32_t i = 0; i < half; ++i) {
    const double angle = double(position) * double{inv_freq[i]};  // exact: 32 and 24 significant bits
    const double c = std::cos(angle) * p.rope_factor;
    const double s = std::sin(angle) * p.rope_factor;
    const uint32_t first = layout == RopeLayout::half ? i : 2 * i;
    const uint32_t second = layout == RopeLayout::half ? i + half : 2 * i + 1;
    const double a = head[first];
    const double b = head[second];
    head[first] = a * c - b * s;
    head[second] = b * c + a * s;
  }
}

void store_kv(std::byte* pages, uint64_t element, DType dtype, float value) {
  if (dtype == DType::f32) {
    std::memcpy(pages + element * 4, &value, 4);
    return;
  }
  const uint16_t bits = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(pages + element * 2, &bits, 2);
}

void twin(std::span<const HostBinding> bindings, const void* comptime, const void* params) {
  const auto& c = *static_cast<const RopeAppendComptime*>(comptime);
  const auto& p = *static_cast<const RopeAppendParams*>(params);
  const uint32_t* positions = bindings[4].as<uint32_t>();
  const uint64_t* kv_slots = bindings[5].as<uint64_t>();
  std::vector<double> head(p.head_dim);
  for (uint64_t t = 0; t < p.num_tokens; ++t) {
    const uint64_t page = kv_slots[t] / p.page_tokens;
    const uint64_t offset = kv_slots[t] % p.page_tokens;
    for (uint32_t h = 0; h < p.num_q_heads + 2 * p.num_kv_heads; ++h) {
      float* x = bindings[0].as<float>() + t * p.qkv_stride + uint64_t{h} * p.head_dim;
      const bool is_q = h < p.num_q_heads;
      const bool is_v = h >= p.num_q_heads + p.num_kv_heads;
      const float* norm = is_v ? nullptr : bindings[is_q ? 1 : 2].as<float>();
      head.assign(x, x + p.head_dim);
      if (norm != nullptr) normalise_head(head, norm, p);
      if (!is_v) rotate_head(head, positions[t], bindings[3].as<float>(), c.layout, p);
      const uint64_t kv_head = (h - p.num_q_heads) % p.num_kv_heads;
      const uint64_t row = ((page * p.num_kv_heads + kv_head) * p.page_tokens + offset) * p.head_dim;
      for (uint32_t d = 0; d < p.head_dim; ++d) {
        const float value = static_cast<float>(head[d]);
        if (is_q) {
          x[d] = value;
        } else {
          store_kv(bindings[is_v ? 7 : 6].data, row + d, c.kv_dtype, value);
        }
      }
    }
  }
}

}  // namespace

const KernelContract kRopeAppendContract = {
    .name = "rope_append",
    .num_bindings = 8,
    .comptime_bytes = sizeof(RopeAppendComptime),
    .params_bytes = sizeof(RopeAppendParams),
    .writes_mask = 1u << 0 | 1u << 6 | 1u << 7,
    .twin = twin,
    .plan = plan_rope_append,
};

}  // namespace tattletale

#include <cmath>

#include "kernels/conformance/kernel_case.h"
#include "kernels/rope_append.h"

namespace tattletale::conformance {
namespace {

struct Setup {
  RopeLayout layout = RopeLayout::half;
  DType kv_dtype = DType::f16;
  uint32_t num_tokens = 1;
  uint32_t num_q_heads = 4, num_kv_heads = 2;
  uint32_t head_dim = 64, rotary_dim = 64;
  uint32_t first_position = 0;
  bool norm = false;
};

/// One unit in the last place of the storage type, for values near a rounding boundary.
Tolerance kv_tolerance(DType dtype) {
  if (dtype == DType::f32) return {.relative = 1e-6, .absolute = 2e-6};
  return {.relative = dtype == DType::f16 ? 0x1p-10 : 0x1p-7, .absolute = 2e-6};
}

LaunchData make(const Setup& s) {
  constexpr uint32_t kPageTokens = 16;
  CaseRandom random(s.num_tokens * 131 + s.head_dim + s.first_position);
  const uint32_t num_heads = s.num_q_heads + 2 * s.num_kv_heads;
  const RopeAppendParams params{.num_tokens = s.num_tokens,
                                .num_q_heads = s.num_q_heads,
                                .num_kv_heads = s.num_kv_heads,
                                .head_dim = s.head_dim,
                                .rotary_dim = s.rotary_dim,
                                .qkv_stride = num_heads * s.head_dim + 7,
                                .page_tokens = kPageTokens,
                                .norm_eps = 1e-6f,
                                .norm_weight_offset = s.norm && s.num_tokens > 1 ? 1.0f : 0.0f,
                                .rope_factor = s.rotary_dim == s.head_dim ? 1.0f : 1.2f};
  std::vector<float> inv_freq(s.rotary_dim / 2);
  for (uint32_t i = 0; i < inv_freq.size(); ++i) {
    inv_freq[i] = static_cast<float>(std::pow(10000.0, -2.0 * i / s.rotary_dim));
  }
  const uint32_t num_pages = s.num_tokens / kPageTokens + 3;
  std::vector<uint32_t> positions(s.num_tokens);
  std::vector<uint64_t> slots(s.num_tokens);
  for (uint32_t t = 0; t < s.num_tokens; ++t) {
    positions[t] = s.first_position + t;
    const uint32_t linear = (t + 5) % (num_pages * kPageTokens);
    const uint32_t page = num_pages - 1 - linear / kPageTokens;  // pages in falling order
    slots[t] = uint64_t{page} * kPageTokens + linear % kPageTokens;
  }
  // Slots that are not written keep their NaNs.
  const uint64_t page_elements = uint64_t{num_pages} * s.num_kv_heads * kPageTokens * s.head_dim;
  const Bytes pages(page_elements * dtype_info(s.kv_dtype).block_bytes, std::byte{0xff});
  return {.comptime = bytes_of(RopeAppendComptime{.layout = s.layout, .kv_dtype = s.kv_dtype}),
          .params = bytes_of(params),
          .bindings = {bytes_of(random.normals(uint64_t{s.num_tokens} * params.qkv_stride)),
                       s.norm ? bytes_of(random.normals(s.head_dim, 0.3f, 1.0f)) : Bytes{},
                       s.norm ? bytes_of(random.normals(s.head_dim, 0.3f, 1.0f)) : Bytes{},
                       bytes_of(inv_freq), bytes_of(positions), bytes_of(slots), pages, pages},
          .outputs = {{.binding = 0, .tolerance = {.relative = 1e-6, .absolute = 2e-6}},
                      {.binding = 6, .dtype = s.kv_dtype, .tolerance = kv_tolerance(s.kv_dtype)},
                      {.binding = 7, .dtype = s.kv_dtype, .tolerance = {}}}};
}

void add(std::vector<KernelCase>& cases, const Setup& s) {
  cases.push_back({"layout " + std::to_string(static_cast<int>(s.layout)) + ", kv " +
                       std::string(dtype_name(s.kv_dtype)) + ", " + std::to_string(s.num_tokens) +
                       " tokens from " + std::to_string(s.first_position) + ", dim " +
                       std::to_string(s.head_dim) + " rotary " + std::to_string(s.rotary_dim) + ", heads " +
                       std::to_string(s.num_q_heads) + "/" + std::to_string(s.num_kv_heads) +
                       (s.norm ? ", norm" : ""),
                   [s] { return make(s); }});
}

}  // namespace

std::vector<KernelCase> rope_append_cases() {
  std::vector<KernelCase> cases;
  for (const RopeLayout layout : {RopeLayout::half, RopeLayout::interleaved}) {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      for (const uint32_t num_tokens : {1u, 2u, 17u, 33u}) {
        add(cases, {.layout = layout, .kv_dtype = dtype, .num_tokens = num_tokens});
        add(cases, {.layout = layout,
                    .kv_dtype = dtype,
                    .num_tokens = num_tokens,
                    .num_q_heads = 9,
                    .num_kv_heads = 3,
                    .first_position = 4000,
                    .norm = true});
      }
    }
    for (const uint32_t head_dim : {8u, 24u, 72u, 80u, 96u, 128u, 256u}) {
      add(cases, {.layout = layout,
                  .num_tokens = 3,
                  .head_dim = head_dim,
                  .rotary_dim = head_dim,
                  .norm = head_dim > 80});
      add(cases, {.layout = layout, .num_tokens = 3, .head_dim = head_dim, .rotary_dim = head_dim / 4 * 2});
    }
    for (const uint32_t position : {100'000u, 1'000'000u, 16'000'000u}) {
      add(cases, {.layout = layout, .kv_dtype = DType::f32, .num_tokens = 129, .first_position = position});
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

#include "kernels/embed.h"

#include <vector>

#include "quant/block_format.h"

namespace tattletale {
namespace {

void twin(std::span<const HostBinding> bindings, const void* comptime, const void* params) {
  const DType dtype = static_cast<const EmbedComptime*>(comptime)->table_dtype;
  const auto& p = *static_cast<const EmbedParams*>(params);
  const uint64_t bytes_per_row = row_bytes(dtype, p.dim).value();
  std::vector<float> row(p.dim);
  for (uint64_t t = 0; t < p.num_tokens; ++t) {
    const uint32_t id = bindings[0].as<uint32_t>()[t];
    float* out = bindings[2].as<float>() + t * p.dim;
    if ((id & kReadyEmbeddingBit) != 0) {
      const float* ready = bindings[3].as<float>() + uint64_t{id & ~kReadyEmbeddingBit} * p.dim;
      for (uint32_t d = 0; d < p.dim; ++d) out[d] = ready[d];
      continue;
    }
    block_format(dtype).dequantize_row(bindings[1].data + id * bytes_per_row, row.data(), p.dim);
    for (uint32_t d = 0; d < p.dim; ++d) out[d] = p.scale * row[d];
  }
}

std::optional<MatrixBinding> matrix(const void* comptime, const void* params, uint32_t i) {
  const auto& p = *static_cast<const EmbedParams*>(params);
  if (i != 0) return std::nullopt;
  return MatrixBinding{1, static_cast<const EmbedComptime*>(comptime)->table_dtype, p.num_rows, p.dim};
}

}  // namespace

const KernelContract kEmbedContract = {
    .name = "embed",
    .num_bindings = 4,
    .comptime_bytes = sizeof(EmbedComptime),
    .params_bytes = sizeof(EmbedParams),
    .writes_mask = 1u << 2,
    .twin = twin,
    .matrix = matrix,
    .plan = plan_embed,
};

}  // namespace tattletale

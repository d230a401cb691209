#include "kernels/linear.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/block_format.h"

namespace tattletale {
namespace {

constexpr float kSqrt2OverPi = 0.7978845608028654f;

float silu(float v) {
  return v / (1.0f + std::exp(-v));
}
float gelu_tanh(float v) {
  return 0.5f * v * (1.0f + std::tanh(kSqrt2OverPi * (v + 0.044715f * v * v * v)));
}

/// One output column of one matrix: accumulates in double, so that the twin's own error does not count.
void column(const float* weight_row, float bias, const float* x, const LinearParams& p,
            std::vector<float>& out) {
  for (uint32_t t = 0; t < p.num_rows; ++t) {
    double sum = bias;
    for (uint32_t k = 0; k < p.in_dim; ++k) {
      sum += double{x[uint64_t{t} * p.x_stride + k]} * double{weight_row[k]};
    }
    out[t] = static_cast<float>(sum);
  }
}

void linear_twin(std::span<const HostBinding> bindings, const void* comptime_bytes,
                 const void* params_bytes) {
  const auto& comptime = *static_cast<const LinearComptime*>(comptime_bytes);
  const auto& p = *static_cast<const LinearParams*>(params_bytes);
  const float* x = bindings[0].as<float>();
  float* y = bindings[1].as<float>();
  const bool gated =
      comptime.epilogue == LinearEpilogue::silu_mul || comptime.epilogue == LinearEpilogue::gelu_tanh_mul;
  std::vector<float> weight_row(p.in_dim);
  std::vector<float> values(p.num_rows), gates(p.num_rows);
  const auto compute = [&](uint32_t i, uint32_t n, std::vector<float>& out) {
    const DType dtype = comptime.weight_dtype[i];
    const uint64_t bytes = row_bytes(dtype, p.in_dim).value();
    block_format(dtype).dequantize_row(bindings[2 + i].data + n * bytes, weight_row.data(), p.in_dim);
    const float bias = bindings[5 + i].data != nullptr ? bindings[5 + i].as<float>()[n] : 0.0f;
    column(weight_row.data(), bias, x, p, out);
  };
  uint64_t y_column = 0;
  for (uint32_t i = 0; i < (gated ? 1u : comptime.num_weights); ++i) {
    for (uint32_t n = 0; n < p.out_dim[i]; ++n, ++y_column) {
      compute(i, n, values);
      if (gated) {
        std::swap(values, gates);
        compute(1, n, values);
      }
      for (uint32_t t = 0; t < p.num_rows; ++t) {
        float& out = y[uint64_t{t} * p.y_stride + y_column];
        switch (comptime.epilogue) {
          case LinearEpilogue::store: out = values[t]; break;
          case LinearEpilogue::add: out += values[t]; break;
          case LinearEpilogue::silu_mul: out = silu(gates[t]) * values[t]; break;
          case LinearEpilogue::gelu_tanh_mul: out = gelu_tanh(gates[t]) * values[t]; break;
        }
      }
    }
  }
}

std::optional<MatrixBinding> matrix(const void* comptime, const void* params, uint32_t i) {
  const auto& c = *static_cast<const LinearComptime*>(comptime);
  const auto& p = *static_cast<const LinearParams*>(params);
  if (i >= c.num_weights) return std::nullopt;
  return MatrixBinding{2 + i, c.weight_dtype[i], p.out_dim[i], p.in_dim};
}

}  // namespace

const KernelContract kLinearContract = {
    .name = "linear",
    .num_bindings = 8,
    .comptime_bytes = sizeof(LinearComptime),
    .params_bytes = sizeof(LinearParams),
    .writes_mask = 1u << 1,
    .twin = linear_twin,
    .matrix = matrix,
    .plan = plan_linear,
};

}  // namespace tattletale

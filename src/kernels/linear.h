// Matrix products of activations with stored weights, one to three matrices that share their input.
#pragma once

#include "kernels/kernel_contract.h"
#include "tensor/dtype.h"

namespace tattletale {

/// How the product reaches the output.
enum class LinearEpilogue : uint8_t {
  store,          // y[t, n] = acc
  add,            // y[t, n] += acc                        (residual stream)
  silu_mul,       // y[t, n] = silu(acc0[t, n]) * acc1[t, n]          two matrices of equal shape: gate, up
  gelu_tanh_mul,  // y[t, n] = gelu_tanh(acc0[t, n]) * acc1[t, n]     likewise
};

/// acc_i[t, n] = sum_k x[t, k] * dequantize(weight_i)[n, k] + bias_i[n]
///   0 x [T, K] f32, row stride x_stride
///   1 y [T, sum N_i] f32, row stride y_stride, matrices side by side   ([T, N_0] for the gated epilogues)
///   2, 3, 4  weight_i [N_i, K] of comptime dtype, dense rows of whole blocks; absent past num_weights
///   5, 6, 7  bias_i [N_i] f32, or absent
/// The result of a row does not depend on the other rows of the batch: for the same x[t], weights and device,
/// every T and every split of T give bit-identical y[t] on the CPU; accelerators choose among bodies by T.
/// Accumulation is f32 or better. Devices may round x to bf16, or to 8 bits per block of 32, where a weight
/// is packed or bf16, and to f16 where it is f16; f32 weights see x in f32.
struct LinearComptime {
  uint8_t num_weights = 1;
  LinearEpilogue epilogue = LinearEpilogue::store;
  DType weight_dtype[3] = {DType::f32, DType::f32, DType::f32};
};
struct LinearParams {
  uint32_t num_rows = 0;  // T
  uint32_t in_dim = 0;    // K
  uint32_t out_dim[3] = {0, 0, 0};
  uint32_t x_stride = 0;
  uint32_t y_stride = 0;
};
extern const KernelContract kLinearContract;
Result<LaunchPlan> plan_linear(const LaunchRequest& request);

}  // namespace tattletale

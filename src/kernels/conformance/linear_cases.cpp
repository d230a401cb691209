#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/conformance/kernel_case.h"
#include "kernels/linear.h"
#include "quant/block_format.h"

namespace tattletale::conformance {
namespace {

struct Setup {
  LinearEpilogue epilogue = LinearEpilogue::store;
  std::vector<DType> dtypes;
  std::vector<uint32_t> out_dims;
  uint32_t num_rows = 1;
  uint32_t in_dim = 32;
  bool bias = false;
  uint32_t x_gap = 3;  // numbers between rows of x; 4: rows that accelerators read in vectors
};

bool gated(const Setup& s) {
  return s.epilogue == LinearEpilogue::silu_mul || s.epilogue == LinearEpilogue::gelu_tanh_mul;
}

/// Accumulators are about N(0, 1). Where the contract lets a device round x, its error is that of 8 bits per
/// block of 32: at most amax / 254 per element, amax about 2.5, so 0.0057 in the mean square of a unit
/// result; seven deviations are allowed. For f16 weights it is that of f16: 2^-12 at most, 1.4e-4 in the mean
/// square. For f32 only f32 rounding is allowed.
Tolerance tolerance_of(const Setup& s) {
  double deviation = 4e-6 * std::sqrt(static_cast<double>(s.in_dim));
  for (const DType dtype : s.dtypes) {
    if (dtype != DType::f32) deviation = std::max(deviation, dtype == DType::f16 ? 1e-3 : 0.04);
  }
  // A product of two accumulators carries the error of each times the other, up to about 5 here.
  return {.relative = gated(s) ? 2 * deviation : 1e-5, .absolute = gated(s) ? 5 * deviation : deviation};
}

LaunchData make(const Setup& s) {
  CaseRandom random(s.num_rows * 7919 + s.in_dim * 31 + s.out_dims[0]);
  LinearComptime comptime{.num_weights = static_cast<uint8_t>(s.dtypes.size()), .epilogue = s.epilogue};
  const uint32_t x_stride = s.in_dim + s.x_gap;
  uint32_t y_columns = 0;
  LaunchData data;
  data.bindings.resize(8);
  LinearParams params{.num_rows = s.num_rows, .in_dim = s.in_dim, .x_stride = x_stride};
  for (size_t i = 0; i < s.dtypes.size(); ++i) {
    comptime.weight_dtype[i] = s.dtypes[i];
    params.out_dim[i] = s.out_dims[i];
    if (!gated(s) || i == 0) y_columns += s.out_dims[i];
    const uint64_t bytes_per_row = row_bytes(s.dtypes[i], s.in_dim).value();
    Bytes& weight = data.bindings[2 + i];
    weight.resize(s.out_dims[i] * bytes_per_row);
    for (uint32_t n = 0; n < s.out_dims[i]; ++n) {
      block_format(s.dtypes[i])
          .fill_random_row(weight.data() + n * bytes_per_row, s.in_dim, 1000 * i + n + 1,
                           1.0f / std::sqrt(static_cast<float>(s.in_dim)));
    }
    if (s.bias) data.bindings[5 + i] = bytes_of(random.normals(s.out_dims[i], 0.1f));
  }
  params.y_stride = y_columns + 2;  // the gap must stay as it was
  std::vector<float> x(uint64_t{s.num_rows} * x_stride, std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < s.num_rows; ++t) {
    for (uint32_t k = 0; k < s.in_dim; ++k) x[uint64_t{t} * x_stride + k] = random.normal();
  }
  data.bindings[0] = bytes_of(x);
  data.bindings[1] = bytes_of(random.normals(uint64_t{s.num_rows} * params.y_stride));
  data.comptime = bytes_of(comptime);
  data.params = bytes_of(params);
  data.outputs = {{.binding = 1, .tolerance = tolerance_of(s)}};
  return data;
}

void add(std::vector<KernelCase>& cases, const Setup& s) {
  std::string name = "epilogue " + std::to_string(static_cast<int>(s.epilogue)) + ", [" +
                     std::to_string(s.num_rows) + ", " + std::to_string(s.in_dim) + "] x";
  for (size_t i = 0; i < s.dtypes.size(); ++i) {
    name += " " + std::string(dtype_name(s.dtypes[i])) + "[" + std::to_string(s.out_dims[i]) + "]";
  }
  cases.push_back(
      {name + (s.bias ? ", bias" : "") + (s.x_gap == 4 ? ", aligned" : ""), [s] { return make(s); }});
}

bool holds_weights(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i8:
    case DType::u8:
    case DType::i16:
    case DType::u16:
    case DType::i32:
    case DType::u32:
    case DType::i64:
    case DType::u64:
    case DType::boolean: return false;
    default: return true;
  }
}

}  // namespace

std::vector<KernelCase> linear_cases() {
  std::vector<KernelCase> cases;
  for (const DTypeInfo& info : all_dtypes()) {
    if (!holds_weights(info.dtype)) continue;
    std::vector<uint32_t> in_dims = {info.block_elements, 3 * info.block_elements};
    if (!info.packed) in_dims = {1, 17, 33, 129, 576};
    if (info.block_elements == 32) in_dims = {32, 160, 576};
    for (const uint32_t in_dim : in_dims) {
      for (const uint32_t num_rows : kAwkwardSizes) {
        add(cases, {.dtypes = {info.dtype}, .out_dims = {33}, .num_rows = num_rows, .in_dim = in_dim});
      }
      add(cases, {.dtypes = {info.dtype}, .out_dims = {1}, .num_rows = 1, .in_dim = in_dim, .bias = true});
    }
    const uint32_t in_dim = info.packed ? 2 * info.block_elements : 64;
    for (const uint32_t num_rows : {1u, 17u}) {
      add(cases, {.epilogue = LinearEpilogue::add,
                  .dtypes = {info.dtype},
                  .out_dims = {129},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = true});
      add(cases, {.dtypes = {info.dtype, info.dtype, info.dtype},
                  .out_dims = {48, 17, 16},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = true});
      add(cases, {.epilogue = LinearEpilogue::silu_mul,
                  .dtypes = {info.dtype, info.dtype},
                  .out_dims = {31, 31},
                  .num_rows = num_rows,
                  .in_dim = in_dim});
      add(cases, {.epilogue = LinearEpilogue::gelu_tanh_mul,
                  .dtypes = {info.dtype, info.dtype},
                  .out_dims = {65, 65},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = true});
    }
  }
  // Many rows that vectors may read: tiles, and matrix units where there are any.
  for (const DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
    const uint32_t in_dim = dtype_info(dtype).block_elements == 256 ? 512 : 192;
    for (const uint32_t num_rows : {9u, 65u, 129u}) {
      add(cases, {.dtypes = {dtype},
                  .out_dims = {129},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = true,
                  .x_gap = 4});
      add(cases, {.epilogue = LinearEpilogue::add,
                  .dtypes = {dtype},
                  .out_dims = {300},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .x_gap = 4});
      add(cases, {.dtypes = {dtype, dtype, dtype},
                  .out_dims = {96, 33, 300},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = num_rows == 65,
                  .x_gap = 4});
      add(cases, {.epilogue = LinearEpilogue::silu_mul,
                  .dtypes = {dtype, dtype},
                  .out_dims = {161, 161},
                  .num_rows = num_rows,
                  .in_dim = in_dim,
                  .bias = num_rows == 9,
                  .x_gap = 4});
    }
  }
  // Mixed formats, as in q4_k_m files: v and down are stored with more bits.
  for (const uint32_t num_rows : {1u, 5u, 33u}) {
    add(cases, {.dtypes = {DType::q4_k, DType::q4_k, DType::q6_k},
                .out_dims = {96, 32, 32},
                .num_rows = num_rows,
                .in_dim = 512});
    add(cases, {.dtypes = {DType::q5_0, DType::q5_0, DType::q8_0},
                .out_dims = {96, 33, 31},
                .num_rows = num_rows,
                .in_dim = 640});
    add(cases, {.epilogue = LinearEpilogue::silu_mul,
                .dtypes = {DType::q4_0, DType::q8_0},
                .out_dims = {48, 48},
                .num_rows = num_rows,
                .in_dim = 96});
  }
  return cases;
}

}  // namespace tattletale::conformance

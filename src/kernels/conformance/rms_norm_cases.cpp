#include <limits>

#include "kernels/conformance/kernel_case.h"
#include "kernels/rms_norm.h"

namespace tattletale::conformance {
namespace {

LaunchData make(uint32_t num_rows, uint32_t dim, uint32_t add, float offset) {
  CaseRandom random(num_rows * 1000 + dim * 2 + add);
  const uint32_t x_stride = dim + 5;  // the gap is NaN: it must not be read into a result
  std::vector<float> x(uint64_t{num_rows} * x_stride, std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < num_rows; ++t) {
    for (uint32_t d = 0; d < dim; ++d) x[uint64_t{t} * x_stride + d] = 3.0f * random.normal();
  }
  const RmsNormParams params{
      .num_rows = num_rows, .dim = dim, .x_stride = x_stride, .eps = 1e-5f, .weight_offset = offset};
  return {.comptime = bytes_of(RmsNormComptime{.add = add}),
          .params = bytes_of(params),
          .bindings = {bytes_of(x), bytes_of(random.normals(dim, 0.5f, 1.0f)),
                       bytes_of(random.normals(uint64_t{num_rows} * dim))},
          .outputs = {{.binding = 2, .tolerance = {.relative = 1e-6, .absolute = 2e-6}}}};
}

}  // namespace

std::vector<KernelCase> rms_norm_cases() {
  std::vector<KernelCase> cases;
  for (const uint32_t num_rows : {1u, 3u, 33u}) {
    for (const uint32_t dim : {1u, 17u, 31u, 33u, 129u, 576u, 4096u}) {
      for (const uint32_t add : {0u, 1u}) {
        const float offset = dim % 2 == 0 ? 1.0f : 0.0f;
        cases.push_back(
            {std::to_string(num_rows) + " rows of " + std::to_string(dim) + (add != 0 ? ", added" : ""),
             [=] { return make(num_rows, dim, add, offset); }});
      }
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

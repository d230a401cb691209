#include <limits>

#include "kernels/argmax.h"
#include "kernels/conformance/kernel_case.h"

namespace tattletale::conformance {
namespace {

enum class Rows { plain, ties, no_numbers };

LaunchData make(uint32_t num_rows, uint32_t dim, Rows rows) {
  CaseRandom random(num_rows * 977 + dim);
  std::vector<float> x(uint64_t{num_rows} * dim);
  for (float& v : x) {
    v = random.normal();
    if (rows == Rows::ties)
      v = static_cast<float>(static_cast<int>(v)) * (random.below(2) == 0 ? 1.0f : -1.0f);
    if (rows == Rows::no_numbers) {
      const float nothing[] = {std::numeric_limits<float>::quiet_NaN(),
                               -std::numeric_limits<float>::infinity()};
      if (random.below(3) != 0 || random.below(dim) != 0) v = nothing[random.below(2)];
    }
  }
  return {.comptime = bytes_of(ArgmaxComptime{}),
          .params = bytes_of(ArgmaxParams{.num_rows = num_rows, .dim = dim}),
          .bindings = {bytes_of(x), Bytes(num_rows * 4, std::byte{0xff})},
          .outputs = {{.binding = 1, .tolerance = {}}}};
}

}  // namespace

std::vector<KernelCase> argmax_cases() {
  std::vector<KernelCase> cases;
  for (const Rows rows : {Rows::plain, Rows::ties, Rows::no_numbers}) {
    for (const uint32_t dim : {1u, 17u, 31u, 33u, 129u, 5000u, 49152u}) {
      for (const uint32_t num_rows : {1u, 5u}) {
        cases.push_back({std::to_string(num_rows) + " rows of " + std::to_string(dim) + ", kind " +
                             std::to_string(static_cast<int>(rows)),
                         [=] { return make(num_rows, dim, rows); }});
      }
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

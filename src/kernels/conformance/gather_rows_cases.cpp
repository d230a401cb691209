#include "kernels/conformance/kernel_case.h"
#include "kernels/gather_rows.h"

namespace tattletale::conformance {

std::vector<KernelCase> gather_rows_cases() {
  std::vector<KernelCase> cases;
  for (const uint32_t num_rows : kAwkwardSizes) {
    for (const uint32_t dim : kAwkwardSizes) {
      cases.push_back({std::to_string(num_rows) + " rows of " + std::to_string(dim), [num_rows, dim] {
                         CaseRandom random(num_rows * 1000 + dim);
                         std::vector<uint32_t> rows(num_rows);
                         for (uint32_t& row : rows) row = random.below(40);
                         return LaunchData{
                             .comptime = bytes_of(GatherRowsComptime{}),
                             .params = bytes_of(GatherRowsParams{.num_rows = num_rows, .dim = dim}),
                             .bindings = {bytes_of(rows), bytes_of(random.normals(uint64_t{40} * dim)),
                                          Bytes(uint64_t{num_rows} * dim * 4, std::byte{0xff})},
                             .outputs = {{.binding = 2}}};
                       }});
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

// Which cases belong to which kernel. A new kernel joins by a line here.
#include "kernels/conformance/kernel_case.h"

namespace tattletale::conformance {

std::vector<KernelCase> cases_of(const KernelContract& contract) {
  struct Row {
    std::string_view kernel;
    std::vector<KernelCase> (*make)();
  };
  static constexpr Row kRows[] = {{"argmax", argmax_cases},
                                  {"embed", embed_cases},
                                  {"rms_norm", rms_norm_cases},
                                  {"linear", linear_cases},
                                  {"rope_append", rope_append_cases},
                                  {"gather_rows", gather_rows_cases},
                                  {"paged_attention", paged_attention_cases},
                                  {"copy_kv_rows", copy_kv_rows_cases}};
  for (const Row& row : kRows) {
    if (row.kernel == contract.name) return row.make();
  }
  return {};
}

}  // namespace tattletale::conformance

// The programs that a kernel's cases need on a target: plans without any device, as the devices make them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/target_info.h"
#include "kernels/conformance/kernel_case.h"

namespace tattletale::conformance {

/// One stage of a case's plan.
struct CaseProgram {
  size_t case_index = 0;
  std::string case_name;
  Stage stage;
};

/// The stages of one case, in order. Errors: the plan's; unsupported for a kernel without a portable body.
Result<std::vector<CaseProgram>> programs_of_case(const KernelContract& contract, const KernelCase& test,
                                                  size_t case_index, const ir::TargetInfo& target);

/// Names of all bodies that the cases of a kernel use on `target`, in the order of their first use.
std::vector<std::string> body_names(const KernelContract& contract, const ir::TargetInfo& target);

}  // namespace tattletale::conformance

#include "kernels/conformance/case_programs.h"

#include <algorithm>

namespace tattletale::conformance {

Result<std::vector<CaseProgram>> programs_of_case(const KernelContract& contract, const KernelCase& test,
                                                  size_t case_index, const ir::TargetInfo& target) {
  if (contract.plan == nullptr) {
    return make_error(ErrorKind::unsupported, std::string(contract.name), "it has no portable body");
  }
  const LaunchData data = test.make();
  std::vector<BufferSlice> bindings(data.bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) {
    if (data.bindings[i].empty()) continue;
    bindings[i] = {static_cast<BufferId>(i + 1), 0, data.bindings[i].size()};  // any name but none
  }
  TT_ASSIGN(const LaunchPlan plan,
            contract.plan({target, data.comptime.data(), data.params.data(), bindings}));
  std::vector<CaseProgram> programs;
  for (const Stage& stage : plan.stages) programs.push_back({case_index, test.name, stage});
  return programs;
}

std::vector<std::string> body_names(const KernelContract& contract, const ir::TargetInfo& target) {
  std::vector<std::string> names;
  const std::vector<KernelCase> cases = cases_of(contract);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Result<std::vector<CaseProgram>> programs = programs_of_case(contract, cases[i], i, target);
    if (!programs) continue;  // a dtype that the target is not asked to read
    for (const CaseProgram& program : *programs) {
      const std::string name(program.stage.body->name);
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace tattletale::conformance

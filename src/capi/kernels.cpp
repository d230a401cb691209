// Kernels by name and as text for each target (tt_kernels_json, tt_kernel_dump); opens no driver.
#include <algorithm>
#include <vector>

#include "backends/cuda/cuda_device.h"
#include "backends/opencl/opencl_device.h"
#include "backends/vulkan/spirv_writer.h"
#include "backends/webgpu/wgsl_writer.h"
#include "base/json.h"
#include "capi/boundary.h"
#include "capi/device_class.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "kernels/conformance/case_programs.h"

namespace tattletale {
namespace {

using conformance::CaseProgram;

using Emit = Result<std::string> (*)(const ir::Kernel& kernel, const ir::TargetInfo& target);

Result<std::string> emit_ir(const ir::Kernel& kernel, const ir::TargetInfo&) {
  return ir::print(kernel);
}
Result<std::string> emit_wgsl(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  return webgpu::emit_wgsl(kernel, target);
}
Result<std::string> emit_spirv_bytes(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  TT_ASSIGN(const std::vector<uint32_t> words, emit_spirv(kernel, target));
  return std::string(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint32_t));
}

struct DumpTarget {
  std::string_view name;
  Emit emit;
  bool is_text = true;
};
constexpr DumpTarget kTargets[] = {{"cuda", emit_cuda},
                                   {"opencl", emit_opencl},
                                   {"spirv", emit_spirv_bytes, false},
                                   {"wgsl", emit_wgsl},
                                   {"ir", emit_ir}};

Error not_one_of(std::string_view what, std::string_view given, const std::vector<std::string>& right) {
  std::string message = "\"" + std::string(given) + "\" is not one of: ";
  for (size_t i = 0; i < right.size(); ++i) message += (i == 0 ? "" : ", ") + right[i];
  return make_error(ErrorKind::invalid_argument, std::string(what), message);
}

Result<const DumpTarget*> find_target(std::string_view name) {
  std::vector<std::string> right;
  for (const DumpTarget& target : kTargets) {
    if (target.name == name) return &target;
    right.emplace_back(target.name);
  }
  return not_one_of("target", name, right);
}

/// The class of a name that takes `target`'s text; without a name, the target's first. IR is any class's.
Result<const DeviceClass*> find_class(std::string_view name, std::string_view target) {
  std::vector<std::string> right;
  for (const DeviceClass& device_class : device_classes()) {
    if (target != "ir" && device_class.target != target) continue;
    if (name.empty() || device_class.name == name) return &device_class;
    right.emplace_back(device_class.name);
  }
  return not_one_of("device class for " + std::string(target), name, right);
}

/// The bodies of a kernel on every class of devices.
std::vector<std::string> all_bodies(const KernelContract& contract) {
  std::vector<std::string> all;
  for (const DeviceClass& device_class : device_classes()) {
    if (device_class.name != "sm_90" && device_class.name != "vulkan-minimum") continue;
    for (std::string& name : conformance::body_names(contract, device_class.info())) {
      if (std::ranges::find(all, name) == all.end()) all.push_back(std::move(name));
    }
  }
  return all;
}

Json list_kernels() {
  Json kernels = Json::array();
  for (const KernelContract* contract : all_kernel_contracts()) {
    kernels.push_back({{"kernel", contract->name},
                       {"num_bindings", contract->num_bindings},
                       {"num_cases", conformance::cases_of(*contract).size()},
                       {"bodies", all_bodies(*contract)}});
  }
  return kernels;
}

/// Every kernel and every body.
std::vector<std::string> dumpable_names() {
  std::vector<std::string> right;
  for (const KernelContract* contract : all_kernel_contracts()) {
    right.emplace_back(contract->name);
    for (const std::string& body : all_bodies(*contract)) {
      if (std::ranges::find(right, body) == right.end()) right.push_back(body);
    }
  }
  return right;
}

struct Choice {
  std::string_view kernel;  // a contract's name, or a body's
  std::optional<uint64_t> case_index;
};

/// The programs of the chosen case, else of the first case that has any: all of a contract's, or the one
/// body's. Errors: invalid_argument for a name or a case that there is not.
Result<std::vector<CaseProgram>> choose(const Choice& choice, const ir::TargetInfo& target) {
  bool known = false;
  for (const KernelContract* contract : all_kernel_contracts()) {
    const bool whole = contract->name == choice.kernel;
    known = known || whole;
    const std::vector<conformance::KernelCase> cases = conformance::cases_of(*contract);
    if (whole && choice.case_index && *choice.case_index >= cases.size()) {
      return make_error(ErrorKind::invalid_argument, "case",
                        std::to_string(*choice.case_index) + " is beyond the last case of " +
                            std::string(contract->name) + ", " + std::to_string(cases.size() - 1));
    }
    for (size_t i = 0; i < cases.size(); ++i) {
      if (choice.case_index && i != *choice.case_index) continue;
      Result<std::vector<CaseProgram>> programs =
          conformance::programs_of_case(*contract, cases[i], i, target);
      if (!programs && whole && choice.case_index) return programs.error();
      if (!programs) continue;
      if (!whole) {
        std::erase_if(*programs, [&](const CaseProgram& p) { return p.stage.body->name != choice.kernel; });
      }
      if (!programs->empty()) return programs;
    }
  }
  if (!known) {
    const std::vector<std::string> right = dumpable_names();
    if (std::ranges::find(right, choice.kernel) == right.end()) {
      return not_one_of("kernel", choice.kernel, right);
    }
  }
  return make_error(ErrorKind::unsupported, std::string(choice.kernel),
                    choice.case_index ? "case " + std::to_string(*choice.case_index) +
                                            " does not use it on this class of devices"
                                      : "no case uses it on this class of devices");
}

Result<std::string> dump(const Choice& choice, const DumpTarget& target, const ir::TargetInfo& info,
                         bool before_passes) {
  TT_ASSIGN(const std::vector<CaseProgram> programs, choose(choice, info));
  if (!target.is_text && programs.size() > 1) {
    std::string names;
    for (const CaseProgram& program : programs) names += " " + std::string(program.stage.body->name);
    return make_error(ErrorKind::invalid_argument, std::string(choice.kernel),
                      "its case has several programs, and a module is one; name one of:" + names);
  }
  std::string text;
  for (size_t i = 0; i < programs.size(); ++i) {
    const Stage& stage = programs[i].stage;
    ir::Kernel kernel = stage.body->trace(info, stage.comptime.data());
    if (!before_passes) {
      TT_ASSIGN(kernel, compiler::run_pipeline(std::move(kernel), info));
    }
    TT_ASSIGN(const std::string one, target.emit(kernel, info));
    if (target.is_text) {
      text += (target.name == "ir" ? "; " : "// ") + std::string(stage.body->name) + ", program " +
              std::to_string(i + 1) + " of " + std::to_string(programs.size()) + " of case " +
              std::to_string(programs[i].case_index) + ": " + programs[i].case_name + "\n";
    }
    text += one;
  }
  return text;
}

}  // namespace
}  // namespace tattletale

using namespace tattletale;  // the rest of the file is the C interface

tt_status tt_kernels_json(tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> { return give(list_kernels().dump(), out); });
}

void tt_kernel_dump_options_defaults(tt_kernel_dump_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->struct_size = sizeof(*options);
  options->case_index = UINT64_MAX;
}

tt_status tt_kernel_dump(const tt_kernel_dump_options* options, tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    tt_kernel_dump_options defaults;
    tt_kernel_dump_options_defaults(&defaults);
    TT_ASSIGN(const tt_kernel_dump_options full, grown(options, defaults, "options"));
    if (full.kernel == nullptr) return missing("kernel");
    if (full.target == nullptr) return missing("target");
    TT_ASSIGN(const DumpTarget* target, find_target(full.target));
    TT_ASSIGN(const DeviceClass* device_class,
              find_class(full.device_class == nullptr ? "" : full.device_class, full.target));
    Choice choice{.kernel = full.kernel};
    if (full.case_index != UINT64_MAX) choice.case_index = full.case_index;
    TT_ASSIGN(const std::string text, dump(choice, *target, device_class->info(), full.before_passes != 0));
    return give(text, out);
  });
}

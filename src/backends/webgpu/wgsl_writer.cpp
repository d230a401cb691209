#include "backends/webgpu/wgsl_writer.h"

#include "backends/webgpu/wgsl_body.h"

namespace tattletale::webgpu {
namespace {

std::string array_type(const MemoryShape& shape) {
  if (shape.atomic) return shape.atomic_signed ? "atomic<i32>" : "atomic<u32>";
  return wgsl_type(ir::Type{ir::Scalar::u32, shape.lanes});
}

std::string directives(const WgslNeeds& needs, const WgslDialect& dialect) {
  std::string out;
  if (needs.f16) out += "enable f16;\n";
  if (needs.subgroups && dialect.enable_subgroups) {
    out += "enable subgroups;\n";
    if (dialect.subgroup_size_control) out += "enable subgroup_size_control;\n";
    // Without the language feature subgroup_uniformity WGSL takes only whole workgroups as uniform. The
    // kernel's own verifier has shown that every lane of the subgroup gets there.
    if (needs.divergent_subgroups) out += "diagnostic(off, subgroup_uniformity);\n";
  }
  return out;
}

std::string parameters(const ir::Kernel& kernel, const WgslDialect& dialect) {
  if (kernel.params.empty()) return "";
  std::string out = "struct Params {\n";
  for (size_t i = 0; i < kernel.params.size(); ++i) {
    out += "  " + wgsl_name('p', i, kernel.params[i].name) + ": " +
           wgsl_type(ir::Type{kernel.params[i].scalar}) + ",\n";
  }
  out += "}\n";
  return out + (dialect.immediates ? "var<immediate> params: Params;\n"
                                   : "@group(1) @binding(0) var<uniform> params: Params;\n");
}

std::string memory(const ir::Kernel& kernel, const MemoryPlan& plan) {
  std::string out;
  for (size_t i = 0; i < kernel.bindings.size(); ++i) {
    out += "@group(0) @binding(" + std::to_string(i) + ") var<storage, " +
           (kernel.bindings[i].written ? "read_write" : "read") + "> " +
           wgsl_name('b', i, kernel.bindings[i].name) + ": array<" + array_type(plan.bindings[i]) + ">;\n";
  }
  for (size_t i = 0; i < kernel.shared.size(); ++i) {
    const MemoryShape& shape = plan.shared[i];
    const uint32_t elements = (kernel.shared[i].num_words + shape.lanes - 1) / shape.lanes;
    out += "var<workgroup> " + wgsl_name('s', i, kernel.shared[i].name) + ": array<" + array_type(shape) +
           ", " + std::to_string(elements) + ">;\n";
  }
  return out;
}

std::string inputs(const WgslNeeds& needs) {
  std::string out;
  const auto add = [&](bool needed, const char* text) {
    if (needed) out += (out.empty() ? "" : ", ") + std::string(text);
  };
  add(needs.local_id, "@builtin(local_invocation_index) local_id: u32");
  add(needs.workgroup_id, "@builtin(workgroup_id) workgroup_id: vec3<u32>");
  add(needs.num_workgroups, "@builtin(num_workgroups) num_workgroups: vec3<u32>");
  return out;
}

}  // namespace

Result<std::string> emit_wgsl(const ir::Kernel& kernel, const ir::TargetInfo& target,
                              const WgslDialect& dialect) {
  const MemoryPlan plan = plan_memory(kernel);
  WgslBody body(kernel, target, dialect, plan);
  TT_TRY(body.write());
  std::string text = "// " + wgsl_identifier(kernel.name) + "\n" + directives(body.needs(), dialect);
  text += memory(kernel, plan) + parameters(kernel, dialect);
  text += wgsl_functions(body.needs().functions);
  text += "\n@compute @workgroup_size(" + std::to_string(kernel.workgroup_threads) + ")";
  if (body.needs().subgroups && dialect.subgroup_size_control) {
    text += " @subgroup_size(" + std::to_string(kernel.subgroup_size) + ")";
  }
  text += std::string("\nfn ") + kWgslEntryPoint + "(" + inputs(body.needs()) + ") {\n" + body.text() + "}\n";
  return text;
}

std::string wgsl_with_writable(std::string text, uint32_t binding) {
  const std::string head = "@binding(" + std::to_string(binding) + ") var<storage, read> ";
  const size_t at = text.find("@group(0) " + head);
  if (at != std::string::npos) text.replace(text.find("read>", at), 5, "read_write>");
  return text;
}

std::string wgsl_source_line(const std::string& text, uint32_t line) {
  std::string last;
  uint32_t number = 1;
  for (size_t begin = 0; begin < text.size() && number <= line; ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    const size_t mark = row.find_first_not_of(' ');
    if (mark != std::string_view::npos && row.substr(mark).starts_with("// ") && row.find(':') != row.npos) {
      last = row.substr(mark + 3);
    }
    begin = end + 1;
  }
  return last;
}

}  // namespace tattletale::webgpu

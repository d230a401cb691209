// See opencl_dialect.h.
#include "backends/opencl/opencl_dialect.h"

#include "backends/opencl/opencl_device.h"
#include "backends/opencl/opencl_snippets.h"
#include "compiler/ptx_snippets.h"

namespace tattletale {
namespace opencl {
namespace {

using compiler::CSnippet;

class OpenclDialect final : public compiler::CDialect {
 public:
  /// `ptx`: for NVIDIA's compiler.
  explicit OpenclDialect(bool ptx) : ptx_(ptx) {}

  std::string_view name() const override { return ptx_ ? "OpenCL C with PTX" : "OpenCL C"; }
  std::string_view prologue() const override { return opencl_prologue(); }

  const CSnippet* find(std::string_view snippet_name) const override {
    if (ptx_) {
      if (const CSnippet* memory = find_snippet(nvidia_opencl_snippets(), snippet_name)) return memory;
      if (const CSnippet* registers = find_snippet(compiler::ptx_snippets(), snippet_name)) return registers;
    }
    return find_snippet(opencl_snippets(), snippet_name);
  }

  /// The body names a binding's slice; a macro makes it from buffer and offset, and costs one addition.
  std::string signature(const ir::Kernel& kernel) const override {
    std::string slices, arguments;
    for (uint32_t i = 0; i < kernel.bindings.size(); ++i) {
      const std::string name = compiler::c_binding_name(kernel, i);
      slices += "#define " + name + " (" + name + "_buffer + " + name + "_offset)\n";
      arguments += std::string(arguments.empty() ? "" : ", ") + "__global " +
                   (kernel.bindings[i].written ? "" : "const ") + "u8* restrict " + name + "_buffer, u64 " +
                   name + "_offset";
    }
    if (!kernel.params.empty()) {
      arguments += std::string(arguments.empty() ? "" : ", ") + "const tt_params params";
    }
    return slices + "__kernel __attribute__((reqd_work_group_size(" +
           std::to_string(kernel.workgroup_threads) + ", 1, 1))) void " + compiler::c_entry_point(kernel) +
           "(" + (arguments.empty() ? "void" : arguments) + ")";
  }

  std::string arena(uint32_t num_words) const override {
    return "__local u32 tt_arena[" + std::to_string(num_words) + "] __attribute__((aligned(16)));";
  }

 private:
  bool ptx_;
};

}  // namespace

Result<compiler::CSource> print_opencl(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  return compiler::print_c(kernel, OpenclDialect(target.subgroup_size > 1));
}

}  // namespace opencl

Result<std::string> emit_opencl(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  TT_ASSIGN(compiler::CSource source, opencl::print_opencl(kernel, target));
  return std::move(source.text);
}

}  // namespace tattletale

#include "backends/cuda/cuda_dialect.h"

#include "backends/cuda/cuda_snippets.h"
#include "compiler/ptx_snippets.h"
#include "device/device.h"

namespace tattletale::cuda {

using compiler::CSnippet;

namespace {

class CudaDialect : public compiler::CDialect {
 public:
  std::string_view name() const override { return "CUDA C++"; }
  std::string_view prologue() const override { return cuda_prologue(); }
  const CSnippet* find(std::string_view snippet_name) const override {
    if (const CSnippet* own = find_snippet(cuda_snippets(), snippet_name)) return own;
    return find_snippet(compiler::ptx_snippets(), snippet_name);
  }

  std::string_view first_call() const override { return "tt_begin"; }

  std::string signature(const ir::Kernel& kernel) const override {
    std::string text = "extern \"C\" __global__ void __launch_bounds__(" +
                       std::to_string(kernel.workgroup_threads) + ") " + compiler::c_entry_point(kernel) +
                       "(";
    for (uint32_t i = 0; i < kernel.bindings.size(); ++i) {
      text += (i ? ", " : "") + std::string(kernel.bindings[i].written ? "" : "const ") +
              "u8* __restrict__ " + compiler::c_binding_name(kernel, i);
    }
    if (!kernel.params.empty()) {
      text += (kernel.bindings.empty() ? "" : ", ") + std::string("const __grid_constant__ tt_params params");
    }
    return text + ")";
  }

  std::string arena(uint32_t num_words) const override {
    if (num_words * 4 > kMaxStaticSharedBytes) return "extern __shared__ __align__(16) u32 tt_arena[];";
    return "__shared__ __align__(16) u32 tt_arena[" + std::to_string(num_words) + "];";
  }
};

Result<void> check_fits(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  const auto refuse = [&](const std::string& what) {
    return Result<void>(make_error(ErrorKind::unsupported, kernel.name, what));
  };
  if (kernel.subgroup_size != 1 && kernel.subgroup_size != target.subgroup_size) {
    return refuse("traced for subgroups of " + std::to_string(kernel.subgroup_size) +
                  " lanes; this target has " + std::to_string(target.subgroup_size));
  }
  if (kernel.workgroup_threads == 0 || kernel.workgroup_threads > target.max_workgroup_threads) {
    return refuse("a workgroup of " + std::to_string(kernel.workgroup_threads) +
                  " threads; this target allows " + std::to_string(target.max_workgroup_threads));
  }
  if (kernel.shared_bytes() > target.max_shared_bytes) {
    return refuse(std::to_string(kernel.shared_bytes()) + " bytes of workgroup memory; this target has " +
                  std::to_string(target.max_shared_bytes));
  }
  if (kernel.bindings.size() > target.max_bindings) {
    return refuse(std::to_string(kernel.bindings.size()) + " bindings; this target allows " +
                  std::to_string(target.max_bindings));
  }
  if (kernel.params.size() * 4 > kMaxParamsBytes) {
    return refuse(std::to_string(kernel.params.size()) + " parameters; at most " +
                  std::to_string(kMaxParamsBytes / 4) + " fit a dispatch");
  }
  return {};
}

}  // namespace

Result<compiler::CSource> print_cuda(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  TT_TRY(check_fits(kernel, target));
  return compiler::print_c(kernel, CudaDialect());
}

ir::TargetInfo cuda_target_info(uint32_t compute_capability) {
  ir::TargetInfo target;
  target.name = "cuda";
  target.subgroup_size = 32;
  target.max_workgroup_threads = 1024;
  // Shared memory of one block, opted in: CUDA C++ Programming Guide, "Technical Specifications per Compute
  // Capability".
  switch (compute_capability) {
    case 80:
    case 87: target.max_shared_bytes = 163 * 1024; break;
    case 90:
    case 100:
    case 103:
    case 110: target.max_shared_bytes = 227 * 1024; break;
    default: target.max_shared_bytes = 99 * 1024; break;  // 86, 89, 120, 121
  }
  target.max_bindings = kMaxBindings;
  target.max_binding_bytes = uint64_t{1} << 48;
  target.f16x2 = true;
  target.dot4_i8 = true;
  target.async_copy = true;
  target.f16_fragments = ir::FragmentTier::transparent;
  target.bf16_fragments = ir::FragmentTier::transparent;
  return target;
}

}  // namespace tattletale::cuda

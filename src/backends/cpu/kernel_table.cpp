// The list of kernels this backend implements.
#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {

const CpuKernel* find_cpu_kernel(std::string_view name) {
  static const CpuKernel* const kTable[] = {&kEmbedCpu,      &kRmsNormCpu,        &kLinearCpu,
                                            &kRopeAppendCpu, &kPagedAttentionCpu, &kGatherRowsCpu,
                                            &kCopyKvRowsCpu};
  for (const CpuKernel* kernel : kTable) {
    if (kernel->contract->name == name) return kernel;
  }
  return nullptr;
}

}  // namespace tattletale::cpu

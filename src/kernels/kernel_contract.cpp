#include "kernels/kernel_contract.h"
#include "kernels/argmax.h"

#include "kernels/copy_kv_rows.h"
#include "kernels/embed.h"
#include "kernels/gather_rows.h"
#include "kernels/linear.h"
#include "kernels/paged_attention.h"
#include "kernels/rms_norm.h"
#include "kernels/rope_append.h"

namespace tattletale {

std::span<const KernelContract* const> all_kernel_contracts() {
  static const KernelContract* const kAll[] = {
      &kArgmaxContract,     &kEmbedContract,          &kRmsNormContract,    &kLinearContract,
      &kRopeAppendContract, &kPagedAttentionContract, &kGatherRowsContract, &kCopyKvRowsContract};
  return kAll;
}

}  // namespace tattletale

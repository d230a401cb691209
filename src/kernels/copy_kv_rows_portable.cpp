// copy_kv_rows on accelerators: a workgroup for each head of each copy, word by word.
#include <algorithm>

#include "kernels/body_parts.h"
#include "kernels/copy_kv_rows.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kThreads = 256;

struct Comptime {
  uint32_t element_bytes = 2;
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  const uint32_t element_bytes = static_cast<const Comptime*>(comptime)->element_bytes;
  const uint32_t threads = preferred_threads(target, kThreads);
  KernelScope k("copy_kv_rows", threads, target);
  const Buffer copies = k.input("copies");
  const Buffer pages[2] = {k.output("k_pages"), k.output("v_pages")};
  const Val<uint32_t> num_copies = TT_PARAM(k, CopyKvRowsParams, num_copies);
  const Val<uint32_t> num_kv_heads = TT_PARAM(k, CopyKvRowsParams, num_kv_heads);
  const Val<uint32_t> page_tokens = TT_PARAM(k, CopyKvRowsParams, page_tokens);
  const Val<uint32_t> row_bytes = TT_PARAM(k, CopyKvRowsParams, head_dim) * element_bytes;
  const Val<uint32_t> head = workgroup_id(0);
  $for (i, workgroup_id(1), num_copies, num_workgroups(1)) {
    const Vec<uint32_t, 4> copy = copies.load_vec<uint32_t, 4>(i * 4u);
    const Val<uint32_t> head_bytes = page_tokens * row_bytes;
    for (const Buffer& buffer : pages) {
      const Buffer from = buffer.at(copy[0] * num_kv_heads + head, head_bytes);
      const Buffer to = buffer.at(copy[1] * num_kv_heads + head, head_bytes);
      $for (word, local_id(), copy[2] * (row_bytes >> 2u), threads) {
        to.store(word, from.load<Storage::u32>(word));
      }
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"copy_kv_rows", trace};

}  // namespace

Result<LaunchPlan> plan_copy_kv_rows(const LaunchRequest& request) {
  const auto& p = *static_cast<const CopyKvRowsParams*>(request.params);
  const DType dtype = static_cast<const CopyKvRowsComptime*>(request.comptime)->kv_dtype;
  const uint32_t element_bytes = dtype_info(dtype).block_bytes;
  if (p.head_dim * element_bytes % 4 != 0) {
    return make_error(ErrorKind::unsupported, "copy_kv_rows",
                      "rows of " + std::to_string(p.head_dim) + " " + std::string(dtype_name(dtype)) +
                          " are not whole words of 4 bytes, which accelerators copy");
  }
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.comptime.set(Comptime{element_bytes});
  stage.params.set(p);
  stage.workgroups = {p.num_kv_heads, std::min(p.num_copies, kMaxWorkgroups), 1};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1), StageBinding::launch(2)};
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

// gather_rows on accelerators: a thread a number.
#include <algorithm>

#include "kernels/body_parts.h"
#include "kernels/gather_rows.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kThreads = 256;

ir::Kernel trace(const ir::TargetInfo& target, const void*) {
  const uint32_t threads = preferred_threads(target, kThreads);
  KernelScope k("gather_rows", threads, target);
  const Buffer rows = k.input("rows"), x = k.input("x"), out = k.output("out");
  const Val<uint32_t> num_rows = TT_PARAM(k, GatherRowsParams, num_rows);
  const Val<uint32_t> dim = TT_PARAM(k, GatherRowsParams, dim);
  const Val<uint32_t> d = workgroup_id(0) * threads + local_id();
  $for (i, workgroup_id(1), num_rows, num_workgroups(1)) {
    $if (d < dim) {
      const Buffer from = x.at(rows.load<Storage::u32>(i), dim * 4u), to = out.at(i, dim * 4u);
      to.store(d, from.load<Storage::f32>(d));
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"gather_rows", trace};

}  // namespace

Result<LaunchPlan> plan_gather_rows(const LaunchRequest& request) {
  const auto& p = *static_cast<const GatherRowsParams*>(request.params);
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.params.set(p);
  stage.workgroups = {div_up(p.dim, preferred_threads(request.target, kThreads)),
                      std::min(p.num_rows, kMaxWorkgroups), 1};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1), StageBinding::launch(2)};
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

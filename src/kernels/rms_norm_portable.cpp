// rms_norm on accelerators: a workgroup a row.
#include <algorithm>

#include "kernels/body_parts.h"
#include "kernels/rms_norm.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

struct Comptime {
  uint8_t add = 0;
  uint8_t in_place = 0;  // x and y are one binding
  uint8_t lanes = 4;     // numbers a thread takes at once: 4 or 1
  uint8_t unused = 0;
};
constexpr uint32_t kThreads = 256;

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const Comptime*>(comptime);
  const uint32_t threads = preferred_threads(target, kThreads);
  KernelScope k(c.add != 0 ? "rms_norm_add" : "rms_norm", threads, target);
  const Buffer weight = k.input("weight"), y = k.output("y");
  const Buffer x = c.in_place != 0 ? y : k.input("x");
  const Val<uint32_t> num_rows = TT_PARAM(k, RmsNormParams, num_rows);
  const Val<uint32_t> dim = TT_PARAM(k, RmsNormParams, dim);
  const Val<uint32_t> x_stride = TT_PARAM(k, RmsNormParams, x_stride);
  const Val<float> eps = TT_PARAM(k, RmsNormParams, eps);
  const Val<float> weight_offset = TT_PARAM(k, RmsNormParams, weight_offset);
  WorkgroupSum workgroup_sum(threads, target.subgroup_size);
  const uint32_t lanes = c.lanes;
  $for (t, workgroup_id(0), num_rows, num_workgroups(0)) {
    const Buffer from = x.at(t, x_stride * 4u), to = y.at(t, dim * 4u);
    Var<float> sum(0.0f);
    $for (d, local_id() * lanes, dim, threads * lanes) {
      if (lanes == 1) {
        const Val<float> v = from.load<Storage::f32>(d);
        sum = fma(v, v, sum);
      } else {
        const Vec<float, 4> v = from.load_vec<float, 4>(d);
        for (uint32_t i = 0; i < 4; ++i) sum = fma(v[i], v[i], sum);
      }
    }
    const Val<float> inverse_rms = rsqrt(workgroup_sum(sum) / to_f32(dim) + eps);
    const auto normed = [&](Val<float> v, Val<float> w) { return v * inverse_rms * (w + weight_offset); };
    $for (d, local_id() * lanes, dim, threads * lanes) {
      if (lanes == 1) {
        Val<float> v = normed(from.load<Storage::f32>(d), weight.load<Storage::f32>(d));
        if (c.add != 0) v = to.load<Storage::f32>(d) + v;
        to.store(d, v);
      } else {
        const Vec<float, 4> v = from.load_vec<float, 4>(d), w = weight.load_vec<float, 4>(d);
        std::array<Val<float>, 4> out = {normed(v[0], w[0]), normed(v[1], w[1]), normed(v[2], w[2]),
                                         normed(v[3], w[3])};
        if (c.add != 0) {
          const Vec<float, 4> old = to.load_vec<float, 4>(d);
          for (uint32_t i = 0; i < 4; ++i) out[i] = old[i] + out[i];
        }
        to.store_vec(d, Vec<float, 4>(out));
      }
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"rms_norm", trace};

}  // namespace

Result<LaunchPlan> plan_rms_norm(const LaunchRequest& request) {
  const auto& p = *static_cast<const RmsNormParams*>(request.params);
  Comptime c;
  c.add = static_cast<const RmsNormComptime*>(request.comptime)->add != 0;
  c.in_place = request.bindings[0].buffer == request.bindings[2].buffer &&
               request.bindings[0].offset_bytes == request.bindings[2].offset_bytes && p.x_stride == p.dim;
  const bool vectors =
      p.dim % 4 == 0 && p.x_stride % 4 == 0 && request.aligned(0) && request.aligned(1) && request.aligned(2);
  c.lanes = vectors ? 4 : 1;
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.comptime.set(c);
  stage.params.set(p);
  stage.workgroups = {std::min(p.num_rows, kMaxWorkgroups), 1, 1};
  stage.bindings = {StageBinding::launch(1), StageBinding::launch(2)};
  if (c.in_place == 0) stage.bindings.push_back(StageBinding::launch(0));
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

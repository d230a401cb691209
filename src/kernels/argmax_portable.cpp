// argmax on accelerators: a workgroup a row. Numbers are compared as integers of the same order, so that
// targets which assume that there is no NaN or infinity agree with those that know them.
#include <algorithm>

#include "kernels/argmax.h"
#include "kernels/body_parts.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kThreads = 256;  // drivers may refuse more of a kernel with many registers

/// Bits of a float as an unsigned integer of the same order; NaN and minus infinity are the lowest, 0.
Val<uint32_t> ordered(Val<uint32_t> bits) {
  const Val<uint32_t> magnitude = bits & 0x7fffffffu;
  const Val<bool> negative = (bits >> 31u) != 0u;
  // +0 and -0 are equal.
  const Val<uint32_t> key = select(negative, 0x80000000u - magnitude, magnitude + 0x80000000u);
  const Val<bool> lowest = (magnitude > 0x7f800000u) | (bits == 0xff800000u);
  return select(lowest, Val<uint32_t>(0u), key);
}

ir::Kernel trace(const ir::TargetInfo& target, const void*) {
  const uint32_t threads = preferred_threads(target, kThreads);
  const uint32_t num_subgroups = threads / target.subgroup_size;
  constexpr uint32_t kNowhere = 0xffffffffu;
  KernelScope k("argmax", threads, target);
  const Buffer x = k.input("x"), out = k.output("out");
  const Val<uint32_t> num_rows = TT_PARAM(k, ArgmaxParams, num_rows);
  const Val<uint32_t> dim = TT_PARAM(k, ArgmaxParams, dim);
  const Shared<uint32_t> keys("keys", num_subgroups), places("places", num_subgroups);
  // The better of two: the larger key, the lower place among equals.
  const auto better = [](Val<uint32_t> key, Val<uint32_t> place, Val<uint32_t> other_key,
                         Val<uint32_t> other_place) {
    return (other_key > key) | ((other_key == key) & (other_place < place));
  };
  $for (row, workgroup_id(0), num_rows, num_workgroups(0)) {
    const Buffer from = x.at(row, dim * 4u);
    Var<uint32_t> best(0u), place(kNowhere);
    $for (i, local_id(), dim, threads, 8u) {
      const Val<uint32_t> key = ordered(from.load<Storage::u32>(i));
      const Val<bool> is_better = key > best;  // places only grow: equals stay behind
      best = select(is_better, key, best);
      place = select(is_better, i, place);
    }
    const Val<uint32_t> subgroup_best = subgroup_max(best.get());
    const Val<uint32_t> subgroup_place = subgroup_min(select(best == subgroup_best, place.get(), kNowhere));
    barrier();  // the last row's have been read
    $if (lane_id() == 0u) {
      keys.store(subgroup_id(), subgroup_best);
      places.store(subgroup_id(), subgroup_place);
    }
    barrier();
    $if (local_id() == 0u) {
      Var<uint32_t> key(0u), winner(kNowhere);
      $for (s, 0u, num_subgroups) {
        const Val<uint32_t> other_key = keys.load(s), other_place = places.load(s);
        const Val<bool> is_better = better(key, winner, other_key, other_place);
        key = select(is_better, other_key, key);
        winner = select(is_better, other_place, winner);
      }
      out.store(row, select(winner == kNowhere, Val<uint32_t>(0u), winner));
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"argmax", trace};

}  // namespace

Result<LaunchPlan> plan_argmax(const LaunchRequest& request) {
  const auto& p = *static_cast<const ArgmaxParams*>(request.params);
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.params.set(p);
  stage.workgroups = {std::min(p.num_rows, kMaxWorkgroups), 1, 1};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1)};
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

// embed on accelerators: a thread dequantizes eight numbers of a row, or one where rows are no multiples of
// eight.
#include <algorithm>

#include "kernels/body_parts.h"
#include "kernels/embed.h"
#include "kernels/matrix_reader.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

struct Comptime {
  DType dtype = DType::f32;
  uint8_t step = 8;  // numbers a thread: 8 or 1
  uint8_t has_ready = 0;
  uint8_t unused = 0;
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const Comptime*>(comptime);
  KernelScope k("embed", preferred_threads(target, 128), target);
  const Buffer ids = k.input("token_ids"), table = k.input("table"), out = k.output("out");
  const Val<uint32_t> num_tokens = TT_PARAM(k, EmbedParams, num_tokens);
  const Val<uint32_t> dim = TT_PARAM(k, EmbedParams, dim);
  const Val<uint32_t> num_rows = TT_PARAM(k, EmbedParams, num_rows);
  const Val<float> scale = TT_PARAM(k, EmbedParams, scale);
  const MatrixReader reader(c.dtype, table, num_rows, dim);
  const Val<uint32_t> place = workgroup_id(0) * preferred_threads(target, 128) + local_id();
  const auto copy = [&](const Buffer& to, const auto& number) {
    if (c.step == 1) {
      to.store(place, number(0));
      return;
    }
    for (uint32_t i = 0; i < 8; i += 4) {
      to.store_vec(place * 8u + i, Vec<float, 4>({number(i), number(i + 1), number(i + 2), number(i + 3)}));
    }
  };
  $for (t, workgroup_id(1), num_tokens, num_workgroups(1)) {
    $if (place * uint32_t{c.step} < dim) {
      const Val<uint32_t> id = ids.load<Storage::u32>(t);
      const Buffer to = out.at(t, dim * 4u);
      const auto lookup = [&] {
        if (c.step == 1) {
          const Val<float> x = reader.load1(id, place) * scale;
          copy(to, [&](uint32_t) { return x; });
        } else {
          const std::array<Val<float>, 8> x = reader.load8(id, place);
          copy(to, [&](uint32_t i) { return x[i] * scale; });
        }
      };
      if (c.has_ready == 0) {
        lookup();
      } else {
        const Buffer ready = k.input("ready");
        $if ((id & kReadyEmbeddingBit) != 0u) {
          const Buffer from = ready.at(id & ~kReadyEmbeddingBit, dim * 4u);
          copy(to, [&](uint32_t i) { return from.load<Storage::f32>(place * uint32_t{c.step} + i); });
        }
        $else {
          lookup();
        }
      }
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"embed", trace};

}  // namespace

Result<LaunchPlan> plan_embed(const LaunchRequest& request) {
  const DType dtype = static_cast<const EmbedComptime*>(request.comptime)->table_dtype;
  const auto& p = *static_cast<const EmbedParams*>(request.params);
  if (!is_readable_matrix(dtype)) {
    return make_error(
        ErrorKind::unsupported, "embed",
        "a table of " + std::string(dtype_name(dtype)) + " cannot be read on " + request.target.name);
  }
  Comptime c{.dtype = dtype, .has_ready = static_cast<uint8_t>(request.present(3))};
  if (p.dim % 8 != 0) c.step = 1;
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.comptime.set(c);
  stage.params.set(p);
  stage.workgroups = {div_up(div_up(p.dim, c.step), preferred_threads(request.target, 128)),
                      std::min(p.num_tokens, kMaxWorkgroups), 1};
  stage.bindings = {StageBinding::launch(0), StageBinding::launch(1), StageBinding::launch(2)};
  if (c.has_ready != 0) stage.bindings.push_back(StageBinding::launch(3));
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

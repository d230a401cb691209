// rope_append on accelerators: a team of threads for each head of each token. The head lies in workgroup
// memory while it is normed and rotated; every thread then finishes pairs of neighbouring numbers, one stored
// word of a 16-bit cache.
#include <algorithm>
#include <bit>

#include "kernels/body_parts.h"
#include "kernels/rope_append.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

struct Comptime {
  RopeLayout layout = RopeLayout::half;
  DType kv_dtype = DType::f16;
  uint16_t head_dim = 0;
  uint16_t rotary_dim = 0;
  uint8_t norm = 0;        // q and k heads are normed
  uint8_t page_shift = 0;  // log2 of page_tokens
};

/// How a workgroup is shared out: `heads` heads of one token, `threads` threads each. Where subgroups are
/// wide enough a head is one subgroup's, for a workgroup a head would be too many workgroups to start.
struct Teams {
  uint32_t heads;
  uint32_t threads;
};
Teams teams_of(const ir::TargetInfo& target) {
  constexpr uint32_t kLeastSubgroup = 8, kThreads = 32, kHeads = 4;
  if (target.subgroup_size < kLeastSubgroup) return {1, preferred_threads(target, kThreads)};
  return {target.is_cpu ? 1 : kHeads, target.subgroup_size};
}

struct Rotation {
  Val<float> cosine, sine;
};

/// position * inv_freq as a fraction of a full turn in 32 bits, by integers: exact, so every target rotates
/// by the same angle at any position, whether or not its fma is fused. inv_freq is m * 2^-s with a 24-bit m;
/// m / (2 pi) is taken to 64 fractional bits, shifted by s and multiplied by the position, and whole turns
/// fall away.
Val<uint32_t> turn_of(Val<uint32_t> position, Val<float> inv_freq) {
  constexpr uint32_t kInverse2PiHigh = 0x28be60dbu, kInverse2PiLow = 0x9391054au;  // 2^64 / (2 pi)
  const Val<uint32_t> bits = bits_of(inv_freq);
  const Val<uint32_t> m = (bits & 0x7fffffu) | 0x800000u;
  const Val<uint32_t> s = 150u - (bits >> 23u);
  // m / (2 pi) in three words.
  const Val<uint32_t> w0 = m * kInverse2PiLow, carry_in = mul_hi(m, kInverse2PiLow),
                      middle = m * kInverse2PiHigh;
  const Val<uint32_t> w1 = carry_in + middle;
  const Val<uint32_t> w2 = mul_hi(m, kInverse2PiHigh) + select(w1 < middle, Val<uint32_t>(1u), 0u);
  const Val<uint32_t> words = s >> 5u, count = s & 31u, zero = 0u;
  const Val<bool> none = words == 0u, one = words == 1u, two = words == 2u;
  const Val<uint32_t> a = select(none, w0, select(one, w1, select(two, w2, zero)));
  const Val<uint32_t> b = select(none, w1, select(one, w2, zero));
  const Val<uint32_t> c = select(none, w2, zero);
  const Val<uint32_t> low = funnel_shr(b, a, count), high = funnel_shr(c, b, count);
  return mul_hi(position, low) + position * high;
}

/// cos and sin of position * inv_freq, times factor. The polynomials (Cephes, sinf and cosf) are our own
/// because targets promise as little as 2^-11 for theirs.
Rotation rotation(Val<uint32_t> position, Val<float> inv_freq, Val<float> factor) {
  constexpr float kRadiansPerUnit = 1.4629180792671596e-9f;  // 2 pi / 2^32
  const Val<uint32_t> turn = turn_of(position, inv_freq);
  const Val<uint32_t> quadrant = (turn + (1u << 29)) >> 30u;
  const Val<float> x = to_f32(to_i32(turn - (quadrant << 30u))) * kRadiansPerUnit;
  const Val<float> z = x * x;
  const Val<float> sin_tail = fma(z, fma(z, -1.9515295891e-4f, 8.3321608736e-3f), -1.6666654611e-1f);
  const Val<float> sine = fma(x * z, sin_tail, x);
  const Val<float> cos_tail =
      fma(z, fma(z, 2.443315711809948e-5f, -1.388731625493765e-3f), 4.166664568298827e-2f);
  const Val<float> cosine = fma(z * z, cos_tail, fma(z, -0.5f, 1.0f));
  const Val<bool> swapped = (quadrant & 1u) != 0u;
  const Val<float> s = select(swapped, cosine, sine), c = select(swapped, sine, cosine);
  return {select(((quadrant + 1u) & 2u) != 0u, neg(c), c) * factor,
          select((quadrant & 2u) != 0u, neg(s), s) * factor};
}

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const Comptime*>(comptime);
  const Teams teams = teams_of(target);
  const uint32_t threads = teams.threads;
  const uint32_t dim = c.head_dim, half = c.rotary_dim / 2u;
  KernelScope k("rope_append", teams.heads * threads, target);
  const Buffer qkv = k.output("qkv"), inv_freq = k.input("inv_freq"), positions = k.input("positions");
  const Buffer slots = k.input("kv_slots"), k_pages = k.output("k_pages"), v_pages = k.output("v_pages");
  const Val<uint32_t> num_tokens = TT_PARAM(k, RopeAppendParams, num_tokens);
  const Val<uint32_t> num_q_heads = TT_PARAM(k, RopeAppendParams, num_q_heads);
  const Val<uint32_t> num_kv_heads = TT_PARAM(k, RopeAppendParams, num_kv_heads);
  const Val<uint32_t> stride = TT_PARAM(k, RopeAppendParams, qkv_stride);
  const Val<float> eps = TT_PARAM(k, RopeAppendParams, norm_eps);
  const Val<float> weight_offset = TT_PARAM(k, RopeAppendParams, norm_weight_offset);
  const Val<float> factor = TT_PARAM(k, RopeAppendParams, rope_factor);
  const Shared<float> heads("heads", teams.heads * dim);
  WorkgroupSum workgroup_sum(threads,
                             target.subgroup_size);  // of one team: it is a subgroup or the whole workgroup
  const Val<uint32_t> team = teams.heads == 1 ? Val<uint32_t>(0u) : subgroup_id();
  const Val<uint32_t> lane = teams.heads == 1 ? local_id() : lane_id();
  const Val<uint32_t> last_head = num_q_heads + 2u * num_kv_heads - 1u;
  const Val<uint32_t> wanted_head = workgroup_id(0) * teams.heads + team;
  const Val<uint32_t> h =
      min(wanted_head, last_head);        // a team past the end repeats the last head and writes nothing
  const Val<uint32_t> head = team * dim;  // where it lies in `heads`
  const Val<bool> is_q = h < num_q_heads;
  const Val<bool> is_v = h >= num_q_heads + num_kv_heads;

  // Norm weights are bound only where the model has them.
  const auto norm_head = [&](const Buffer& weight, const Buffer& from, Val<uint32_t> first) {
    Var<float> sum(0.0f);
    $for (d, lane, dim, threads) {
      const Val<float> v = from.load<Storage::f32>(first + d);
      sum = fma(v, v, sum);
    }
    const Val<float> inverse_rms = rsqrt(workgroup_sum(sum) / static_cast<float>(dim) + eps);
    $for (d, lane, dim, threads) {
      heads.store(head + d, from.load<Storage::f32>(first + d) * inverse_rms *
                                (weight.load<Storage::f32>(d) + weight_offset));
    }
  };
  const auto copy_head = [&](const Buffer& from, Val<uint32_t> first) {
    $for (d, lane, dim, threads) {
      heads.store(head + d, from.load<Storage::f32>(first + d));
    }
  };

  $for (t, workgroup_id(1), num_tokens, num_workgroups(1)) {
    const Buffer row = qkv.at(t, stride * 4u);
    const Val<uint32_t> first = h * dim;
    if (c.norm != 0) {
      const Buffer q_norm = k.input("q_norm"), k_norm = k.input("k_norm");
      $if (is_v) {
        copy_head(row, first);
      }
      $else {
        $if (is_q) {
          norm_head(q_norm, row, first);
        }
        $else {
          norm_head(k_norm, row, first);
        }
      }
    } else {
      copy_head(row, first);
    }
    barrier();

    const Val<uint32_t> position = positions.load<Storage::u32>(t);
    const Val<uint32_t> slot_low = slots.load<Storage::u32>(2u * t);
    const Val<uint32_t> slot_high = slots.load<Storage::u32>(2u * t + 1u);
    const Val<uint32_t> page = funnel_shr(slot_high, slot_low, Val<uint32_t>(uint32_t{c.page_shift}));
    const Val<uint32_t> offset = slot_low & ((1u << c.page_shift) - 1u);
    const uint32_t head_bytes = dim * dtype_info(c.kv_dtype).block_bytes;
    // Numbers 2 * pair and 2 * pair + 1 of the head, finished.
    const auto write = [&](Val<uint32_t> pair, Val<float> a, Val<float> b) {
      $if (is_q & (wanted_head <= last_head)) {
        row.store(first + pair * 2u, a);
        row.store(first + pair * 2u + 1u, b);
      }
      $if (!is_q & (wanted_head <= last_head)) {
        const Val<uint32_t> kv_head = select(is_v, h - num_q_heads - num_kv_heads, h - num_q_heads);
        const Val<uint32_t> page_head = page * num_kv_heads + kv_head;
        const Val<uint32_t> place = offset * (dim / 2u) + pair;
        const uint32_t page_bytes = head_bytes << c.page_shift;
        $if (is_v) {
          store_pair(v_pages.at(page_head, page_bytes), c.kv_dtype, place, a, b);
        }
        $else {
          store_pair(k_pages.at(page_head, page_bytes), c.kv_dtype, place, a, b);
        }
      }
    };
    const auto rotation_of = [&](Val<uint32_t> i) {
      return rotation(position, inv_freq.load<Storage::f32>(i), factor);
    };
    const Val<uint32_t> rotated_pairs = select(is_v, Val<uint32_t>(0u), half);
    if (c.layout == RopeLayout::half) {
      // Two angles make two pairs: the first halves and the second halves.
      $for (quad, lane, rotated_pairs >> 1u, threads) {
        const Val<uint32_t> i = quad * 2u;
        const Rotation r0 = rotation_of(i), r1 = rotation_of(i + 1u);
        const Val<float> x0 = heads.load(head + i), x1 = heads.load(head + i + 1u);
        const Val<float> y0 = heads.load(head + i + half), y1 = heads.load(head + i + (half + 1u));
        write(quad, fma(x0, r0.cosine, neg(y0 * r0.sine)), fma(x1, r1.cosine, neg(y1 * r1.sine)));
        write(quad + half / 2u, fma(y0, r0.cosine, x0 * r0.sine), fma(y1, r1.cosine, x1 * r1.sine));
      }
    } else {
      $for (pair, lane, rotated_pairs, threads) {
        const Rotation r = rotation_of(pair);
        const Val<float> x = heads.load(head + pair * 2u), y = heads.load(head + pair * 2u + 1u);
        write(pair, fma(x, r.cosine, neg(y * r.sine)), fma(y, r.cosine, x * r.sine));
      }
    }
    $for (pair, rotated_pairs + lane, dim / 2u, threads) {
      write(pair, heads.load(head + pair * 2u), heads.load(head + pair * 2u + 1u));
    }
    barrier();  // before the head is overwritten
  }
  return k.finish();
}

constexpr KernelBody kBody = {"rope_append", trace};

}  // namespace

Result<LaunchPlan> plan_rope_append(const LaunchRequest& request) {
  const auto& contract = *static_cast<const RopeAppendComptime*>(request.comptime);
  const auto& p = *static_cast<const RopeAppendParams*>(request.params);
  constexpr uint32_t kMaxHeadDim = 512;
  const bool fits = p.head_dim % 2 == 0 && p.head_dim <= kMaxHeadDim && std::has_single_bit(p.page_tokens) &&
                    request.present(1) == request.present(2) &&
                    (contract.layout != RopeLayout::half || p.rotary_dim % 4 == 0);
  if (!fits) {
    return make_error(
        ErrorKind::unsupported, "rope_append",
        "heads of " + std::to_string(p.head_dim) + " in rows of " + std::to_string(p.qkv_stride) +
            " and pages of " + std::to_string(p.page_tokens) +
            " tokens; accelerators take even heads up to 512, pages of a power "
            "of two, halves of rotated numbers that are even, and norms of both q and k or of neither");
  }
  Comptime c{.layout = contract.layout,
             .kv_dtype = contract.kv_dtype,
             .head_dim = static_cast<uint16_t>(p.head_dim),
             .rotary_dim = static_cast<uint16_t>(p.rotary_dim),
             .norm = request.present(1),
             .page_shift = static_cast<uint8_t>(std::countr_zero(p.page_tokens))};
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.comptime.set(c);
  stage.params.set(p);
  stage.workgroups = {div_up(p.num_q_heads + 2 * p.num_kv_heads, teams_of(request.target).heads),
                      std::min(p.num_tokens, kMaxWorkgroups), 1};
  for (const uint32_t i : {0u, 3u, 4u, 5u, 6u, 7u}) stage.bindings.push_back(StageBinding::launch(i));
  if (c.norm != 0) {
    stage.bindings.push_back(StageBinding::launch(1));
    stage.bindings.push_back(StageBinding::launch(2));
  }
  plan.stages.push_back(std::move(stage));
  return plan;
}

}  // namespace tattletale

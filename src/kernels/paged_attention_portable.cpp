// paged_attention on accelerators without assumptions about matrix units: a workgroup for each KV head, token
// and split of the context, so that the query heads of a group share every read of K and V.
//
// A tile of keys at a time: each thread scores one key for all heads of the group; the scores become
// probabilities in workgroup memory; then each thread sums V over the tile for one pair of dimensions. Splits
// leave unnormalised sums behind, which a second stage joins (flash decoding).
#include <algorithm>
#include <bit>

#include "kernels/body_parts.h"
#include "kernels/paged_attention.h"
#include "kernels/paged_attention_bodies.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

struct Comptime {
  DType kv_dtype = DType::f16;
  uint8_t group = 1;       // query heads a workgroup serves, all of one KV head
  uint8_t page_shift = 0;  // log2 of page_tokens
  uint8_t num_splits = 1;
  uint8_t one_token_each = 0;  // token t is sequence t's only one: decode
  uint8_t unused = 0;
  uint16_t head_dim = 0;
};
struct Params {
  uint32_t num_tokens = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t q_stride = 0;
  uint32_t window = 0;
  float scale = 1.0f;
};
struct JoinParams {
  uint32_t num_rows = 0;
  float scale = 1.0f;
};
struct JoinComptime {
  uint32_t num_splits = 1;
  uint32_t head_dim = 0;
};

constexpr uint32_t kMaxGroup = 8;
constexpr uint32_t kThreads = 128;

/// Which sequence a token belongs to, and which keys it sees.
struct Query {
  Val<uint32_t> first_page, first_key, end_key;
};
Query find_query(const Buffer& sequences, Val<uint32_t> t, Val<uint32_t> window, bool one_token_each) {
  Var<uint32_t> s(t);
  if (!one_token_each) {
    s = 0u;
    $while (sequences.load<Storage::u32>(s * 4u) + sequences.load<Storage::u32>(s * 4u + 1u) <= t) {
      s += 1u;
    }
  }
  const Val<uint32_t> at = s * 4u;
  const Val<uint32_t> first_token = sequences.load<Storage::u32>(at);
  const Val<uint32_t> num_tokens = sequences.load<Storage::u32>(at + 1u);
  const Val<uint32_t> context = sequences.load<Storage::u32>(at + 2u);
  const Val<uint32_t> end_key = context - num_tokens + (t - first_token) + 1u;
  const Val<uint32_t> first_key =
      select((window > 0u) & (end_key > window), end_key - window, Val<uint32_t>(0u));
  return {sequences.load<Storage::u32>(at + 3u), first_key, end_key};
}

class Body {
 public:
  Body(const ir::TargetInfo& target, const Comptime& c)
      : c_(c),
        threads_(preferred_threads(target, kThreads)),
        num_subgroups_(threads_ / target.subgroup_size),
        subgroup_size_(target.subgroup_size),
        dim_(c.head_dim),
        group_(c.group),
        tile_(threads_),
        pairs_(dim_ / 2),
        key_parts_(std::max(threads_ / pairs_, 1u)),
        pairs_each_(div_up(pairs_, threads_)),
        in_flight_(target.is_cpu ? 2 : 8),
        k_("paged_attention", threads_, target) {}

  ir::Kernel trace() {
    const Val<uint32_t> num_tokens = TT_PARAM(k_, Params, num_tokens);
    const Val<uint32_t> window = TT_PARAM(k_, Params, window);
    const Val<uint32_t> q_stride = TT_PARAM(k_, Params, q_stride);
    const Val<float> scale = TT_PARAM(k_, Params, scale);
    const uint32_t page_tokens = 1u << c_.page_shift;
    $for (t, workgroup_id(1), num_tokens, num_workgroups(1)) {
      const Query query = find_query(sequences_, t, window, c_.one_token_each != 0);
      // Splits are whole pages; their bounds depend on the token alone.
      const Val<uint32_t> begin_page = query.first_key >> shift();
      const Val<uint32_t> end_page = (query.end_key + (page_tokens - 1)) >> shift();
      const Val<uint32_t> pages_each = (end_page - begin_page + (c_.num_splits - 1u)) / num_splits();
      const Val<uint32_t> split_page = begin_page + workgroup_id(2) * pages_each;
      const Val<uint32_t> begin = max(split_page << shift(), query.first_key);
      const Val<uint32_t> end = min((split_page + pages_each) << shift(), query.end_key);

      const Buffer q_row = q_.at(t, q_stride * 4u);
      $for (i, tid_, group_ * dim_, threads_) {
        queries_.store(i, q_row.load<Storage::f32>(first_head_ * dim_ + i));
      }
      $for (g, tid_, group_, threads_) {
        highest_.store(g, kLowest);
        total_.store(g, 0.0f);
      }
      mean_.clear();
      for (uint32_t i = 0; i < group_ * pairs_each_ * 2; ++i) mean_.emplace_back(0.0f);
      barrier();
      $for (first, begin, end, tile_) {
        const Val<uint32_t> num_keys = min(end - first, tile_);
        score(query, first, num_keys);
        barrier();
        soften(num_keys, scale * kLog2E);
        barrier();
        add_values(query, first, num_keys);
        barrier();  // before the scores are overwritten
      }
      finish(t);
      barrier();  // before the next token's queries
    }
    return k_.finish();
  }

 private:
  uint32_t shift() const { return c_.page_shift; }
  uint32_t num_splits() const { return c_.num_splits; }
  Buffer page_of(const Buffer& pages, const Query& query, Val<uint32_t> key) const {
    const Val<uint32_t> page = page_table_.load<Storage::u32>(query.first_page + (key >> shift()));
    const uint32_t bytes = (dim_ * dtype_info(c_.kv_dtype).block_bytes) << c_.page_shift;
    return pages.at(page * num_kv_heads_ + kv_head_, bytes);
  }
  Val<uint32_t> place_in_page(Val<uint32_t> key) const { return key & ((1u << c_.page_shift) - 1u); }

  /// Each thread: one key against every head of the group. Several short sums round less than a long one and
  /// wait less for each other; f32 caches, which promise f32 accuracy, get the most.
  void score(const Query& query, Val<uint32_t> first, Val<uint32_t> num_keys) {
    const uint32_t num_sums = c_.kv_dtype == DType::f32 ? 8 : 2;
    $if (tid_ < num_keys) {
      const Val<uint32_t> key = first + tid_;
      const Buffer rows = page_of(k_pages_, query, key);
      const Val<uint32_t> row = place_in_page(key) * (dim_ / 8u);
      std::vector<Var<float>> sums;  // [group][num_sums]
      for (uint32_t i = 0; i < group_ * num_sums; ++i) sums.emplace_back(0.0f);
      $for (chunk, 0u, dim_ / 8u, 1u, in_flight_) {
        const std::array<Val<float>, 8> x = load_chunk(rows, c_.kv_dtype, row + chunk);
        for (uint32_t g = 0; g < group_; ++g) {
          for (uint32_t half = 0; half < 2; ++half) {
            const Vec<float, 4> a = queries_.load_vec<4>(g * dim_ + chunk * 8u + half * 4u);
            for (uint32_t i = half * 4; i < half * 4 + 4; ++i) {
              Var<float>& sum = sums[g * num_sums + i * num_sums / 8];
              sum = fma(x[i], a[i % 4], sum);
            }
          }
        }
      }
      for (uint32_t g = 0; g < group_; ++g) {
        std::vector<Val<float>> parts(sums.begin() + g * num_sums, sums.begin() + (g + 1) * num_sums);
        for (size_t half = num_sums / 2; half > 0; half /= 2) {
          for (size_t i = 0; i < half; ++i) parts[i] = parts[i] + parts[i + half];
        }
        scores_.store(g * tile_ + tid_, parts[0]);
      }
    }
  }

  /// Scores to unnormalised probabilities exp2((score - highest) * factor); a subgroup takes a head. Scores
  /// are scaled only after the subtraction, which is exact where it matters.
  void soften(Val<uint32_t> num_keys, Val<float> factor) {
    $for (g, subgroup_id(), group_, num_subgroups_) {
      Var<float> most(kLowest);
      $for (i, lane_id(), num_keys, subgroup_size_) {
        most = max(most.get(), scores_.load(g * tile_ + i));
      }
      // Only the first lane reads what it writes below: WGSL has no barrier for a subgroup alone.
      Var<float> first_lanes(kLowest), old_total(0.0f);
      $if (lane_id() == 0u) {
        first_lanes = highest_.load(g);
        old_total = total_.load(g);
      }
      const Val<float> before = subgroup_max(first_lanes.get());
      const Val<float> now = max(before, subgroup_max(most.get()));
      Var<float> sum(0.0f);
      $for (i, lane_id(), num_keys, subgroup_size_) {
        const Val<float> p = exp2((scores_.load(g * tile_ + i) - now) * factor);
        scores_.store(g * tile_ + i, p);
        sum += p;
      }
      const Val<float> all = subgroup_add(sum.get());
      const Val<float> fade = exp2((before - now) * factor);
      $if (lane_id() == 0u) {
        highest_.store(g, now);
        total_.store(g, old_total * fade + all);
        decay_.store(g, fade);
      }
    }
  }

  /// mean = mean * decay + probabilities . V; thread -> (part of the keys, pairs of dimensions).
  void add_values(const Query& query, Val<uint32_t> first, Val<uint32_t> num_keys) {
    for (uint32_t g = 0; g < group_; ++g) {
      const Val<float> factor = decay_.load(g);
      for (uint32_t i = 0; i < pairs_each_ * 2; ++i) {
        Var<float>& m = mean_[g * pairs_each_ * 2 + i];
        m = m * factor;
      }
    }
    $if (part_ < key_parts_) {
      $for (i, part_, num_keys, key_parts_, 2 * in_flight_) {
        const Buffer rows = page_of(v_pages_, query, first + i);
        const Val<uint32_t> row = place_in_page(first + i) * pairs_;
        std::vector<Val<float>> p;
        for (uint32_t g = 0; g < group_; ++g) p.push_back(scores_.load(g * tile_ + i));
        for (uint32_t e = 0; e < pairs_each_; ++e) {
          // The last of several pairs may lie past the head; it reads the head's last pair and is not
          // written.
          const Val<uint32_t> pair = min(first_pair_ + e * threads_, pairs_ - 1);
          const std::array<Val<float>, 2> v = load_pair(rows, c_.kv_dtype, row + pair);
          for (uint32_t g = 0; g < group_; ++g) {
            for (uint32_t n = 0; n < 2; ++n) {
              Var<float>& m = mean_[(g * pairs_each_ + e) * 2 + n];
              m = fma(p[g], v[n], m);
            }
          }
        }
      }
    }
  }

  /// Joins the parts and writes the token's rows.
  void finish(Val<uint32_t> t) {
    if (key_parts_ == 1) {
      for (uint32_t g = 0; g < group_; ++g) {
        for (uint32_t e = 0; e < pairs_each_; ++e) {
          const Val<uint32_t> pair = first_pair_ + e * threads_;
          const uint32_t at = (g * pairs_each_ + e) * 2;
          $if ((part_ == 0u) & (pair < pairs_)) {
            write(t, g, pair, mean_[at], mean_[at + 1]);
          }
        }
      }
      return;
    }
    $if (part_ < key_parts_) {
      for (uint32_t g = 0; g < group_; ++g) {
        for (uint32_t n = 0; n < 2; ++n) {
          sums_.store((part_ * group_ + g) * dim_ + first_pair_ * 2u + n, mean_[g * 2 + n]);
        }
      }
    }
    barrier();
    $for (i, tid_, group_ * pairs_, threads_) {
      const Val<uint32_t> g = i / pairs_, pair = i % pairs_;
      Val<float> a = 0.0f, b = 0.0f;
      for (uint32_t r = 0; r < key_parts_; ++r) {
        a = a + sums_.load((r * group_ + g) * dim_ + pair * 2u);
        b = b + sums_.load((r * group_ + g) * dim_ + pair * 2u + 1u);
      }
      write(t, g, pair, a, b);
    }
  }

  /// Normalised; or as one split's partial result [dim sums, maximum, total].
  void write(Val<uint32_t> t, Val<uint32_t> g, Val<uint32_t> pair, Val<float> a, Val<float> b) {
    const Val<uint32_t> row = t * num_q_heads_ + first_head_ + g;
    if (c_.num_splits == 1) {
      const Val<float> inverse = 1.0f / total_.load(g);
      out_.at(row, dim_ * 4u).store_vec(pair * 2u, Vec<float, 2>({a * inverse, b * inverse}));
      return;
    }
    const Buffer to = out_.at(row * num_splits() + workgroup_id(2), (dim_ + 2u) * 4u);
    to.store_vec(pair * 2u, Vec<float, 2>({a, b}));
    $if (pair == 0u) {
      to.store(dim_, highest_.load(g));
      to.store(dim_ + 1u, total_.load(g));
    }
  }

  Comptime c_;
  uint32_t threads_, num_subgroups_, subgroup_size_, dim_, group_, tile_;
  uint32_t pairs_, key_parts_, pairs_each_;  // head_dim / 2; threads that share a pair; pairs of one thread
  uint32_t in_flight_;                       // loads that a thread starts before it waits
  KernelScope k_;
  Buffer q_ = k_.input("q"), k_pages_ = k_.input("k_pages"), v_pages_ = k_.input("v_pages");
  Buffer sequences_ = k_.input("sequences"), page_table_ = k_.input("page_table"), out_ = k_.output("out");
  Val<uint32_t> num_q_heads_ = TT_PARAM(k_, Params, num_q_heads);
  Val<uint32_t> num_kv_heads_ = TT_PARAM(k_, Params, num_kv_heads);
  Val<uint32_t> tid_ = local_id();
  Val<uint32_t> part_ = tid_ / pairs_, first_pair_ = tid_ % pairs_;
  Val<uint32_t> first_head_ = workgroup_id(0) * group_;
  Val<uint32_t> kv_head_ = first_head_ / (num_q_heads_ / num_kv_heads_);
  Shared<float> queries_{"queries", group_* dim_};
  Shared<float> scores_{"scores", group_* tile_};
  Shared<float> highest_{"highest", group_}, total_{"total", group_}, decay_{"decay", group_};
  Shared<float> sums_{"sums", key_parts_ > 1 ? key_parts_* group_* dim_ : 1};
  std::vector<Var<float>> mean_;  // [group][pairs_each][2]
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  return Body(target, *static_cast<const Comptime*>(comptime)).trace();
}

/// out[row, :] = sum_s w_s sums_s / sum_s w_s total_s with w_s = exp((m_s - M) * scale); a workgroup a row.
ir::Kernel trace_join(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const JoinComptime*>(comptime);
  const uint32_t threads = preferred_threads(target, 128);
  KernelScope k("paged_attention_join", threads, target);
  const Buffer parts = k.input("parts"), out = k.output("out");
  const Val<uint32_t> num_rows = TT_PARAM(k, JoinParams, num_rows);
  const Val<float> factor = TT_PARAM(k, JoinParams, scale) * kLog2E;
  const uint32_t width = c.head_dim + 2;
  $for (row, workgroup_id(0), num_rows, num_workgroups(0)) {
    const Buffer from = parts.at(row, c.num_splits * width * 4u);
    Var<float> most(kLowest);
    $for (s, 0u, c.num_splits, 1u, c.num_splits) {
      most = max(most.get(), from.load<Storage::f32>(s * width + c.head_dim));
    }
    const Val<float> highest = most;
    $for (d, local_id(), c.head_dim, threads) {
      Var<float> sum(0.0f), total(0.0f);
      $for (s, 0u, c.num_splits, 1u, c.num_splits) {
        const Val<float> weight = exp2((from.load<Storage::f32>(s * width + c.head_dim) - highest) * factor);
        sum = fma(weight, from.load<Storage::f32>(s * width + d), sum);
        total = fma(weight, from.load<Storage::f32>(s * width + (c.head_dim + 1)), total);
      }
      out.at(row, c.head_dim * 4u).store(d, sum / total);
    }
  }
  return k.finish();
}

constexpr KernelBody kBody = {"paged_attention", trace};
constexpr KernelBody kJoin = {"paged_attention_join", trace_join};

/// Enough workgroups to fill the device in decode; the same for every batch, so that a token's result does
/// not depend on its neighbours.
uint32_t splits_for(const ir::TargetInfo& target) {
  if (target.is_cpu || target.num_processors < 16) return 1;
  return 16;
}

/// The most heads of a KV head's group that one workgroup's memory holds.
uint32_t group_for(const ir::TargetInfo& target, uint32_t heads, uint32_t dim) {
  const uint32_t threads = preferred_threads(target, kThreads);
  const uint32_t parts = std::max(threads / (dim / 2), 1u);
  for (uint32_t group = std::min(heads, kMaxGroup); group > 1; --group) {
    const uint32_t words = group * (dim + threads + 3) + (parts > 1 ? parts * group * dim : 0);
    if (heads % group == 0 && words * 4 + 256 <= target.max_shared_bytes) return group;
  }
  return 1;
}

}  // namespace

Result<LaunchPlan> plan_paged_attention(const LaunchRequest& request) {
  const auto& p = *static_cast<const PagedAttentionParams*>(request.params);
  constexpr uint32_t kMaxHeadDim = 512;
  if (p.head_dim % 8 != 0 || p.head_dim > kMaxHeadDim || !std::has_single_bit(p.page_tokens)) {
    return make_error(
        ErrorKind::unsupported, "paged_attention",
        "heads of " + std::to_string(p.head_dim) + " and pages of " + std::to_string(p.page_tokens) +
            " tokens; accelerators take heads of a multiple of 8 up to 512 and pages of a power of two");
  }
  Comptime c{.kv_dtype = static_cast<const PagedAttentionComptime*>(request.comptime)->kv_dtype,
             .page_shift = static_cast<uint8_t>(std::countr_zero(p.page_tokens)),
             .one_token_each = p.num_tokens == p.num_sequences,
             .head_dim = static_cast<uint16_t>(p.head_dim)};
  if (c.one_token_each == 0) {
    if (std::optional<Stage> stage = attention_matrix_stage(request)) {
      LaunchPlan plan;
      plan.stages.push_back(std::move(*stage));
      return plan;
    }
  }
  c.group = static_cast<uint8_t>(group_for(request.target, p.num_q_heads / p.num_kv_heads, p.head_dim));
  c.num_splits = static_cast<uint8_t>(c.one_token_each != 0 ? splits_for(request.target) : 1);
  const uint32_t rows = p.num_tokens * p.num_q_heads;
  LaunchPlan plan;
  Stage stage{.body = &kBody};
  stage.comptime.set(c);
  stage.params.set(Params{.num_tokens = p.num_tokens,
                          .num_q_heads = p.num_q_heads,
                          .num_kv_heads = p.num_kv_heads,
                          .q_stride = p.q_stride,
                          .window = p.window,
                          .scale = p.scale});
  stage.workgroups = {p.num_q_heads / c.group, std::min(p.num_tokens, kMaxWorkgroups), c.num_splits};
  for (const uint32_t i : {0u, 1u, 2u, 3u, 4u}) stage.bindings.push_back(StageBinding::launch(i));
  if (c.num_splits == 1) {
    stage.bindings.push_back(StageBinding::launch(5));
    plan.stages.push_back(std::move(stage));
    return plan;
  }
  const StageBinding parts = plan.scratch(uint64_t{rows} * c.num_splits * (p.head_dim + 2) * 4);
  stage.bindings.push_back(parts);
  plan.stages.push_back(std::move(stage));
  Stage join{.body = &kJoin};
  join.comptime.set(JoinComptime{c.num_splits, p.head_dim});
  join.params.set(JoinParams{rows, p.scale});
  join.workgroups = {std::min(rows, kMaxWorkgroups), 1, 1};
  join.bindings = {parts, StageBinding::launch(5)};
  plan.stages.push_back(std::move(join));
  return plan;
}

}  // namespace tattletale

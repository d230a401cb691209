// paged_attention of prompts on matrix units whose fragments are transparent: a workgroup takes 64 queries of
// one head, each subgroup 16 of them, and walks over tiles of 64 keys; scores, probabilities and sums stay in
// registers. Queries enter as a sum of two 16-bit numbers, so that only probabilities and values are rounded.
// Source: Dao 2023, "FlashAttention-2", arXiv:2307.08691.
#include <algorithm>
#include <bit>

#include "kernels/body_parts.h"
#include "kernels/paged_attention_bodies.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kFragment = ir::kFragmentDim;
constexpr uint32_t kQueries = 64;  // of a workgroup
constexpr uint32_t kKeys = 64;     // of a tile
constexpr uint32_t kThreads = 128;
constexpr uint32_t kPad = 8;  // elements behind each row in workgroup memory
constexpr uint32_t kKeyFragments = kKeys / kFragment;

struct Comptime {
  DType kv_dtype = DType::f16;
  uint8_t page_shift = 0;
  uint16_t head_dim = 0;
  uint32_t stages = 2;  // tiles of keys and values in memory: 2 where they fit, so that copies run ahead
};
struct Params {
  uint32_t num_sequences = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t q_stride = 0;
  uint32_t window = 0;
  float scale = 1.0f;
};

constexpr uint32_t shared_bytes(uint32_t head_dim, uint32_t stages) {
  return (2 * kQueries + stages * 2 * kKeys) * (head_dim + kPad) * 2;
}

/// The queries of a workgroup: `rows` tokens from `first_token` on, the first at position `first_position`.
struct Tile {
  Val<uint32_t> first_page, first_token, first_position, rows;
};

class Body {
 public:
  Body(const ir::TargetInfo& target, const Comptime& c)
      : c_(c),
        dim_(c.head_dim),
        pitch_(c.head_dim + kPad),
        frags_(c.head_dim / kFragment),
        element_(c.kv_dtype == DType::f16 ? Storage::f16 : Storage::bf16),
        k_("paged_attention_matrix", kThreads, target) {}

  ir::Kernel trace() {
    const Val<uint32_t> num_sequences = TT_PARAM(k_, Params, num_sequences);
    // The last tiles see the most keys: they go first.
    const Val<uint32_t> tile = num_workgroups(1) - 1u - workgroup_id(1);
    Var<uint32_t> s(0u), tiles_before(0u);
    // Both sides are computed: behind the last sequence the last is looked at again.
    $while ((s < num_sequences) & (tiles_before + tiles_of(min(s, num_sequences - 1u)) <= tile)) {
      tiles_before += tiles_of(s);
      s += 1u;
    }
    $if (s < num_sequences) {
      const Val<uint32_t> at = s * 4u;
      const Val<uint32_t> num_tokens = sequences_.load<Storage::u32>(at + 1u);
      const Val<uint32_t> context = sequences_.load<Storage::u32>(at + 2u);
      const Val<uint32_t> first_row = (tile - tiles_before) * kQueries;
      attend({sequences_.load<Storage::u32>(at + 3u), sequences_.load<Storage::u32>(at) + first_row,
              context - num_tokens + first_row, min(num_tokens - first_row, kQueries)});
    }
    return k_.finish();
  }

 private:
  Val<uint32_t> tiles_of(Val<uint32_t> s) const {
    return (sequences_.load<Storage::u32>(s * 4u + 1u) + (kQueries - 1)) / kQueries;
  }

  void attend(const Tile& tile) {
    load_queries(tile);
    const Val<uint32_t> end_key = tile.first_position + tile.rows;
    const Val<uint32_t> first_key = select((window_ > 0u) & (tile.first_position >= window_),
                                           tile.first_position + 1u - window_, Val<uint32_t>(0u));
    const Val<uint32_t> begin = first_key & ~(kKeys - 1);
    for (uint32_t d = 0; d < frags_; ++d) mean_.emplace_back(Fragment::fill(0.0f));
    for (uint32_t r = 0; r < 2; ++r) {
      highest_.emplace_back(kLowest);
      total_.emplace_back(0.0f);
    }
    Var<uint32_t> slot(0u);
    if (c_.stages > 1) copy_tile(tile, begin, first_key, end_key, 0u);
    $for (k0, begin, end_key, kKeys) {
      if (c_.stages > 1) {
        copy_wait(0);
        barrier();  // the tile is here, and nobody reads the other slot any more
        $if (k0 + kKeys < end_key) {
          copy_tile(tile, k0 + kKeys, first_key, end_key, 1u - slot);
        }
      } else {
        barrier();
        copy_tile(tile, k0, first_key, end_key, 0u);
        copy_wait(0);
        barrier();
      }
      step(tile, k0, slot);
      if (c_.stages > 1) slot = 1u - slot;
    }
    write(tile);
  }

  /// Queries, scaled for exp2, as the sum of two 16-bit numbers.
  void load_queries(const Tile& tile) {
    $for (i, tid_, kQueries * (dim_ / 2), kThreads) {
      const Val<uint32_t> row = i / (dim_ / 2), pair = i % (dim_ / 2);
      const Buffer from = q_.at(tile.first_token + min(row, tile.rows - 1u), q_stride_ * 4u);
      const Val<uint32_t> place = head_ * dim_ + pair * 2u;
      const Val<float> a = from.load<Storage::f32>(place) * factor_;
      const Val<float> b = from.load<Storage::f32>(place + 1u) * factor_;
      const Val<uint32_t> high = pack(a, b);
      const Val<uint32_t> low = pack(a - unpack_lo(high), b - unpack_hi(high));
      queries_.store(row * (pitch_ / 2) + pair, high);
      queries_.store((row + kQueries) * (pitch_ / 2) + pair, low);
    }
    barrier();
  }
  Val<uint32_t> pack(Val<float> a, Val<float> b) const {
    return element_ == Storage::f16 ? pack_f16x2(a, b) : pack_bf16x2(a, b);
  }
  Val<float> unpack_lo(Val<uint32_t> w) const {
    return element_ == Storage::f16 ? unpack_f16_lo(w) : unpack_bf16_lo(w);
  }
  Val<float> unpack_hi(Val<uint32_t> w) const {
    return element_ == Storage::f16 ? unpack_f16_hi(w) : unpack_bf16_hi(w);
  }

  /// Starts copying keys k0 .. k0 + 63 and their values. Keys that no query of the tile may see may hold
  /// anything, and zero times anything may be no number: they are replaced by the nearest key that is seen.
  void copy_tile(const Tile& tile, Val<uint32_t> k0, Val<uint32_t> first_key, Val<uint32_t> end_key,
                 Val<uint32_t> slot) {
    const uint32_t pieces = dim_ / 8;  // of 16 bytes a row
    const uint32_t page_tokens = 1u << c_.page_shift;
    const uint32_t page_bytes = page_tokens * dim_ * 2;
    const auto page_head = [&](Val<uint32_t> key) {
      return page_table_.load<Storage::u32>(tile.first_page + (key >> uint32_t{c_.page_shift})) *
                 num_kv_heads_ +
             kv_head_;
    };
    const bool one_page = page_tokens >= kKeys;  // a tile lies within a page
    const Val<uint32_t> shared_page = one_page ? page_head(max(k0, first_key)) : Val<uint32_t>(0u);
    const Val<uint32_t> target = slot * (2 * kKeys * pitch_ / 2);
    for (uint32_t i = 0; i * kThreads < kKeys * pieces; ++i) {
      const Val<uint32_t> row = (tid_ + i * kThreads) / pieces;
      const Val<uint32_t> column = (tid_ + i * kThreads) % pieces * 4u;
      const Val<uint32_t> key = max(min(k0 + row, end_key - 1u), first_key);
      const Val<uint32_t> page = one_page ? shared_page : page_head(key);
      const Val<uint32_t> from = (key & (page_tokens - 1)) * (dim_ / 2) + column;
      const Val<uint32_t> to = target + row * (pitch_ / 2) + column;
      const auto copy = [&] {
        copy_async(ring_, to, k_pages_.at(page, page_bytes), from);
        copy_async(ring_, to + kKeys * (pitch_ / 2), v_pages_.at(page, page_bytes), from);
      };
      if ((i + 1) * kThreads <= kKeys * pieces) {
        copy();
      } else {
        $if (row < kKeys) {
          copy();
        }
      }
    }
    copy_commit();
  }

  void step(const Tile& tile, Val<uint32_t> k0, Val<uint32_t> slot) {
    const Val<uint32_t> keys = slot * (2 * kKeys * pitch_), values = keys + kKeys * pitch_;
    std::vector<FragmentVar> scores;
    for (uint32_t j = 0; j < kKeyFragments; ++j) scores.emplace_back(Fragment::fill(0.0f));
    for (uint32_t d = 0; d < frags_; ++d) {
      const Val<uint32_t> a = subgroup_ * (kFragment * pitch_) + d * kFragment;
      const Fragment high = Fragment::load(ir::FragmentUse::a, element_, queries_, a, pitch_);
      const Fragment low =
          Fragment::load(ir::FragmentUse::a, element_, queries_, a + kQueries * pitch_, pitch_);
      for (uint32_t j = 0; j < kKeyFragments; ++j) {
        const Fragment b = Fragment::load(ir::FragmentUse::b, element_, ring_,
                                          keys + (j * kFragment * pitch_ + d * kFragment), pitch_);
        scores[j].set(Fragment::mma(low, b, Fragment::mma(high, b, scores[j].get())));
      }
    }
    const Val<uint32_t> first_position = tile.first_position + subgroup_ * kFragment;
    const Val<bool> sees_all = (k0 + (kKeys - 1) <= first_position) &
                               ((window_ == 0u) | (k0 + window_ > first_position + (kFragment - 1)));
    $if (!sees_all) {
      mask(scores, first_position, k0);
    }
    soften(scores);
    for (uint32_t j = 0; j < kKeyFragments; ++j) {
      const Fragment p = scores[j].get();
      const Fragment a = Fragment::from_pairs(element_, {pack(p.get(0), p.get(1)), pack(p.get(2), p.get(3)),
                                                         pack(p.get(4), p.get(5)), pack(p.get(6), p.get(7))});
      for (uint32_t d = 0; d < frags_; ++d) {
        const Fragment b = Fragment::load(ir::FragmentUse::b, element_, ring_,
                                          values + (j * kFragment * pitch_ + d * kFragment), pitch_, true);
        mean_[d].set(Fragment::mma(a, b, mean_[d].get()));
      }
    }
  }

  void mask(const std::vector<FragmentVar>& scores, Val<uint32_t> first_position, Val<uint32_t> k0) const {
    for (uint32_t j = 0; j < kKeyFragments; ++j) {
      Fragment masked = scores[j].get();
      for (uint32_t e = 0; e < 8; ++e) {
        const Val<uint32_t> position = first_position + Fragment::row(e);
        const Val<uint32_t> key = k0 + j * kFragment + Fragment::column(e);
        const Val<bool> seen = (key <= position) & ((window_ == 0u) | (key + window_ > position));
        masked = masked.with(e, select(seen, masked.get(e), kLowest));
      }
      scores[j].set(masked);
    }
  }

  /// Which of a lane's two rows number e of an accumulator is in (ir/op.h: fragment_row).
  static uint32_t row_of(uint32_t e) { return e / 2 % 2; }

  /// Scores to unnormalised probabilities; scales what was summed before.
  void soften(const std::vector<FragmentVar>& scores) {
    std::vector<Val<float>> now;
    for (uint32_t r = 0; r < 2; ++r) {
      Val<float> most = highest_[r];
      for (uint32_t j = 0; j < kKeyFragments; ++j) {
        const Fragment s = scores[j].get();
        for (uint32_t e = 0; e < 8; ++e) {
          if (row_of(e) == r) most = max(most, s.get(e));
        }
      }
      most = max(most, shuffle_xor(most, 1));  // the four lanes of a row
      most = max(most, shuffle_xor(most, 2));
      now.push_back(most);
      const Val<float> fade = exp2(highest_[r] - most);
      highest_[r] = most;
      total_[r] *= fade;
      for (uint32_t d = 0; d < frags_; ++d) {
        Fragment m = mean_[d].get();
        for (uint32_t e = 0; e < 8; ++e) {
          if (row_of(e) == r) m = m.with(e, m.get(e) * fade);
        }
        mean_[d].set(m);
      }
    }
    for (uint32_t j = 0; j < kKeyFragments; ++j) {
      Fragment p = scores[j].get();
      for (uint32_t e = 0; e < 8; ++e) {
        const Val<float> v = exp2(p.get(e) - now[row_of(e)]);
        total_[row_of(e)] += v;
        p = p.with(e, v);
      }
      scores[j].set(p);
    }
  }

  void write(const Tile& tile) {
    for (uint32_t r = 0; r < 2; ++r) {
      Val<float> total = total_[r];
      total = total + shuffle_xor(total, 1);
      total = total + shuffle_xor(total, 2);
      const Val<float> inverse = 1.0f / total;
      const Val<uint32_t> row = subgroup_ * kFragment + Fragment::row(2 * r);
      $if (row < tile.rows) {
        const Buffer to = out_.at((tile.first_token + row) * num_q_heads_ + head_, dim_ * 4u);
        for (uint32_t d = 0; d < frags_; ++d) {
          const Fragment m = mean_[d].get();
          for (uint32_t e = 2 * r; e < 8; e += 4) {
            to.store_vec(d * kFragment + Fragment::column(e),
                         Vec<float, 2>({m.get(e) * inverse, m.get(e + 1) * inverse}));
          }
        }
      }
    }
  }

  Comptime c_;
  uint32_t dim_, pitch_, frags_;
  Storage element_;
  KernelScope k_;
  Buffer q_ = k_.input("q"), k_pages_ = k_.input("k_pages"), v_pages_ = k_.input("v_pages");
  Buffer sequences_ = k_.input("sequences"), page_table_ = k_.input("page_table"), out_ = k_.output("out");
  Val<uint32_t> num_q_heads_ = TT_PARAM(k_, Params, num_q_heads);
  Val<uint32_t> num_kv_heads_ = TT_PARAM(k_, Params, num_kv_heads);
  Val<uint32_t> q_stride_ = TT_PARAM(k_, Params, q_stride);
  Val<uint32_t> window_ = TT_PARAM(k_, Params, window);
  Val<float> factor_ = TT_PARAM(k_, Params, scale) * kLog2E;
  Val<uint32_t> tid_ = local_id(), subgroup_ = subgroup_id();
  Val<uint32_t> head_ = workgroup_id(0), kv_head_ = head_ / (num_q_heads_ / num_kv_heads_);
  Shared<uint32_t> queries_{"queries", 2 * kQueries* pitch_ / 2};
  Shared<uint32_t> ring_{"ring", c_.stages * 2 * kKeys* pitch_ / 2};
  std::vector<FragmentVar> mean_;            // [frags]: sums of values
  std::vector<Var<float>> highest_, total_;  // of this lane's two rows; total of its own numbers alone
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  return Body(target, *static_cast<const Comptime*>(comptime)).trace();
}

constexpr KernelBody kBody = {"paged_attention_matrix", trace};

}  // namespace

std::optional<Stage> attention_matrix_stage(const LaunchRequest& request) {
  const ir::TargetInfo& target = request.target;
  const auto& p = *static_cast<const PagedAttentionParams*>(request.params);
  const DType dtype = static_cast<const PagedAttentionComptime*>(request.comptime)->kv_dtype;
  if (dtype != DType::f16 && dtype != DType::bf16) return std::nullopt;
  const ir::FragmentTier tier = dtype == DType::f16 ? target.f16_fragments : target.bf16_fragments;
  if (tier != ir::FragmentTier::transparent || target.subgroup_size != 32) return std::nullopt;
  constexpr uint32_t kMaxHeadDim = 128;  // sums of more would not stay in registers
  if (p.head_dim % kFragment != 0 || p.head_dim > kMaxHeadDim) return std::nullopt;
  Comptime c{.kv_dtype = dtype,
             .page_shift = static_cast<uint8_t>(std::countr_zero(p.page_tokens)),
             .head_dim = static_cast<uint16_t>(p.head_dim)};
  if (shared_bytes(p.head_dim, c.stages) > target.max_shared_bytes) c.stages = 1;
  if (shared_bytes(p.head_dim, c.stages) > target.max_shared_bytes) return std::nullopt;
  Stage stage{.body = &kBody};
  stage.comptime.set(c);
  stage.params.set(Params{.num_sequences = p.num_sequences,
                          .num_q_heads = p.num_q_heads,
                          .num_kv_heads = p.num_kv_heads,
                          .q_stride = p.q_stride,
                          .window = p.window,
                          .scale = p.scale});
  // At most one tile of each sequence is not full.
  const uint32_t tiles = std::min(p.num_tokens / kQueries + p.num_sequences, p.num_tokens);
  if (tiles > kMaxWorkgroups) return std::nullopt;
  stage.workgroups = {p.num_q_heads, tiles, 1};
  for (uint32_t i = 0; i < 6; ++i) stage.bindings.push_back(StageBinding::launch(i));
  return stage;
}

}  // namespace tattletale

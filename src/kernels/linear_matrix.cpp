// linear for many rows of x on matrix units: 16-bit operands pass through workgroup memory in a ring of
// stages that asynchronous copies keep full, while each subgroup multiplies fragments of its part of the
// tile.
//
// Consecutive workgroups take the same columns and successive rows: a wave of them reads each weight once and
// keeps all of x in the second-level cache.
#include "kernels/body_parts.h"
#include "kernels/linear_bodies.h"
#include "kernels/linear_epilogue.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kFragment = ir::kFragmentDim;
constexpr uint32_t kPad =
    8;  // elements after each row in workgroup memory: 16 bytes, so that rows change banks

class Body {
 public:
  Body(const ir::TargetInfo& target, const LinearMatrixComptime& c)
      : c_(c),
        gated_(is_gated(c.epilogue)),
        transparent_((c.element == DType::f16 ? target.f16_fragments : target.bf16_fragments) ==
                     ir::FragmentTier::transparent),
        lanes_(target.subgroup_size),
        threads_(c.subgroups_m * c.subgroups_n * target.subgroup_size),
        tile_m_(c.tile_m),
        tile_n_(c.tile_n),
        depth_(c.depth),
        pitch_(c.depth + kPad),
        frags_m_(c.tile_m / c.subgroups_m / kFragment),
        frags_n_(c.tile_n / c.subgroups_n / kFragment),
        storage_(c.element == DType::f16 ? Storage::f16 : Storage::bf16),
        k_("linear_matrix", threads_, target) {}

  ir::Kernel trace() {
    for (uint32_t m = 0; m < c_.num_weights; ++m) weights_.push_back(k_.input("weight" + std::to_string(m)));
    for (uint32_t m = 0; m < c_.num_weights; ++m) {
      if (c_.has_bias[m] != 0) bias_[m].emplace(k_.input("bias" + std::to_string(m)));
    }
    find_matrix();
    find_rows();
    const Val<uint32_t> num_steps = in_dim_ / depth_;
    for (uint32_t i = 0; i < frags_m_ * frags_n_; ++i) sums_.emplace_back(Fragment::fill(0.0f));
    for (uint32_t s = 0; s + 1 < c_.stages; ++s) {
      $if (num_steps > s) {
        copy_step(s, s);
      }
      copy_commit();
    }
    Var<uint32_t> slot(0u), free_slot(c_.stages - 1u);
    $for (step, 0u, num_steps) {
      copy_wait(c_.stages - 2u);
      barrier();
      const Val<uint32_t> ahead = step + (c_.stages - 1u);
      $if (ahead < num_steps) {
        copy_step(ahead, free_slot);
      }
      copy_commit();
      multiply(slot);
      slot = select(slot + 1u == uint32_t{c_.stages}, Val<uint32_t>(0u), slot + 1u);
      free_slot = select(free_slot + 1u == uint32_t{c_.stages}, Val<uint32_t>(0u), free_slot + 1u);
    }
    copy_wait(0);
    if (transparent_) {
      write_registers();
    } else {
      barrier();
      write_through_memory();
    }
    return k_.finish();
  }

 private:
  /// Matrices that a tile takes rows of.
  uint32_t num_matrices() const { return gated_ ? 2 : 1; }
  /// Columns of y a workgroup writes: gated, half of the tile's rows are the second matrix's.
  uint32_t columns() const { return tile_n_ / num_matrices(); }
  uint32_t row_words() const { return depth_ / 2; }
  uint32_t stage_elements() const { return (tile_m_ + tile_n_) * pitch_; }

  /// Which matrix the workgroup's column tile is in, and where.
  void find_matrix() {
    Val<uint32_t> tile = workgroup_id(1);
    for (uint32_t m = 0; !gated_ && m + 1 < c_.num_weights; ++m) {
      const Val<uint32_t> tiles = (out_dim(m) + (columns() - 1)) / columns();
      const Val<bool> behind = (matrix_ == m) & (tile >= tiles);
      matrix_ = select(behind, Val<uint32_t>(m + 1), matrix_);
      tile = select(behind, tile - tiles, tile);
      y_column_ = select(behind, y_column_ + out_dim(m), y_column_);
      out_dim_ = select(behind, out_dim(m + 1), out_dim_);
    }
    first_n_ = tile * columns();
  }
  Val<uint32_t> out_dim(uint32_t m) {
    return k_.param<uint32_t>("out_dim" + std::to_string(m), offsetof(LinearParams, out_dim) / 4 + m);
  }

  /// The rows whose 16-byte pieces this thread copies; rows past the end repeat the last one and are not
  /// written.
  void find_rows() {
    const uint32_t pieces = depth_ / 8;
    for (uint32_t i = 0; i * threads_ < tile_m_ * pieces; ++i) {
      const Val<uint32_t> row = (tid_ + i * threads_) / pieces;
      const Val<uint32_t> t = min(first_t_ + row, num_rows_ - 1u);
      x_copies_.push_back({x_.at(t, in_dim_ * 2u), piece_target(0, i)});
    }
    for (uint32_t i = 0; i * threads_ < tile_n_ * pieces; ++i) {
      // Whole copies belong to one matrix: half a tile is a multiple of what the threads copy at once.
      const uint32_t first_row = i * threads_ / pieces;
      const uint32_t matrix = gated_ && first_row >= columns() ? 1 : 0;
      const Val<uint32_t> row = (tid_ + i * threads_) / pieces - matrix * columns();
      const Val<uint32_t> n = min(first_n_ + row, out_dim_ - 1u);
      weight_copies_.push_back({weights_[matrix].at(n, in_dim_ * 2u), piece_target(tile_m_, i)});
    }
  }
  Val<uint32_t> piece_target(uint32_t first_row, uint32_t i) const {
    const uint32_t pieces = depth_ / 8;
    const Val<uint32_t> piece = tid_ + i * threads_;
    return (piece / pieces + first_row) * (pitch_ / 2) + (piece % pieces) * 4u;
  }
  void copy_step(Val<uint32_t> step, Val<uint32_t> slot) {
    const Val<uint32_t> from = step * row_words() + (tid_ % (depth_ / 8)) * 4u;
    const Val<uint32_t> to = slot * (stage_elements() / 2);
    for (const Copy& copy : x_copies_) copy_async(ring_, to + copy.target, copy.row, from);
    if (gated_ || c_.num_weights == 1) {
      for (const Copy& copy : weight_copies_) copy_async(ring_, to + copy.target, copy.row, from);
      return;
    }
    for (uint32_t m = 0; m < c_.num_weights; ++m) {
      $if (matrix_ == m) {
        for (const Copy& copy : weight_copies_) {
          copy_async(ring_, to + copy.target, Buffer(weights_[m].binding(), copy.row.base()), from);
        }
      }
    }
  }

  void multiply(Val<uint32_t> slot) {
    const Val<uint32_t> a0 = slot * stage_elements() + subgroup_m() * (frags_m_ * kFragment * pitch_);
    const Val<uint32_t> b0 = slot * stage_elements() + tile_m_ * pitch_;
    for (uint32_t kk = 0; kk < depth_; kk += kFragment) {
      std::vector<Fragment> a, b;
      for (uint32_t i = 0; i < frags_m_; ++i) {
        a.push_back(
            Fragment::load(ir::FragmentUse::a, storage_, ring_, a0 + (i * kFragment * pitch_ + kk), pitch_));
      }
      for (uint32_t j = 0; j < frags_n_; ++j) {
        b.push_back(Fragment::load(ir::FragmentUse::b, storage_, ring_, b0 + (fragment_row(j) * pitch_ + kk),
                                   pitch_));
      }
      for (uint32_t i = 0; i < frags_m_; ++i) {
        for (uint32_t j = 0; j < frags_n_; ++j) {
          const FragmentVar& sum = sums_[i * frags_n_ + j];
          sum.set(Fragment::mma(a[i], b[j], sum.get()));
        }
      }
    }
  }
  /// Where fragment column j of this subgroup starts in the tile's weight rows. Gated, the first half of a
  /// subgroup's fragments is the first matrix's and the second half the same columns of the second.
  Val<uint32_t> fragment_row(uint32_t j) const {
    const uint32_t each = frags_n_ / num_matrices();
    const uint32_t matrix = j / each;
    return subgroup_n() * (each * kFragment) + (matrix * columns() + j % each * kFragment);
  }

  /// The sum with its bias; `matrix` counts a tile's own matrices.
  Val<float> finished(Val<float> sum, uint32_t matrix, Val<uint32_t> n) const {
    if (gated_ || c_.num_weights == 1)
      return bias_[matrix] ? sum + bias_[matrix]->load<Storage::f32>(n) : sum;
    Var<float> out(sum);
    for (uint32_t m = 0; m < c_.num_weights; ++m) {
      if (!bias_[m]) continue;
      $if (matrix_ == m) {
        out = sum + bias_[m]->load<Storage::f32>(n);
      }
    }
    return out;
  }
  void write(Val<uint32_t> t, Val<uint32_t> n, const std::array<Val<float>, 2>& total) const {
    const Buffer to = y_.at(t, y_stride_ * 4u);
    const Val<uint32_t> column = y_column_ + n;
    const Val<float> first = finished(total[0], 0, n);
    write_epilogue(to, column, c_.epilogue, first, gated_ ? finished(total[1], 1, n) : first);
  }

  void write_registers() {
    const uint32_t each = frags_n_ / num_matrices();
    const uint32_t numbers = kFragment * kFragment / lanes_;
    for (uint32_t i = 0; i < frags_m_; ++i) {
      for (uint32_t j = 0; j < each; ++j) {
        const Fragment first = sums_[i * frags_n_ + j].get();
        const Fragment second = sums_[i * frags_n_ + j + (gated_ ? each : 0)].get();
        for (uint32_t e = 0; e < numbers; ++e) {
          const Val<uint32_t> t =
              first_t_ + subgroup_m() * (frags_m_ * kFragment) + i * kFragment + Fragment::row(e);
          const Val<uint32_t> n =
              first_n_ + subgroup_n() * (each * kFragment) + j * kFragment + Fragment::column(e);
          $if ((t < num_rows_) & (n < out_dim_)) {
            write(t, n, {first.get(e), second.get(e)});
          }
        }
      }
    }
  }

  /// The ring is free now: each subgroup passes one fragment (two when gated) at a time through its part of
  /// it.
  void write_through_memory() {
    const uint32_t each = frags_n_ / num_matrices();
    const uint32_t area = kFragment * kFragment;
    const Val<uint32_t> mine = subgroup_id() * (area * num_matrices());
    for (uint32_t i = 0; i < frags_m_; ++i) {
      for (uint32_t j = 0; j < each; ++j) {
        subgroup_barrier();
        for (uint32_t m = 0; m < num_matrices(); ++m) {
          sums_[i * frags_n_ + j + m * each].get().store(ring_, mine + m * area, kFragment);
        }
        subgroup_barrier();
        for (uint32_t e = 0; e < area; e += lanes_) {
          const Val<uint32_t> place = lane_id() + e;
          const Val<uint32_t> t =
              first_t_ + subgroup_m() * (frags_m_ * kFragment) + i * kFragment + place / kFragment;
          const Val<uint32_t> n =
              first_n_ + subgroup_n() * (each * kFragment) + j * kFragment + place % kFragment;
          const Val<float> first = f32_of_bits(ring_.load(mine + place));
          const Val<float> second = gated_ ? f32_of_bits(ring_.load(mine + area + place)) : first;
          $if ((t < num_rows_) & (n < out_dim_)) {
            write(t, n, {first, second});
          }
        }
      }
    }
  }

  Val<uint32_t> subgroup_m() const { return subgroup_ / uint32_t{c_.subgroups_n}; }
  Val<uint32_t> subgroup_n() const { return subgroup_ % uint32_t{c_.subgroups_n}; }

  struct Copy {
    Buffer row;            // of the source
    Val<uint32_t> target;  // word within a stage
  };

  LinearMatrixComptime c_;
  bool gated_, transparent_;
  uint32_t lanes_, threads_, tile_m_, tile_n_, depth_, pitch_, frags_m_, frags_n_;
  Storage storage_;
  KernelScope k_;
  Buffer x_ = k_.input("x"), y_ = k_.output("y");
  std::vector<Buffer> weights_;
  std::optional<Buffer> bias_[3];
  Val<uint32_t> num_rows_ = TT_PARAM(k_, LinearParams, num_rows);
  Val<uint32_t> in_dim_ = TT_PARAM(k_, LinearParams, in_dim);
  Val<uint32_t> y_stride_ = TT_PARAM(k_, LinearParams, y_stride);
  Val<uint32_t> matrix_ = 0u, out_dim_ = out_dim(0), y_column_ = 0u;  // of the workgroup's tile
  Val<uint32_t> tid_ = local_id(), subgroup_ = subgroup_id();
  Val<uint32_t> first_t_ = workgroup_id(0) * tile_m_, first_n_ = 0u;
  Shared<uint32_t> ring_{"ring", c_.stages* stage_elements() / 2};
  std::vector<Copy> x_copies_, weight_copies_;
  std::vector<FragmentVar> sums_;  // [frags_m][frags_n]
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  return Body(target, *static_cast<const LinearMatrixComptime*>(comptime)).trace();
}

/// A row of f32 to f16 or bf16; a thread takes eight numbers. f16 saturates instead of overflowing.
ir::Kernel trace_round(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const RoundRowsComptime*>(comptime);
  const uint32_t threads = preferred_threads(target, 256);
  KernelScope k("round_rows", threads, target);
  const Buffer x = k.input("x"), out = k.output("out");
  const Val<uint32_t> num_rows = TT_PARAM(k, RoundRowsParams, num_rows);
  const Val<uint32_t> dim = TT_PARAM(k, RoundRowsParams, dim);
  const Val<uint32_t> stride = TT_PARAM(k, RoundRowsParams, stride);
  const Val<uint32_t> chunk = workgroup_id(0) * threads + local_id();
  constexpr float kMaxF16 = 65504.0f;
  $for (t, workgroup_id(1), num_rows, num_workgroups(1)) {
    $if (chunk < dim / 8u) {
      std::array<Val<float>, 8> v = load_chunk(x.at(t, stride * 4u), DType::f32, chunk);
      if (c.element == DType::f16) {
        for (Val<float>& x_i : v) x_i = max(min(x_i, kMaxF16), -kMaxF16);
      }
      store_chunk(out.at(t, dim * 2u), c.element, chunk, v);
    }
  }
  return k.finish();
}

}  // namespace

const KernelBody kLinearMatrix = {"linear_matrix", trace};
const KernelBody kRoundRows = {"round_rows", trace_round};

}  // namespace tattletale

// linear for few rows of x: bound by reading the weights, so each is read once, in the widest loads its
// format has, by lanes that stride along a row; a subgroup keeps a few rows in flight.
#include "kernels/body_parts.h"
#include "kernels/linear_bodies.h"
#include "kernels/linear_epilogue.h"
#include "kernels/matrix_reader.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

class Body {
 public:
  Body(const ir::TargetInfo& target, const LinearRowsComptime& c)
      : c_(c),
        gated_(is_gated(c.epilogue)),
        lanes_(target.subgroup_size),
        k_("linear_rows", c.num_subgroups * target.subgroup_size, target) {}

  ir::Kernel trace() {
    for (uint32_t i = 0; i < c_.num_weights; ++i) {
      weights_.push_back(k_.input("weight" + std::to_string(i)));
      out_dim_.push_back(
          k_.param<uint32_t>("out_dim" + std::to_string(i), offsetof(LinearParams, out_dim) / 4 + i));
    }
    for (uint32_t i = 0; i < 3; ++i) {
      if (c_.has_bias[i] != 0) bias_[i].emplace(k_.input("bias" + std::to_string(i)));
    }
    block(0, workgroup_id(0), 0u);
    return k_.finish();
  }

 private:
  /// Finds the matrix that workgroup `index` belongs to: matrix `i` or one behind it.
  void block(uint32_t i, Val<uint32_t> index, Val<uint32_t> y_column) {
    if (gated_ || i + 1 == c_.num_weights) {
      rows_of(i, index, y_column);
      return;
    }
    const uint32_t rows = linear_rows_block(c_);
    const Val<uint32_t> blocks = (out_dim_[i] + (rows - 1)) / rows;
    $if (index < blocks) {
      rows_of(i, index, y_column);
    }
    $else {
      block(i + 1, index - blocks, y_column + out_dim_[i]);
    }
  }

  void rows_of(uint32_t matrix, Val<uint32_t> index, Val<uint32_t> y_column) {
    const uint32_t num_matrices = gated_ ? 2 : 1;
    const Val<uint32_t> team = subgroup_id() / uint32_t{c_.split}, part = subgroup_id() % uint32_t{c_.split};
    const Val<uint32_t> first_n = index * linear_rows_block(c_) + team * uint32_t{c_.weight_rows};
    const Val<uint32_t> first_t = workgroup_id(1) * uint32_t{c_.x_rows};
    const Val<uint32_t> last_n = out_dim_[matrix] - 1u, last_t = num_rows_ - 1u;
    std::vector<MatrixReader> readers;
    for (uint32_t m = 0; m < num_matrices; ++m) {
      readers.emplace_back(c_.dtype[matrix + m], weights_[matrix + m], out_dim_[matrix + m], in_dim_);
    }
    // Rows past the end read the last one and are not written.
    std::vector<Val<uint32_t>> n, t;
    for (uint32_t r = 0; r < c_.weight_rows; ++r) n.push_back(min(first_n + r, last_n));
    for (uint32_t r = 0; r < c_.x_rows; ++r) t.push_back(min(first_t + r, last_t));
    std::vector<Var<float>> sums;  // [matrix][weight row][x row]
    for (uint32_t i = 0; i < num_matrices * c_.weight_rows * c_.x_rows; ++i) sums.emplace_back(0.0f);
    const auto sum_at = [&](uint32_t m, uint32_t r, uint32_t x) -> Var<float>& {
      return sums[(m * c_.weight_rows + r) * c_.x_rows + x];
    };
    const Val<uint32_t> num_chunks = in_dim_ / uint32_t{c_.chunk};
    $for (chunk, part * lanes_ + lane_id(), num_chunks, lanes_ * c_.split, c_.unroll) {
      std::vector<std::vector<Val<float>>> x;
      for (uint32_t r = 0; r < c_.x_rows; ++r) x.push_back(load_x(t[r], chunk));
      for (uint32_t m = 0; m < num_matrices; ++m) {
        for (uint32_t r = 0; r < c_.weight_rows; ++r) {
          const std::vector<Val<float>> w = load_weights(readers[m], n[r], chunk);
          for (uint32_t row = 0; row < c_.x_rows; ++row) {
            Var<float>& sum = sum_at(m, r, row);
            Val<float> s = sum;
            for (uint32_t i = 0; i < c_.chunk; ++i) s = fma(w[i], x[row][i], s);
            sum = s;
          }
        }
      }
    }
    std::vector<Val<float>> totals;
    for (const Var<float>& sum : sums) totals.push_back(subgroup_add(sum.get()));
    if (c_.split > 1) join_parts(totals);
    for (uint32_t r = 0; r < c_.weight_rows; ++r) {
      for (uint32_t row = 0; row < c_.x_rows; ++row) {
        std::vector<Val<float>> total;
        for (uint32_t m = 0; m < num_matrices; ++m) {
          Val<float> sum = totals[(m * c_.weight_rows + r) * c_.x_rows + row];
          if (bias_[matrix + m]) sum = sum + bias_[matrix + m]->load<Storage::f32>(n[r]);
          total.push_back(sum);
        }
        $if ((part == 0u) & (lane_id() == 0u) & (first_n + r <= last_n) & (first_t + row <= last_t)) {
          write(t[row], y_column + n[r], total);
        }
      }
    }
  }

  /// The sums of the subgroups that share rows, added in a fixed order; right in the first subgroup of each
  /// team.
  void join_parts(std::vector<Val<float>>& totals) {
    const uint32_t width = static_cast<uint32_t>(totals.size());
    if (!parts_) parts_.emplace("parts", c_.num_subgroups * width);
    $if (lane_id() == 0u) {
      for (uint32_t i = 0; i < width; ++i) parts_->store(subgroup_id() * width + i, totals[i]);
    }
    barrier();
    for (uint32_t i = 0; i < width; ++i) {
      Val<float> sum = parts_->load(subgroup_id() * width + i);
      for (uint32_t p = 1; p < c_.split; ++p) {
        // Behind the last subgroup there is nothing; what the others read there is not used.
        const Val<uint32_t> other = min(subgroup_id() + p, c_.num_subgroups - 1u);
        sum = sum + parts_->load(other * width + i);
      }
      totals[i] = sum;
    }
  }

  std::vector<Val<float>> load_x(Val<uint32_t> t, Val<uint32_t> chunk) const {
    const Buffer from = x_.at(t, x_stride_ * 4u);
    std::vector<Val<float>> x;
    if (c_.chunk == 8 && c_.aligned_x != 0) {
      for (const Val<float>& v : load_chunk(from, DType::f32, chunk)) x.push_back(v);
    } else {
      for (uint32_t i = 0; i < c_.chunk; ++i) {
        x.push_back(from.load<Storage::f32>(chunk * uint32_t{c_.chunk} + i));
      }
    }
    return x;
  }
  std::vector<Val<float>> load_weights(const MatrixReader& reader, Val<uint32_t> n,
                                       Val<uint32_t> chunk) const {
    if (c_.chunk == 1) return {reader.load1(n, chunk)};
    const std::array<Val<float>, 8> w = reader.load8(n, chunk);
    return {w.begin(), w.end()};
  }

  void write(Val<uint32_t> t, Val<uint32_t> column, const std::vector<Val<float>>& total) const {
    const Buffer to = y_.at(t, y_stride_ * 4u);
    write_epilogue(to, column, c_.epilogue, total.front(), total.back());
  }

  LinearRowsComptime c_;
  bool gated_;
  uint32_t lanes_;
  KernelScope k_;
  Buffer x_ = k_.input("x"), y_ = k_.output("y");
  std::vector<Buffer> weights_;
  std::optional<Buffer> bias_[3];
  std::optional<Shared<float>> parts_;
  Val<uint32_t> num_rows_ = TT_PARAM(k_, LinearParams, num_rows);
  Val<uint32_t> in_dim_ = TT_PARAM(k_, LinearParams, in_dim);
  std::vector<Val<uint32_t>> out_dim_;
  Val<uint32_t> x_stride_ = TT_PARAM(k_, LinearParams, x_stride);
  Val<uint32_t> y_stride_ = TT_PARAM(k_, LinearParams, y_stride);
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  return Body(target, *static_cast<const LinearRowsComptime*>(comptime)).trace();
}

}  // namespace

const KernelBody kLinearRows = {"linear_rows", trace};

}  // namespace tattletale

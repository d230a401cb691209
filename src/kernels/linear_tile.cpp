// linear for many rows of x on targets without matrix units: a workgroup computes 64 x 64 results, both
// operands pass through workgroup memory as f32, and each thread keeps a square of sums in registers.
#include "kernels/body_parts.h"
#include "kernels/linear_bodies.h"
#include "kernels/linear_epilogue.h"
#include "kernels/matrix_reader.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

constexpr uint32_t kDepth = 16;  // of a step along in_dim
constexpr uint32_t kPitch =
    kDepth + 1;  // words of a row in workgroup memory; odd: lanes fall on distinct banks

class Body {
 public:
  Body(const ir::TargetInfo& target, const LinearTileComptime& c)
      : c_(c),
        num_matrices_(is_gated(c.epilogue) ? 2 : 1),
        side_(preferred_threads(target, 256) >= 256 ? 4 : 8),
        threads_((kLinearTileDim / side_) * (kLinearTileDim / side_)),
        k_("linear_tile", threads_, target) {}

  ir::Kernel trace() {
    for (uint32_t m = 0; m < num_matrices_; ++m) {
      weights_.push_back(k_.input("weight" + std::to_string(m)));
      w_tile_.emplace_back("w_tile" + std::to_string(m), kLinearTileDim * kPitch);
    }
    for (uint32_t m = 0; m < num_matrices_; ++m) {
      if (c_.has_bias[m] != 0) bias_[m].emplace(k_.input("bias" + std::to_string(m)));
      readers_.emplace_back(c_.dtype[m], weights_[m], out_dim_, in_dim_);
      for (uint32_t i = 0; i < side_ * side_; ++i) sums_.emplace_back(0.0f);
    }
    $for (k0, 0u, in_dim_, kDepth) {
      load_x(k0);
      for (uint32_t m = 0; m < num_matrices_; ++m) load_weights(m, k0);
      barrier();
      $for (kk, 0u, kDepth) {
        multiply(kk);
      }
      barrier();
    }
    write();
    return k_.finish();
  }

 private:
  uint32_t per_side() const { return kLinearTileDim / side_; }
  /// Thread (tx, ty) owns columns tx + i * per_side() and rows ty + j * per_side().
  Val<uint32_t> tx() const { return tid_ % per_side(); }
  Val<uint32_t> ty() const { return tid_ / per_side(); }

  void load_x(Val<uint32_t> k0) {
    $for (i, tid_, kLinearTileDim * kDepth / 4, threads_) {
      const Val<uint32_t> row = i / (kDepth / 4), quad = i % (kDepth / 4);
      const Val<uint32_t> t = min(first_t_ + row, num_rows_ - 1u);
      const Vec<float, 4> v = x_.at(t, x_stride_ * 4u).load_vec<float, 4>(k0 + quad * 4u);
      for (uint32_t n = 0; n < 4; ++n) x_tile_.store(row * kPitch + quad * 4u + n, v[n]);
    }
  }
  void load_weights(uint32_t m, Val<uint32_t> k0) {
    $for (i, tid_, kLinearTileDim * kDepth / 8, threads_) {
      const Val<uint32_t> row = i / (kDepth / 8), chunk = i % (kDepth / 8);
      const Val<uint32_t> n = min(first_n_ + row, out_dim_ - 1u);
      const std::array<Val<float>, 8> w = readers_[m].load8(n, k0 / 8u + chunk);
      for (uint32_t e = 0; e < 8; ++e) w_tile_[m].store(row * kPitch + chunk * 8u + e, w[e]);
    }
  }
  void multiply(Val<uint32_t> kk) {
    std::vector<Val<float>> x;
    for (uint32_t j = 0; j < side_; ++j) x.push_back(x_tile_.load((ty() + j * per_side()) * kPitch + kk));
    for (uint32_t m = 0; m < num_matrices_; ++m) {
      for (uint32_t i = 0; i < side_; ++i) {
        const Val<float> w = w_tile_[m].load((tx() + i * per_side()) * kPitch + kk);
        for (uint32_t j = 0; j < side_; ++j) {
          Var<float>& sum = sums_[(m * side_ + j) * side_ + i];
          sum = fma(w, x[j], sum);
        }
      }
    }
  }
  void write() {
    for (uint32_t j = 0; j < side_; ++j) {
      const Val<uint32_t> t = first_t_ + ty() + j * per_side();
      for (uint32_t i = 0; i < side_; ++i) {
        const Val<uint32_t> n = first_n_ + tx() + i * per_side();
        $if ((t < num_rows_) & (n < out_dim_)) {
          std::vector<Val<float>> total;
          for (uint32_t m = 0; m < num_matrices_; ++m) {
            Val<float> sum = sums_[(m * side_ + j) * side_ + i];
            if (bias_[m]) sum = sum + bias_[m]->load<Storage::f32>(n);
            total.push_back(sum);
          }
          const Buffer to = y_.at(t, y_stride_ * 4u);
          const Val<uint32_t> column = y_column_ + n;
          write_epilogue(to, column, c_.epilogue, total.front(), total.back());
        }
      }
    }
  }

  LinearTileComptime c_;
  uint32_t num_matrices_, side_, threads_;
  KernelScope k_;
  Buffer x_ = k_.input("x"), y_ = k_.output("y");
  std::vector<Buffer> weights_;
  std::optional<Buffer> bias_[2];
  Val<uint32_t> num_rows_ = TT_PARAM(k_, LinearTileParams, num_rows);
  Val<uint32_t> in_dim_ = TT_PARAM(k_, LinearTileParams, in_dim);
  Val<uint32_t> out_dim_ = TT_PARAM(k_, LinearTileParams, out_dim);
  Val<uint32_t> x_stride_ = TT_PARAM(k_, LinearTileParams, x_stride);
  Val<uint32_t> y_stride_ = TT_PARAM(k_, LinearTileParams, y_stride);
  Val<uint32_t> y_column_ = TT_PARAM(k_, LinearTileParams, y_column);
  Val<uint32_t> tid_ = local_id();
  Val<uint32_t> first_n_ = workgroup_id(0) * kLinearTileDim, first_t_ = workgroup_id(1) * kLinearTileDim;
  std::vector<MatrixReader> readers_;
  Shared<float> x_tile_{"x_tile", kLinearTileDim* kPitch};
  std::vector<Shared<float>> w_tile_;
  std::vector<Var<float>> sums_;  // [matrix][row][column]
};

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  return Body(target, *static_cast<const LinearTileComptime*>(comptime)).trace();
}

}  // namespace

const KernelBody kLinearTile = {"linear_tile", trace};

}  // namespace tattletale

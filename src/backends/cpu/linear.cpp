// The CPU's linear kernel: splits a launch into panels of 16 weight rows, shared out between threads as they
// come free, and finishes each panel with the bias and the epilogue. The arithmetic is in linear_isa.cpp.
#include "kernels/linear.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/cpu_kernel.h"
#include "backends/cpu/linear_amx.h"
#include "backends/cpu/linear_panel.h"
#include "base/check.h"

namespace tattletale::cpu {

namespace {
constexpr uint64_t align64(uint64_t n) {
  return (n + 63) & ~uint64_t{63};
}
}  // namespace

uint64_t QuantizedRows::bytes(uint64_t num_tokens, uint64_t k) {
  return align64(num_tokens * k) + 3 * align64(num_tokens * k / 8) + 2 * align64(num_tokens * k / 4);
}

QuantizedRows QuantizedRows::at(std::byte* memory, uint64_t num_tokens, uint64_t k) {
  const auto take = [&](uint64_t size) {
    std::byte* here = memory;
    memory += align64(size);
    return here;
  };
  QuantizedRows rows;
  rows.q = reinterpret_cast<int8_t*>(take(num_tokens * k));
  rows.scale = reinterpret_cast<float*>(take(num_tokens * k / 8));
  rows.sum32 = reinterpret_cast<float*>(take(num_tokens * k / 8));
  rows.isum32 = reinterpret_cast<int32_t*>(take(num_tokens * k / 8));
  rows.sum16 = reinterpret_cast<float*>(take(num_tokens * k / 4));
  rows.isum16 = reinterpret_cast<int32_t*>(take(num_tokens * k / 4));
  return rows;
}

uint64_t PackedPanel::bytes(uint64_t k) {
  return align64(16 * k) + 2 * align64(k / 16 * 64);
}

PackedPanel PackedPanel::at(std::byte* memory, uint64_t k) {
  PackedPanel panel;
  panel.q = reinterpret_cast<uint8_t*>(memory);
  memory += align64(16 * k);
  panel.scale = reinterpret_cast<float*>(memory);
  memory += align64(k / 16 * 64);
  panel.min = reinterpret_cast<float*>(memory);
  return panel;
}

namespace {

constexpr uint64_t kTokenBlock = 256;          // tokens whose sums a thread holds at a time
constexpr uint64_t kMaxStrideBytes = 1 << 26;  // 16 rows must lie within 2^31 bytes
constexpr uint64_t kCachedBytes = 64 << 20;    // a matrix above this is read from memory at every token
constexpr uint64_t kUnitBytes = 32 << 10;      // weights a thread takes at a time when decoding

bool is_gated(LinearEpilogue epilogue) {
  return epilogue == LinearEpilogue::silu_mul || epilogue == LinearEpilogue::gelu_tanh_mul;
}

struct Job {
  LinearEpilogue epilogue;
  LinearParams p;
  const float* x;
  float* y;
  std::array<LinearMatrix, 3> matrix;
  uint32_t num_matrices;
  bool any_packed = false;
};

Job make_job(const Launch& launch) {
  const auto& comptime = launch.comptime_as<LinearComptime>();
  Job job{comptime.epilogue,
          launch.params_as<LinearParams>(),
          launch.bindings[0].as<float>(),
          launch.bindings[1].as<float>(),
          {},
          comptime.num_weights};
  CHECK(comptime.num_weights >= 1 && comptime.num_weights <= 3);
  CHECK(!is_gated(job.epilogue) || (job.num_matrices == 2 && job.p.out_dim[0] == job.p.out_dim[1]));
  uint32_t y_column = 0;
  for (uint32_t i = 0; i < job.num_matrices; ++i) {
    LinearMatrix& matrix = job.matrix[i];
    matrix.dtype = comptime.weight_dtype[i];
    matrix.data = launch.bindings[2 + i].data;
    const auto bytes = row_bytes(matrix.dtype, job.p.in_dim);
    CHECK(bytes.has_value());
    matrix.row_bytes = *bytes;
    matrix.num_rows = job.p.out_dim[i];
    CHECK(launch.bindings[2 + i].size_bytes >= matrix.row_bytes * matrix.num_rows);
    matrix.bias = launch.bindings[5 + i].as<float>();
    matrix.y_column = y_column;
    if (!is_gated(job.epilogue)) y_column += matrix.num_rows;
    job.any_packed |= is_packed_linear_dtype(matrix.dtype);
  }
  return job;
}

/// The part of shared scratch that belongs to one thread.
struct ThreadScratch {
  PackedPanel panel[2];
  float* acc[2];

  static uint64_t bytes(uint64_t k) {
    return 2 * PackedPanel::bytes(k) + 2 * kTokenBlock * kPanelRows * sizeof(float);
  }
  static ThreadScratch at(std::byte* memory, uint64_t k) {
    ThreadScratch scratch;
    for (int i = 0; i < 2; ++i) {
      scratch.panel[i] = PackedPanel::at(memory, k);
      memory += PackedPanel::bytes(k);
    }
    for (int i = 0; i < 2; ++i) {
      scratch.acc[i] = reinterpret_cast<float*>(memory);
      memory += kTokenBlock * kPanelRows * sizeof(float);
    }
    return scratch;
  }
};

const uint8_t* row_of(const LinearMatrix& matrix, uint64_t row) {
  return reinterpret_cast<const uint8_t*>(matrix.data) + row * matrix.row_bytes;
}

PanelRows panel_rows(const LinearMatrix& matrix, uint64_t row0) {
  PanelRows rows;
  rows.stride_bytes =
      row0 + kPanelRows <= matrix.num_rows && matrix.row_bytes < kMaxStrideBytes ? matrix.row_bytes : 0;
  rows.from_memory = matrix.num_rows * matrix.row_bytes > kCachedBytes;
  for (uint64_t r = 0; r < kPanelRows; ++r) {
    rows.row[r] = row_of(matrix, std::min<uint64_t>(row0 + r, matrix.num_rows - 1));
  }
  return rows;
}

/// One thread's walk over the panels it takes.
class Worker {
 public:
  /// `tiles` is null unless the packed matrices go through AMX.
  Worker(const Job& job, const QuantizedRows& x, const TiledRows* tiles, const ThreadScratch& scratch)
      : job_(job), x_(x), tiles_(tiles), scratch_(scratch), isa_(linear_isa()) {}

  /// 16 rows of matrix `first` (and of the one after it, when gated), for all tokens. `next_row0` is the
  /// panel of the same matrix that will follow, or none past the end.
  void run_panel(uint32_t first, uint64_t row0, uint64_t next_row0) {
    const uint32_t num = is_gated(job_.epilogue) ? 2 : 1;
    const uint64_t num_tokens = job_.p.num_rows;
    PanelRows rows[2];
    for (uint32_t i = 0; i < num; ++i) {
      const LinearMatrix& matrix = job_.matrix[first + i];
      rows[i] = panel_rows(matrix, row0);
      rows[i].next = next_row0 + kPanelRows <= matrix.num_rows ? row_of(matrix, next_row0) : nullptr;
      if (num_tokens > 1 && is_packed_linear_dtype(matrix.dtype)) {
        isa_.pack(matrix.dtype, rows[i], job_.p.in_dim, scratch_.panel[i]);
        if (tiles_ != nullptr) amx_center_panel(matrix.dtype, scratch_.panel[i], job_.p.in_dim);
      }
    }
    for (uint64_t t0 = 0; t0 < num_tokens; t0 += kTokenBlock) {
      const uint64_t t1 = std::min(num_tokens, t0 + kTokenBlock);
      for (uint32_t i = 0; i < num; ++i)
        sums(job_.matrix[first + i], rows[i], scratch_.panel[i], row0, t0, t1, scratch_.acc[i]);
      finish(job_.matrix[first], row0, t0, t1);
    }
  }

 private:
  void sums(const LinearMatrix& matrix, const PanelRows& rows, const PackedPanel& panel, uint64_t row0,
            uint64_t t0, uint64_t t1, float* acc) {
    const uint64_t k = job_.p.in_dim;
    if (!is_packed_linear_dtype(matrix.dtype)) {
      isa_.dot_float(matrix.dtype, rows, job_.x, job_.p.x_stride, k, t0, t1, acc);
    } else if (job_.p.num_rows == 1) {
      isa_.dot_stored(matrix.dtype, rows, x_, k, 0, panel, acc);
    } else if (tiles_ != nullptr) {
      amx_dot(matrix.dtype, panel, *tiles_, k, t0, t1, acc);
    } else {
      isa_.dot(matrix.dtype, panel, x_, k, t0, t1, acc);
    }
    if (matrix.bias == nullptr) return;
    const uint64_t n = std::min<uint64_t>(kPanelRows, matrix.num_rows - row0);
    for (uint64_t t = 0; t < t1 - t0; ++t) {
      for (uint64_t r = 0; r < n; ++r) acc[t * kPanelRows + r] += matrix.bias[row0 + r];
    }
  }

  void finish(const LinearMatrix& matrix, uint64_t row0, uint64_t t0, uint64_t t1) {
    float* acc = scratch_.acc[0];
    const uint64_t size = (t1 - t0) * kPanelRows;
    if (job_.epilogue == LinearEpilogue::silu_mul) isa_.silu_mul(acc, scratch_.acc[1], acc, size);
    if (job_.epilogue == LinearEpilogue::gelu_tanh_mul) isa_.gelu_tanh_mul(acc, scratch_.acc[1], acc, size);
    const uint64_t n = std::min<uint64_t>(kPanelRows, matrix.num_rows - row0);
    for (uint64_t t = t0; t < t1; ++t) {
      float* y = job_.y + t * job_.p.y_stride + matrix.y_column + row0;
      const float* from = acc + (t - t0) * kPanelRows;
      if (job_.epilogue == LinearEpilogue::add) {
        for (uint64_t r = 0; r < n; ++r) y[r] += from[r];
      } else if (n == kPanelRows) {
        std::memcpy(y, from, kPanelRows * sizeof(float));  // a known size: a few moves, not a call
      } else {
        std::memcpy(y, from, n * sizeof(float));
      }
    }
  }

  const Job& job_;
  const QuantizedRows& x_;
  const TiledRows* tiles_;
  ThreadScratch scratch_;
  const LinearIsa& isa_;
};

void run(const Launch& launch) {
  const Job job = make_job(launch);
  const uint64_t k = job.p.in_dim, num_tokens = job.p.num_rows;
  if (num_tokens == 0) return;  // for every thread alike
  const Team& team = launch.team;
  std::byte* memory = team.shared_scratch.data();
  const uint64_t thread_bytes = ThreadScratch::bytes(k);
  const ThreadScratch scratch = ThreadScratch::at(memory + team.thread_index * thread_bytes, k);
  QuantizedRows x;
  TiledRows tiles;
  const bool use_amx = job.any_packed && num_tokens >= kFewestAmxTokens && has_linear_amx();
  if (job.any_packed) {
    memory += team.num_threads * thread_bytes;
    x = QuantizedRows::at(memory, num_tokens, k);
    if (use_amx) tiles = TiledRows::at(memory + QuantizedRows::bytes(num_tokens, k), num_tokens, k);
    const Team::Range mine = team.share(num_tokens);
    for (uint64_t t = mine.begin; t < mine.end; ++t) {
      linear_isa().quantize_row(job.x + t * job.p.x_stride, k, x, t);
      if (use_amx) amx_tile_row(x, k, t, tiles);
    }
    team.sync();
  }
  if (use_amx) amx_begin();
  Worker worker(job, x, use_amx ? &tiles : nullptr, scratch);
  // Panels are numbered through all matrices; a gated pair counts once.
  const uint32_t num_streams = is_gated(job.epilogue) ? 1 : job.num_matrices;
  std::array<uint64_t, 4> first_panel{};
  for (uint32_t i = 0; i < num_streams; ++i) {
    first_panel[i + 1] = first_panel[i] + (job.matrix[i].num_rows + kPanelRows - 1) / kPanelRows;
  }
  const uint64_t total = first_panel[num_streams];
  // Decoding reads long runs of weights; with many tokens a panel is work enough.
  const uint64_t panel_bytes = std::max<uint64_t>(1, job.matrix[0].row_bytes * kPanelRows);
  const uint64_t most = std::max<uint64_t>(1, total / (8 * team.num_threads));
  const uint64_t count = num_tokens > 8 ? 1 : std::clamp<uint64_t>(kUnitBytes / panel_bytes, 1, most);
  // A thread takes one unit ahead, so that it knows what to prefetch.
  uint64_t begin = team.take(count);
  while (begin < total) {
    const uint64_t end = std::min(total, begin + count);
    const uint64_t next_begin = team.take(count);
    for (uint64_t panel = begin; panel < end; ++panel) {
      const uint64_t next = panel + 1 < end ? panel + 1 : next_begin;
      uint32_t i = 0;
      while (panel >= first_panel[i + 1]) ++i;
      const uint64_t next_row0 =
          next < first_panel[i + 1] ? (next - first_panel[i]) * kPanelRows : UINT32_MAX;
      worker.run_panel(i, (panel - first_panel[i]) * kPanelRows, next_row0);
    }
    begin = next_begin;
  }
  if (use_amx) amx_end();
}

uint64_t scratch_bytes(const void* comptime_bytes, const void* params_bytes, uint32_t num_threads) {
  const auto& comptime = *static_cast<const LinearComptime*>(comptime_bytes);
  const auto& p = *static_cast<const LinearParams*>(params_bytes);
  bool any_packed = false;
  for (uint32_t i = 0; i < comptime.num_weights; ++i)
    any_packed |= is_packed_linear_dtype(comptime.weight_dtype[i]);
  uint64_t bytes = num_threads * ThreadScratch::bytes(p.in_dim);
  if (any_packed) bytes += QuantizedRows::bytes(p.num_rows, p.in_dim);
  if (any_packed && p.num_rows >= kFewestAmxTokens && has_linear_amx())
    bytes += TiledRows::bytes(p.num_rows, p.in_dim);
  return bytes;
}

bool supports(const void* comptime_bytes) {
  const auto& comptime = *static_cast<const LinearComptime*>(comptime_bytes);
  if (comptime.num_weights < 1 || comptime.num_weights > 3) return false;
  for (uint32_t i = 0; i < comptime.num_weights; ++i) {
    if (!is_packed_linear_dtype(comptime.weight_dtype[i]) && !is_float_linear_dtype(comptime.weight_dtype[i]))
      return false;
  }
  return true;
}

}  // namespace

const CpuKernel kLinearCpu = {
    .contract = &kLinearContract, .run = run, .scratch_bytes = scratch_bytes, .supports = supports};

}  // namespace tattletale::cpu

// Every kernel of a decode or prefill step at the shapes of a real model, on one device, against what it must
// move and compute.
//
//   bench_kernel_roofline --device cuda:0 [--shape llama3-1b] [--dtype bf16] [--tokens 1] [--context 512]
//
// A list holds many launches over rotating weights, so that caches hold no weight from the last turn; it is
// recorded once and timed over several submissions, the best of which is printed. "share" is of the copy
// bandwidth measured in the same run (bytes read plus written), or, for tokens > 1, left out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "capi/open_device.h"
#include "kernels/op_recorder.h"
#include "quant/block_format.h"
#include "tensor/dtype.h"

namespace tattletale {
namespace {

struct ModelShape {
  const char* name;
  uint32_t hidden, ffn, q_heads, kv_heads, head_dim, vocab;
};
constexpr ModelShape kShapes[] = {{"qwen3-0.6b", 1024, 3072, 16, 8, 128, 151936},
                                  {"llama3-1b", 2048, 8192, 32, 8, 64, 128256},
                                  {"llama3-8b", 4096, 14336, 32, 8, 128, 128256}};
constexpr uint64_t kRotatedBytes = 400u << 20;
constexpr uint32_t kPageTokens = 64;

struct Options {
  std::string device = "cpu";
  std::string shape = "llama3-1b";
  std::string dtype = "bf16";
  uint32_t tokens = 1;
  uint32_t context = 512;
};

class Roofline {
 public:
  Roofline(Device& device, const Options& options, const ModelShape& shape)
      : device_(device), kernels_(device), options_(options), shape_(shape) {
    dtype_ = dtype_from_name(options.dtype).value();
  }

  Result<void> run() {
    const uint32_t t = options_.tokens, h = shape_.hidden,
                   qkv = (shape_.q_heads + 2 * shape_.kv_heads) * shape_.head_dim;
    const uint32_t q = shape_.q_heads * shape_.head_dim, kv = shape_.kv_heads * shape_.head_dim;
    std::printf("%s, %s, %s, %u tokens, context %u\n", device_.caps().name.c_str(), shape_.name,
                options_.dtype.c_str(), t, options_.context);
    TT_TRY(copy_bandwidth());
    TT_TRY(linear("qkv", h, {q, kv, kv}, LinearEpilogue::store));
    TT_TRY(linear("o", q, {h}, LinearEpilogue::add));
    TT_TRY(linear("gate_up", h, {shape_.ffn, shape_.ffn}, LinearEpilogue::silu_mul));
    TT_TRY(linear("down", shape_.ffn, {h}, LinearEpilogue::add));
    if (t <= 64) {
      TT_TRY(linear("head", h, {shape_.vocab}, LinearEpilogue::store));
    }
    TT_TRY(norm());
    TT_TRY(attention(qkv));
    return {};
  }

 private:
  Result<DeviceTensor> tensor(DType dtype, int64_t rows, int64_t columns) {
    const Shape shape{rows, columns};
    const uint64_t bytes = *shape.num_bytes(dtype);
    TT_ASSIGN(const BufferId buffer, device_.create_buffer(bytes, "bench"));
    buffers_.push_back(buffer);
    return DeviceTensor{dtype, shape, {buffer, 0, bytes}};
  }
  Result<DeviceTensor> matrix(uint32_t rows, uint32_t columns) {
    const uint64_t row = row_bytes(dtype_, columns).value();
    std::vector<std::byte> bytes(row * rows);
    for (uint32_t r = 0; r < rows; ++r) {
      block_format(dtype_).fill_random_row(bytes.data() + r * row, columns, r % 64, 0.02f);
    }
    TT_ASSIGN(const BufferSlice slice, device_.create_matrix(dtype_, rows, columns, bytes, nullptr, "bench"));
    buffers_.push_back(slice.buffer);
    return DeviceTensor{dtype_, Shape{int64_t{rows}, int64_t{columns}}, slice};
  }
  void release() {
    for (const BufferId buffer : buffers_) device_.destroy_buffer(buffer);
    buffers_.clear();
  }

  /// Microseconds of one of the `launches` launches in `list`.
  Result<double> time(const CommandList& list, size_t launches) {
    TT_ASSIGN(const ListId recorded, device_.record(list));
    double best = 1e30;
    for (int turn = 0; turn < 6; ++turn) {
      const auto start = std::chrono::steady_clock::now();
      TT_ASSIGN(const Submission done, device_.submit(recorded));
      TT_TRY(device_.wait(done));
      const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - start;
      if (turn > 0) best = std::min(best, elapsed.count());
    }
    device_.destroy_list(recorded);
    return best / static_cast<double>(launches);
  }

  void print(const char* name, double us, double bytes, double flops) {
    std::printf("  %-10s %9.2f us  %8.1f GB/s", name, us, bytes / us * 1e-3);
    if (options_.tokens == 1 && copy_gb_s_ > 0)
      std::printf("  %5.1f %% of copy", bytes / us * 1e-1 / copy_gb_s_);
    if (flops > 0) std::printf("  %8.2f TFLOP/s", flops / us * 1e-6);
    std::printf("\n");
  }

  Result<void> copy_bandwidth() {
    // gather_rows of a large matrix: reads and writes every byte once.
    const uint32_t rows = 4096, columns = 16384;
    TT_ASSIGN(const DeviceTensor x, tensor(DType::f32, rows, columns));
    TT_ASSIGN(const DeviceTensor y, tensor(DType::f32, rows, columns));
    TT_ASSIGN(DeviceTensor index, tensor(DType::u32, rows, 1));
    std::vector<uint32_t> all(rows);
    for (uint32_t i = 0; i < rows; ++i) all[i] = i;
    TT_TRY(device_.write(index.slice.buffer, 0, std::as_bytes(std::span(all))));
    CommandList list;
    OpRecorder ops(kernels_, list);
    for (int i = 0; i < 8; ++i) TT_TRY(ops.gather_rows(index, x, y));
    TT_ASSIGN(const double us, time(list, 8));
    copy_gb_s_ = 2.0 * rows * columns * 4 / us * 1e-3;
    print("copy", us, 2.0 * rows * columns * 4, 0);
    release();
    return {};
  }

  Result<void> linear(const char* name, uint32_t in_dim, std::vector<uint32_t> out_dims,
                      LinearEpilogue epilogue) {
    const bool gated = epilogue == LinearEpilogue::silu_mul;
    uint64_t weight_bytes = 0, width = 0, rows = 0;
    for (const uint32_t n : out_dims) {
      weight_bytes += row_bytes(dtype_, in_dim).value() * n;
      rows += n;
      width += n;
    }
    if (gated) width = out_dims[0];
    const size_t copies = std::clamp<uint64_t>(kRotatedBytes / weight_bytes, 1, 32);
    TT_ASSIGN(const DeviceTensor x, tensor(DType::f32, options_.tokens, in_dim));
    TT_ASSIGN(const DeviceTensor y, tensor(DType::f32, options_.tokens, static_cast<int64_t>(width)));
    std::vector<std::vector<LinearWeight>> sets(copies);
    for (auto& set : sets) {
      for (const uint32_t n : out_dims) {
        TT_ASSIGN(const DeviceTensor weight, matrix(n, in_dim));
        set.push_back({weight, {}});
      }
    }
    CommandList list;
    OpRecorder ops(kernels_, list);
    const size_t launches = std::max<size_t>(copies, options_.tokens > 64 ? 4 : 32);
    for (size_t i = 0; i < launches; ++i) TT_TRY(ops.linear(x, sets[i % copies], epilogue, y));
    TT_ASSIGN(const double us, time(list, launches));
    print(name, us, static_cast<double>(weight_bytes),
          2.0 * options_.tokens * in_dim * static_cast<double>(rows));
    release();
    return {};
  }

  Result<void> norm() {
    TT_ASSIGN(const DeviceTensor x, tensor(DType::f32, options_.tokens, shape_.hidden));
    TT_ASSIGN(const DeviceTensor y, tensor(DType::f32, options_.tokens, shape_.hidden));
    TT_ASSIGN(DeviceTensor w, tensor(DType::f32, 1, shape_.hidden));
    w.shape = tattletale::Shape{int64_t{shape_.hidden}};
    CommandList list;
    OpRecorder ops(kernels_, list);
    for (int i = 0; i < 64; ++i) TT_TRY(ops.rms_norm(x, w, 1e-5f, 0.0f, y, false));
    TT_ASSIGN(const double us, time(list, 64));
    print("rms_norm", us, 8.0 * options_.tokens * shape_.hidden, 0);
    release();
    return {};
  }

  Result<void> attention(uint32_t qkv_width) {
    const uint32_t t = options_.tokens, context = std::max(options_.context, t);
    const uint32_t pages = (context + kPageTokens - 1) / kPageTokens;
    TT_ASSIGN(const DeviceTensor qkv, tensor(DType::f32, t, qkv_width));
    TT_ASSIGN(const DeviceTensor out, tensor(DType::f32, t, int64_t{shape_.q_heads} * shape_.head_dim));
    std::vector<KvLayer> layers;
    const uint64_t layer_bytes = uint64_t{pages} * kPageTokens * shape_.kv_heads * shape_.head_dim * 2 * 2;
    for (uint64_t i = 0; i < std::clamp<uint64_t>(kRotatedBytes / layer_bytes, 1, 16); ++i) {
      KvLayer layer;
      for (DeviceTensor* part : {&layer.k, &layer.v}) {
        TT_ASSIGN(*part, tensor(DType::f16, int64_t{pages} * shape_.kv_heads * kPageTokens, shape_.head_dim));
        part->shape =
            Shape{int64_t{pages}, int64_t{shape_.kv_heads}, int64_t{kPageTokens}, int64_t{shape_.head_dim}};
      }
      layers.push_back(layer);
    }
    BatchTables batch;
    batch.num_tokens = t;
    batch.num_sequences = 1;
    TT_ASSIGN(batch.sequences, tensor(DType::u32, 1, 4));
    TT_ASSIGN(batch.page_table, tensor(DType::u32, 1, pages));
    TT_ASSIGN(batch.positions, tensor(DType::u32, 1, t));
    TT_ASSIGN(batch.kv_slots, tensor(DType::u64, 1, t));
    TT_ASSIGN(DeviceTensor inv_freq, tensor(DType::f32, 1, shape_.head_dim / 2));
    inv_freq.shape = Shape{int64_t{shape_.head_dim / 2}};
    const BatchSequence sequence{0, t, context, 0};
    std::vector<uint32_t> table(pages), positions(t);
    std::vector<uint64_t> slots(t);
    for (uint32_t i = 0; i < pages; ++i) table[i] = i;
    for (uint32_t i = 0; i < t; ++i) slots[i] = positions[i] = context - t + i;
    TT_TRY(device_.write(batch.sequences.slice.buffer, 0, std::as_bytes(std::span(&sequence, 1))));
    TT_TRY(device_.write(batch.page_table.slice.buffer, 0, std::as_bytes(std::span(table))));
    TT_TRY(device_.write(batch.positions.slice.buffer, 0, std::as_bytes(std::span(positions))));
    TT_TRY(device_.write(batch.kv_slots.slice.buffer, 0, std::as_bytes(std::span(slots))));
    const HeadShape heads{shape_.q_heads, shape_.kv_heads, shape_.head_dim};
    RopeSettings rope;
    rope.inv_freq = inv_freq;
    const size_t launches = t > 64 ? 4 : 32;
    CommandList appends, list;
    OpRecorder append_ops(kernels_, appends), ops(kernels_, list);
    for (size_t i = 0; i < launches; ++i) {
      TT_TRY(append_ops.rope_append(batch, qkv, heads, rope, layers[i % layers.size()]));
      TT_TRY(ops.paged_attention(batch, qkv, heads, layers[i % layers.size()], 0.125f, 0, out));
    }
    TT_ASSIGN(const double append_us, time(appends, launches));
    print("rope", append_us, 4.0 * t * qkv_width * 2, 0);
    TT_ASSIGN(const double us, time(list, launches));
    const double pairs = t * (2.0 * context - t + 1) / 2;
    print("attention", us, static_cast<double>(layer_bytes), 4.0 * pairs * shape_.q_heads * shape_.head_dim);
    release();
    return {};
  }

  Device& device_;
  KernelCache kernels_;
  Options options_;
  ModelShape shape_;
  DType dtype_;
  double copy_gb_s_ = 0;
  std::vector<BufferId> buffers_;
};

Result<void> run(const Options& options) {
  TT_ASSIGN(const std::unique_ptr<Device> device, open_device(options.device, 0));
  for (const ModelShape& shape : kShapes) {
    if (options.shape == shape.name) return Roofline(*device, options, shape).run();
  }
  return make_error(ErrorKind::invalid_argument, "--shape",
                    options.shape + " is none of qwen3-0.6b, llama3-1b, llama3-8b");
}

}  // namespace
}  // namespace tattletale

int main(int argc, char** argv) {
  tattletale::Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--device") options.device = value;
    if (name == "--shape") options.shape = value;
    if (name == "--dtype") options.dtype = value;
    if (name == "--tokens") options.tokens = static_cast<uint32_t>(std::stoul(value));
    if (name == "--context") options.context = static_cast<uint32_t>(std::stoul(value));
  }
  if (const auto done = tattletale::run(options); !done) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return 1;
  }
  return 0;
}

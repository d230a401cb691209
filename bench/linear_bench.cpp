// Speed of the CPU's linear kernel by format, shape, tokens and threads, beside the machine's own limits
// measured in the same run: bytes read per second, and 8-bit multiply-adds per second of a loop that only
// does them.
//   bench_linear [--dtype q4_1,q8_0] [--shape NxK,NxK] [--tokens 1,8,512] [--threads 1,2] [--gated]
//                [--cycle-mb 96]
// Every case cycles through copies of the matrix that together reach --cycle-mb, as the layers of a model
// would.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "kernels/linear.h"
#include "quant/block_format.h"

namespace tattletale {
namespace {

uint64_t cycle_bytes = 96 << 20;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The best of several runs of `body`, in seconds; stops after about `budget_s`.
template <class Body>
double best_time_s(double budget_s, Body&& body) {
  double best = 1e30;
  const double start = now_s();
  for (int i = 0; i < 50 && (i < 3 || now_s() - start < budget_s); ++i) {
    const double begin = now_s();
    body();
    best = std::min(best, now_s() - begin);
  }
  return best;
}

/// Bytes per second that `num_threads` threads read together from memory of cycle_bytes.
double read_bandwidth(uint32_t num_threads) {
  // Large pages, as the device's own buffers have.
  constexpr size_t kLargePage = 2 << 20;
  const std::unique_ptr<void, decltype(&std::free)> owner(std::aligned_alloc(kLargePage, cycle_bytes),
                                                          &std::free);
  ::madvise(owner.get(), cycle_bytes, MADV_HUGEPAGE);
  const std::span<uint64_t> memory(static_cast<uint64_t*>(owner.get()), cycle_bytes / 8);
  std::fill(memory.begin(), memory.end(), 1);
  const auto read = [&](uint32_t i) {
    const uint64_t begin = memory.size() * i / num_threads, end = memory.size() * (i + 1) / num_threads;
    uint64_t sums[32] = {};
    for (uint64_t j = begin; j + 32 <= end; j += 32) {
      for (int lane = 0; lane < 32; ++lane) sums[lane] ^= memory[j + lane];
    }
    static std::atomic<uint64_t> sink;
    for (const uint64_t sum : sums) sink += sum;
  };
  const double time_s = best_time_s(0.5, [&] {
    std::vector<std::thread> threads;
    for (uint32_t i = 1; i < num_threads; ++i) threads.emplace_back(read, i);
    read(0);
    for (std::thread& thread : threads) thread.join();
  });
  return static_cast<double>(cycle_bytes) / time_s;
}

struct Point {
  DType dtype;
  uint32_t n, k, tokens, threads;
  bool gated;
};

/// Seconds per launch.
double measure(const Point& point) {
  auto device = open_cpu_device(point.threads).value();
  const uint64_t bytes_of_row = row_bytes(point.dtype, point.k).value();
  const uint64_t bytes_of_matrix = bytes_of_row * point.n;
  const uint32_t matrices = point.gated ? 2 : 1;
  const uint64_t work = uint64_t{point.n} * point.k * point.tokens;
  const uint64_t most = std::max<uint64_t>(1, 4'000'000'000 / std::max<uint64_t>(1, work));
  const uint64_t copies = std::clamp<uint64_t>(cycle_bytes / (bytes_of_matrix * matrices), 1, most);
  std::vector<std::byte> row_pattern(bytes_of_row * 16);
  for (int r = 0; r < 16; ++r) {
    block_format(point.dtype).fill_random_row(row_pattern.data() + r * bytes_of_row, point.k, r, 0.02f);
  }
  const BufferId weights = device->create_buffer(bytes_of_matrix * matrices * copies, "weights").value();
  for (uint64_t r = 0; r < uint64_t{point.n} * matrices * copies; ++r) {
    (void)device->write(weights, r * bytes_of_row,
                        {row_pattern.data() + r % 16 * bytes_of_row, bytes_of_row});
  }
  std::vector<float> x_values(uint64_t{point.tokens} * point.k);
  for (size_t i = 0; i < x_values.size(); ++i) x_values[i] = std::sin(static_cast<float>(i));
  const uint64_t x_bytes = x_values.size() * 4, y_bytes = uint64_t{point.tokens} * point.n * 4;
  const BufferId x = device->create_buffer(x_bytes, "x").value();
  (void)device->write(x, 0, std::as_bytes(std::span(x_values)));
  const BufferId y = device->create_buffer(y_bytes, "y").value();
  LinearComptime comptime;
  comptime.num_weights = static_cast<uint8_t>(matrices);
  comptime.epilogue = point.gated ? LinearEpilogue::silu_mul : LinearEpilogue::store;
  comptime.weight_dtype[0] = comptime.weight_dtype[1] = point.dtype;
  KernelBinary binary;
  binary.name = "linear";
  binary.comptime.resize(sizeof(comptime));
  std::memcpy(binary.comptime.data(), &comptime, sizeof(comptime));
  LinearParams params;
  params.num_rows = point.tokens;
  params.in_dim = params.x_stride = point.k;
  params.y_stride = point.n;
  params.out_dim[0] = params.out_dim[1] = point.n;
  Dispatch dispatch;
  dispatch.kernel = device->load_kernel(binary).value();
  dispatch.num_bindings = 8;
  dispatch.set_params(params);
  dispatch.bindings[0] = {x, 0, x_bytes};
  dispatch.bindings[1] = {y, 0, y_bytes};
  CommandList list;
  for (uint64_t i = 0; i < copies; ++i) {
    for (uint32_t m = 0; m < matrices; ++m) {
      dispatch.bindings[2 + m] = {weights, (i * matrices + m) * bytes_of_matrix, bytes_of_matrix};
    }
    list.dispatch(dispatch);
  }
  return best_time_s(0.3, [&] { (void)device->submit(list); }) / static_cast<double>(copies);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

int run(int argc, char** argv) {
  std::string dtypes = "q4_1,q8_0,q4_k,q6_k,q5_0,bf16,f32",
              shapes = "1536x576,576x1536,49152x576,2048x640,4096x4096";
  std::string tokens = "1,8,512", threads = "1,2";
  std::string cycle_mb = "96";
  bool gated = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    std::string* value = arg == "--dtype"      ? &dtypes
                         : arg == "--shape"    ? &shapes
                         : arg == "--tokens"   ? &tokens
                         : arg == "--threads"  ? &threads
                         : arg == "--cycle-mb" ? &cycle_mb
                                               : nullptr;
    if (arg == "--gated") {
      gated = true;
    } else if (value != nullptr && i + 1 < argc) {
      *value = argv[++i];
    } else {
      std::fprintf(stderr, "unknown option %s\n", arg.c_str());
      return 2;
    }
  }
  cycle_bytes = std::max<uint64_t>(2, std::stoull(cycle_mb) & ~uint64_t{1}) << 20;
  std::printf("%s, %s\n", open_cpu_device(1).value()->caps().name.c_str(),
              open_cpu_device(1).value()->caps().isa.c_str());
  std::printf("%-7s %12s %6s %7s %10s %8s %6s %9s\n", "format", "N x K", "tokens", "threads", "us", "GB/s",
              "share", "GMAC/s");
  for (const std::string& thread_text : split(threads)) {
    const uint32_t num_threads = static_cast<uint32_t>(std::stoul(thread_text));
    const double bandwidth = read_bandwidth(num_threads);
    std::printf("%u threads read %.1f GB/s\n", num_threads, bandwidth / 1e9);
    for (const std::string& dtype_text : split(dtypes)) {
      for (const std::string& shape : split(shapes)) {
        for (const std::string& token_text : split(tokens)) {
          Point point{};
          const auto dtype = dtype_from_name(dtype_text);
          if (!dtype || std::sscanf(shape.c_str(), "%ux%u", &point.n, &point.k) != 2) {
            std::fprintf(stderr, "cannot read %s or %s\n", dtype_text.c_str(), shape.c_str());
            return 2;
          }
          point.dtype = *dtype;
          point.tokens = static_cast<uint32_t>(std::stoul(token_text));
          point.threads = num_threads;
          point.gated = gated;
          if (point.k % dtype_info(point.dtype).block_elements != 0) continue;
          if (uint64_t{point.n} * point.k * point.tokens > 9'000'000'000) continue;
          const double time_s = measure(point);
          const double matrices = gated ? 2 : 1;
          const double bytes =
              matrices * static_cast<double>(row_bytes(point.dtype, point.k).value() * point.n);
          const double macs = matrices * point.n * point.k * point.tokens;
          std::printf("%-7s %6ux%-5u %6u %7u %10.1f %8.2f %5.0f%% %9.1f\n", dtype_text.c_str(), point.n,
                      point.k, point.tokens, num_threads, time_s * 1e6, bytes / time_s / 1e9,
                      100 * bytes / time_s / bandwidth, macs / time_s / 1e9);
          std::fflush(stdout);
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace tattletale

int main(int argc, char** argv) {
  return tattletale::run(argc, argv);
}

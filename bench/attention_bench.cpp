// Times paged_attention and rope_append on the CPU as a model's layers call them: decode and prefill, for the
// head shapes of known models. Prints one table row per setting: time per layer, keys-and-values bandwidth,
// arithmetic. Usage: attention_bench [threads] [kv dtype] [part of a shape's name] [only this many tokens]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "kernels/paged_attention.h"
#include "kernels/rope_append.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

struct HeadShape {
  const char* name;
  uint32_t num_q_heads, num_kv_heads, head_dim, window;
};

constexpr HeadShape kShapes[] = {{"smollm2-135m", 9, 3, 64, 0},
                                 {"gemma3-270m local", 4, 1, 256, 512},
                                 {"gemma3-270m global", 4, 1, 256, 0},
                                 {"llama3-8b", 32, 8, 128, 0}};
constexpr uint32_t kPageTokens = 64;

struct Launches {
  CommandList attention;
  CommandList rope;
};

BufferId make_buffer(Device& device, uint64_t bytes) {
  return device.create_buffer(bytes, "bench").value();
}

/// Numbers in (-1, 1); the kernels' speed does not depend on them.
void fill(Device& device, BufferId buffer, DType dtype, uint64_t n) {
  std::vector<std::byte> bytes(n * dtype_info(dtype).block_bytes);
  uint32_t state = 12345;
  for (uint64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
    const uint16_t bits = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::f32) {
      std::memcpy(bytes.data() + i * 4, &value, 4);
    } else {
      std::memcpy(bytes.data() + i * 2, &bits, 2);
    }
  }
  static_cast<void>(device.write(buffer, 0, bytes));
}

template <class Comptime>
KernelId load(Device& device, const KernelContract& contract, const Comptime& comptime) {
  KernelBinary binary;
  binary.name = contract.name;
  binary.comptime.resize(sizeof(comptime));
  std::memcpy(binary.comptime.data(), &comptime, sizeof(comptime));
  return device.load_kernel(binary).value();
}

Launches make_launches(Device& device, const HeadShape& s, DType dtype, uint32_t num_tokens,
                       uint32_t context) {
  const uint32_t row = (s.num_q_heads + 2 * s.num_kv_heads) * s.head_dim;
  const uint32_t num_pages = (context + kPageTokens - 1) / kPageTokens;
  const uint64_t kv_elements = uint64_t{num_pages} * kPageTokens * s.num_kv_heads * s.head_dim;
  const uint64_t kv_bytes = kv_elements * dtype_info(dtype).block_bytes;
  const uint64_t out_bytes = uint64_t{num_tokens} * s.num_q_heads * s.head_dim * 4;
  const BufferId qkv = make_buffer(device, uint64_t{num_tokens} * row * 4);
  const BufferId k = make_buffer(device, kv_bytes);
  const BufferId v = make_buffer(device, kv_bytes);
  fill(device, qkv, DType::f32, uint64_t{num_tokens} * row);
  fill(device, k, dtype, kv_elements);
  fill(device, v, dtype, kv_elements);
  const BatchSequence sequence{0, num_tokens, context, 0};
  std::vector<uint32_t> table(num_pages);
  std::vector<uint32_t> positions(num_tokens);
  std::vector<uint64_t> slots(num_tokens);
  for (uint32_t i = 0; i < num_pages; ++i) table[i] = num_pages - 1 - i;
  for (uint32_t t = 0; t < num_tokens; ++t) {
    positions[t] = context - num_tokens + t;
    slots[t] = uint64_t{table[positions[t] / kPageTokens]} * kPageTokens + positions[t] % kPageTokens;
  }
  std::vector<float> inv_freq(s.head_dim / 2, 0.01f);
  const auto upload = [&](const auto& values) {
    const auto bytes = std::as_bytes(std::span(values));
    const BufferId buffer = make_buffer(device, bytes.size());
    static_cast<void>(device.write(buffer, 0, bytes));
    return BufferSlice{buffer, 0, bytes.size()};
  };
  Launches launches;
  Dispatch attention{
      .kernel = load(device, kPagedAttentionContract, PagedAttentionComptime{.kv_dtype = dtype}),
      .num_bindings = 6};
  attention.set_params(PagedAttentionParams{.num_tokens = num_tokens,
                                            .num_sequences = 1,
                                            .num_q_heads = s.num_q_heads,
                                            .num_kv_heads = s.num_kv_heads,
                                            .head_dim = s.head_dim,
                                            .q_stride = row,
                                            .page_tokens = kPageTokens,
                                            .window = s.window,
                                            .scale = 0.1f});
  attention.bindings[0] = {qkv, 0, uint64_t{num_tokens} * row * 4};
  attention.bindings[1] = {k, 0, kv_bytes};
  attention.bindings[2] = {v, 0, kv_bytes};
  attention.bindings[3] = upload(std::vector<BatchSequence>{sequence});
  attention.bindings[4] = upload(table);
  attention.bindings[5] = {make_buffer(device, out_bytes), 0, out_bytes};
  launches.attention.dispatch(attention);
  Dispatch rope{.kernel = load(device, kRopeAppendContract, RopeAppendComptime{.kv_dtype = dtype}),
                .num_bindings = 8};
  rope.set_params(RopeAppendParams{.num_tokens = num_tokens,
                                   .num_q_heads = s.num_q_heads,
                                   .num_kv_heads = s.num_kv_heads,
                                   .head_dim = s.head_dim,
                                   .rotary_dim = s.head_dim,
                                   .qkv_stride = row,
                                   .page_tokens = kPageTokens});
  rope.bindings[0] = attention.bindings[0];
  rope.bindings[3] = upload(inv_freq);
  rope.bindings[4] = upload(positions);
  rope.bindings[5] = upload(slots);
  rope.bindings[6] = attention.bindings[1];
  rope.bindings[7] = attention.bindings[2];
  launches.rope.dispatch(rope);
  return launches;
}

/// The median time of one launch, in microseconds.
double time_us(Device& device, const CommandList& list) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const auto deadline = Clock::now() + std::chrono::milliseconds(120);
  do {
    const auto begin = Clock::now();
    static_cast<void>(device.submit(list));
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  } while (Clock::now() < deadline || times.size() < 3);
  std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

void bench(uint32_t num_threads, DType dtype, const HeadShape& s, uint32_t num_tokens, uint32_t context) {
  auto device = open_cpu_device(num_threads).value();
  const Launches launches = make_launches(*device, s, dtype, num_tokens, context);
  const double rope_us = time_us(*device, launches.rope);
  const double us = time_us(*device, launches.attention);
  double pairs = 0.0;  // (query, key)
  for (uint32_t t = 0; t < num_tokens; ++t) {
    const uint32_t visible = context - num_tokens + t + 1;
    pairs += s.window > 0 ? std::min(visible, s.window) : visible;
  }
  const double multiply_adds = pairs * s.num_q_heads * s.head_dim * 2;
  const double keys = num_tokens == 1 ? pairs : context;
  const double kv_bytes = keys * s.num_kv_heads * s.head_dim * 2 * dtype_info(dtype).block_bytes;
  std::printf(
      "%-19s %-4s %u threads  %-7s %5u/%-6u  attention %10.1f us  %6.1f GB/s of kv  %6.1f GMAC/s   rope "
      "%8.1f us\n",
      s.name, std::string(dtype_name(dtype)).c_str(), num_threads, num_tokens == 1 ? "decode" : "prefill",
      num_tokens, context, us, kv_bytes / us * 1e-3, multiply_adds / us * 1e-3, rope_us);
}

/// A list of launches with nothing to do: what a dispatch costs.
void bench_empty(uint32_t num_threads) {
  auto device = open_cpu_device(num_threads).value();
  const Launches launches = make_launches(*device, kShapes[0], DType::f16, 1, 64);
  Dispatch dispatch = launches.attention.dispatches()[0];
  PagedAttentionParams params{.num_q_heads = 1, .num_kv_heads = 1, .head_dim = 8, .page_tokens = 16};
  dispatch.set_params(params);
  CommandList list;
  for (int i = 0; i < 1000; ++i) list.dispatch(dispatch);
  const double us = time_us(*device, list);
  CommandList single;
  single.dispatch(dispatch);
  std::printf("empty dispatch, %u threads: %.0f ns inside a list of 1000, %.0f ns as a list of one\n",
              num_threads, us, time_us(*device, single) * 1e3);
}

}  // namespace
}  // namespace tattletale

int main(int argc, char** argv) {
  using namespace tattletale;
  const uint32_t num_threads = argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 1;
  const DType dtype = dtype_from_name(argc > 2 ? argv[2] : "f16").value_or(DType::f16);
  const std::string filter = argc > 3 ? argv[3] : "";
  const uint32_t only = argc > 4 ? static_cast<uint32_t>(std::atoi(argv[4])) : 0;
  bench_empty(num_threads);
  for (const HeadShape& s : kShapes) {
    if (std::string(s.name).find(filter) == std::string::npos) continue;
    for (const uint32_t context : {128u, 2048u, 32768u}) {
      if (only == 0 || only == 1) bench(num_threads, dtype, s, 1, context);
    }
    for (const uint32_t num_tokens : {512u, 2048u}) {
      if (only == 0 || only == num_tokens) bench(num_threads, dtype, s, num_tokens, num_tokens);
    }
  }
}

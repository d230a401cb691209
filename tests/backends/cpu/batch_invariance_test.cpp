// One token's keys, values and attention are the same bits however its sequence is cut into chunks, whatever
// else is in the batch, and on any number of threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends/cpu/cpu_device.h"
#include "kernels/conformance/kernel_case.h"
#include "kernels/conformance/kernel_runner.h"
#include "kernels/paged_attention.h"
#include "kernels/rope_append.h"

namespace tattletale::conformance {
namespace {

struct Model {
  std::string name;
  DType kv_dtype;
  uint32_t num_q_heads, num_kv_heads, head_dim, page_tokens, window;
};

constexpr uint32_t kContext = 600;

/// A sequence of kContext tokens and its cache, in pages that fall in number.
struct Fixture {
  Model m;
  std::vector<float> qkv;  // [kContext, heads * head_dim]
  Bytes k, v;
  uint32_t num_pages;

  explicit Fixture(const Model& model) : m(model) {
    CaseRandom random(model.head_dim);
    qkv = random.normals(uint64_t{kContext} * row());
    num_pages = 2 * (kContext / m.page_tokens + 1);
    const uint64_t elements = uint64_t{num_pages} * m.num_kv_heads * m.page_tokens * m.head_dim;
    k.assign(elements * dtype_info(m.kv_dtype).block_bytes, std::byte{0xff});
    v = k;
    append(*open_cpu_device(1).value(), 0, kContext, 0, qkv, k, v);
  }
  uint32_t row() const { return (m.num_q_heads + 2 * m.num_kv_heads) * m.head_dim; }
  uint32_t page(uint32_t index, uint32_t copy) const { return num_pages - 1 - 2 * index - copy; }

  /// rope_append of tokens [begin, end) into the pages of copy 0 or 1; x [end - begin, row()] changes in
  /// place.
  void append(Device& device, uint32_t begin, uint32_t end, uint32_t copy, std::vector<float>& x,
              Bytes& k_pages, Bytes& v_pages) const {
    std::vector<uint32_t> positions;
    std::vector<uint64_t> slots;
    for (uint32_t t = begin; t < end; ++t) {
      positions.push_back(t);
      slots.push_back(uint64_t{page(t / m.page_tokens, copy)} * m.page_tokens + t % m.page_tokens);
    }
    std::vector<float> inv_freq(m.head_dim / 2);
    for (uint32_t i = 0; i < inv_freq.size(); ++i) inv_freq[i] = std::pow(1e4f, -2.0f * i / m.head_dim);
    CaseRandom random(5);
    const RopeAppendParams params{.num_tokens = end - begin,
                                  .num_q_heads = m.num_q_heads,
                                  .num_kv_heads = m.num_kv_heads,
                                  .head_dim = m.head_dim,
                                  .rotary_dim = m.head_dim,
                                  .qkv_stride = row(),
                                  .page_tokens = m.page_tokens,
                                  .norm_eps = 1e-6f};
    const LaunchData data{
        .comptime = bytes_of(RopeAppendComptime{.kv_dtype = m.kv_dtype}),
        .params = bytes_of(params),
        .bindings = {bytes_of(x), bytes_of(random.normals(m.head_dim)), bytes_of(random.normals(m.head_dim)),
                     bytes_of(inv_freq), bytes_of(positions), bytes_of(slots), k_pages, v_pages}};
    auto results = run_on_device(device, kRopeAppendContract, data);
    ASSERT_TRUE(results) << results.error().message();
    EXPECT_THAT(results->faults, ::testing::IsEmpty());
    std::memcpy(x.data(), results->bindings[0].data(), results->bindings[0].size());
    k_pages = results->bindings[6];
    v_pages = results->bindings[7];
  }

  /// Attention of chunks {first query, end query}, all of the one sequence; rows in order of the chunks.
  Bytes attend(Device& device, const std::vector<std::pair<uint32_t, uint32_t>>& chunks) const {
    std::vector<float> q;
    std::vector<BatchSequence> sequences;
    std::vector<uint32_t> table;
    for (uint32_t i = 0; i * m.page_tokens < kContext; ++i) table.push_back(page(i, 0));
    uint32_t num_tokens = 0;
    for (const auto& [begin, end] : chunks) {
      sequences.push_back({num_tokens, end - begin, end, 0});
      num_tokens += end - begin;
      q.insert(q.end(), qkv.begin() + uint64_t{begin} * row(), qkv.begin() + uint64_t{end} * row());
    }
    const PagedAttentionParams params{.num_tokens = num_tokens,
                                      .num_sequences = static_cast<uint32_t>(sequences.size()),
                                      .num_q_heads = m.num_q_heads,
                                      .num_kv_heads = m.num_kv_heads,
                                      .head_dim = m.head_dim,
                                      .q_stride = row(),
                                      .page_tokens = m.page_tokens,
                                      .window = m.window,
                                      .scale = 0.125f};
    const LaunchData data{.comptime = bytes_of(PagedAttentionComptime{.kv_dtype = m.kv_dtype}),
                          .params = bytes_of(params),
                          .bindings = {bytes_of(q), k, v, bytes_of(sequences), bytes_of(table),
                                       Bytes(uint64_t{num_tokens} * out_bytes())}};
    auto results = run_on_device(device, kPagedAttentionContract, data);
    EXPECT_TRUE(results);
    EXPECT_THAT(results->faults, ::testing::IsEmpty());
    return results->bindings[5];
  }
  uint64_t out_bytes() const { return uint64_t{m.num_q_heads} * m.head_dim * 4; }
};

class BatchInvariance : public ::testing::TestWithParam<Model> {};

TEST_P(BatchInvariance, Attention) {
  const Fixture fixture(GetParam());
  const uint64_t row_bytes = fixture.out_bytes();
  const Bytes whole = fixture.attend(*open_cpu_device(1).value(), {{0, kContext}});
  for (const uint32_t num_threads : {1u, 2u, 3u, 8u}) {
    auto device = open_cpu_device(num_threads).value();
    EXPECT_EQ(fixture.attend(*device, {{0, kContext}}), whole) << num_threads << " threads";
    for (const uint32_t chunk : {1u, 3u, 16u, 100u}) {
      for (uint32_t begin = 0; begin < kContext; begin += std::max(chunk, 19u)) {
        const uint32_t end = std::min(begin + chunk, kContext);
        const Bytes part = fixture.attend(*device, {{begin, end}});
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + begin * row_bytes, (end - begin) * row_bytes), 0)
            << "tokens " << begin << " to " << end << " alone, " << num_threads << " threads";
      }
    }
    // Companions before and after, of other lengths.
    const Bytes batch = fixture.attend(*device, {{0, 7}, {500, 501}, {300, 420}, {599, 600}, {255, 257}});
    uint64_t at = 0;
    for (const auto& [begin, end] :
         {std::pair{0u, 7u}, {500u, 501u}, {300u, 420u}, {599u, 600u}, {255u, 257u}}) {
      EXPECT_EQ(std::memcmp(batch.data() + at, whole.data() + begin * row_bytes, (end - begin) * row_bytes),
                0)
          << "tokens " << begin << " to " << end << " in a batch, " << num_threads << " threads";
      at += (end - begin) * row_bytes;
    }
  }
}

TEST_P(BatchInvariance, RopeAppend) {
  const Fixture whole(GetParam());
  CaseRandom random(GetParam().head_dim);
  const std::vector<float> projected = random.normals(uint64_t{kContext} * whole.row());
  for (const uint32_t num_threads : {1u, 2u, 3u, 8u}) {
    auto device = open_cpu_device(num_threads).value();
    for (const uint32_t chunk : {1u, 3u, 16u}) {
      for (uint32_t begin = 0; begin < kContext; begin += 97) {
        const uint32_t end = std::min(begin + chunk, kContext);
        std::vector<float> x(projected.begin() + uint64_t{begin} * whole.row(),
                             projected.begin() + uint64_t{end} * whole.row());
        // Over the same pages, which hold the right bits already: they must stay as they are.
        Bytes k = whole.k;
        Bytes v = whole.v;
        whole.append(*device, begin, end, 0, x, k, v);
        ASSERT_EQ(k, whole.k) << "keys of tokens " << begin << " to " << end << ", " << num_threads
                              << " threads";
        ASSERT_EQ(v, whole.v);
        ASSERT_EQ(std::memcmp(x.data(), whole.qkv.data() + uint64_t{begin} * whole.row(), x.size() * 4), 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BatchInvariance,
                         ::testing::Values(Model{"smollm2_f16", DType::f16, 9, 3, 64, 16, 0},
                                           Model{"smollm2_f32", DType::f32, 9, 3, 64, 64, 0},
                                           Model{"smollm2_bf16", DType::bf16, 9, 3, 64, 16, 0},
                                           Model{"gemma3_local_f16", DType::f16, 4, 1, 256, 64, 512},
                                           Model{"gemma3_local_bf16", DType::bf16, 4, 1, 256, 16, 130},
                                           Model{"odd_f16", DType::f16, 2, 1, 72, 32, 37},
                                           Model{"odd_f32", DType::f32, 2, 2, 8, 256, 7},
                                           Model{"llama_f16", DType::f16, 8, 2, 128, 256, 0}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tattletale::conformance

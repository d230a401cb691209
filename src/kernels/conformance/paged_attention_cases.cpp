#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/conformance/kernel_case.h"
#include "kernels/paged_attention.h"
#include "tensor/float16.h"

namespace tattletale::conformance {
namespace {

struct Chunk {
  uint32_t num_tokens;
  uint32_t context_tokens;
  uint32_t shared_pages = 0;  // leading pages taken from the sequence before it
};

struct Setup {
  DType kv_dtype = DType::f16;
  uint32_t num_q_heads = 1, num_kv_heads = 1, head_dim = 64;
  uint32_t page_tokens = 16;
  uint32_t window = 0;
  std::vector<Chunk> chunks;
  float q_scale = 1.0f;
};

void put(Bytes& pages, DType dtype, uint64_t element, float value) {
  if (dtype == DType::f32) {
    std::memcpy(pages.data() + element * 4, &value, 4);
    return;
  }
  const uint16_t bits = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(pages.data() + element * 2, &bits, 2);
}

/// Pages in a shuffled order. Everything that no query may see is NaN: unused pages, the rest of a last page,
/// keys before the window. Pages wholly before the window are not even in the table: they name a NaN page.
LaunchData make(const Setup& s) {
  CaseRandom random(s.head_dim * 7 + s.page_tokens * 3 + s.num_q_heads + s.chunks.size() * 1000 + s.window);
  uint32_t num_pages = 2;
  uint32_t num_tokens = 0;
  for (const Chunk& c : s.chunks) {
    num_pages += (c.context_tokens + s.page_tokens - 1) / s.page_tokens;
    num_tokens += c.num_tokens;
  }
  std::vector<uint32_t> free_pages(num_pages);
  for (uint32_t i = 0; i < num_pages; ++i) free_pages[i] = i;
  for (uint32_t i = num_pages - 1; i > 0; --i) std::swap(free_pages[i], free_pages[random.below(i + 1)]);
  const uint32_t poisoned_page = free_pages.back();
  free_pages.pop_back();

  const uint64_t elements = uint64_t{num_pages} * s.num_kv_heads * s.page_tokens * s.head_dim;
  Bytes k(elements * dtype_info(s.kv_dtype).block_bytes, std::byte{0xff});
  Bytes v = k;
  std::vector<BatchSequence> sequences;
  std::vector<uint32_t> table;
  std::vector<uint32_t> previous;
  uint32_t first_token = 0;
  for (const Chunk& c : s.chunks) {
    sequences.push_back({first_token, c.num_tokens, c.context_tokens, static_cast<uint32_t>(table.size())});
    first_token += c.num_tokens;
    const uint32_t first_query = c.context_tokens - c.num_tokens;
    const uint32_t first_seen = s.window > 0 && first_query >= s.window ? first_query - s.window + 1 : 0;
    std::vector<uint32_t> mine;
    for (uint32_t j = 0; j < c.context_tokens; ++j) {
      if (j % s.page_tokens == 0) {
        const uint32_t index = j / s.page_tokens;
        if (index < c.shared_pages) {
          mine.push_back(previous[index]);
        } else {
          mine.push_back(free_pages.back());
          free_pages.pop_back();
        }
      }
      const bool shared = j / s.page_tokens < c.shared_pages;
      if (shared || j < first_seen) continue;
      for (uint32_t h = 0; h < s.num_kv_heads; ++h) {
        const uint64_t row =
            ((uint64_t{mine.back()} * s.num_kv_heads + h) * s.page_tokens + j % s.page_tokens) * s.head_dim;
        for (uint32_t d = 0; d < s.head_dim; ++d) {
          put(k, s.kv_dtype, row + d, random.normal());
          put(v, s.kv_dtype, row + d, random.normal());
        }
      }
    }
    previous = mine;
    for (uint32_t i = 0; i < mine.size(); ++i) {
      table.push_back((i + 1) * s.page_tokens <= first_seen ? poisoned_page : mine[i]);
    }
  }
  const uint32_t q_stride = (s.num_q_heads + 2 * s.num_kv_heads) * s.head_dim;
  std::vector<float> q(uint64_t{num_tokens} * q_stride, std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < num_tokens; ++t) {
    for (uint32_t d = 0; d < s.num_q_heads * s.head_dim; ++d)
      q[uint64_t{t} * q_stride + d] = s.q_scale * random.normal();
  }
  const PagedAttentionParams params{.num_tokens = num_tokens,
                                    .num_sequences = static_cast<uint32_t>(s.chunks.size()),
                                    .num_q_heads = s.num_q_heads,
                                    .num_kv_heads = s.num_kv_heads,
                                    .head_dim = s.head_dim,
                                    .q_stride = q_stride,
                                    .page_tokens = s.page_tokens,
                                    .window = s.window,
                                    .scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim))};
  // Values are about N(0, 1). f32 caches take f32 arithmetic; for f16 and bf16 caches a device may round
  // probabilities and values to bf16 once each: 2^-8 of a mean value.
  const double absolute = s.kv_dtype == DType::f32 ? 1e-5 : 0x1p-8;
  return {.comptime = bytes_of(PagedAttentionComptime{.kv_dtype = s.kv_dtype}),
          .params = bytes_of(params),
          .bindings = {bytes_of(q), k, v, bytes_of(sequences), bytes_of(table),
                       Bytes(uint64_t{num_tokens} * s.num_q_heads * s.head_dim * 4, std::byte{0xff})},
          .outputs = {{.binding = 5, .tolerance = {.relative = 1e-5, .absolute = absolute}}}};
}

void add(std::vector<KernelCase>& cases, const Setup& s) {
  std::string name = "kv " + std::string(dtype_name(s.kv_dtype)) + ", heads " +
                     std::to_string(s.num_q_heads) + "/" + std::to_string(s.num_kv_heads) + ", dim " +
                     std::to_string(s.head_dim) + ", page " + std::to_string(s.page_tokens) + ", window " +
                     std::to_string(s.window) + ", chunks";
  for (const Chunk& c : s.chunks) {
    name += " " + std::to_string(c.num_tokens) + "/" + std::to_string(c.context_tokens);
    if (c.shared_pages > 0) name += "(" + std::to_string(c.shared_pages) + " shared)";
  }
  cases.push_back({name, [s] { return make(s); }});
}

}  // namespace

std::vector<KernelCase> paged_attention_cases() {
  std::vector<KernelCase> cases;
  const std::vector<Chunk> ragged = {{1, 1},      {17, 17},     {1, 33}, {31, 129},
                                     {5, 260, 2}, {1, 300, 16}, {33, 70}};
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const uint32_t window : {0u, 1u, 7u, 16u, 64u}) {
      add(cases,
          {.kv_dtype = dtype, .num_q_heads = 9, .num_kv_heads = 3, .window = window, .chunks = ragged});
      add(cases, {.kv_dtype = dtype,
                  .num_q_heads = 4,
                  .num_kv_heads = 1,
                  .head_dim = 256,
                  .page_tokens = 16,
                  .window = window,
                  .chunks = ragged});
    }
    for (const uint32_t page_tokens : {16u, 32u, 64u, 128u, 256u}) {
      add(cases, {.kv_dtype = dtype,
                  .num_q_heads = 4,
                  .num_kv_heads = 4,
                  .page_tokens = page_tokens,
                  .chunks = {{1, 700}, {40, 700}, {3, 257}}});
      add(cases, {.kv_dtype = dtype,
                  .num_q_heads = 3,
                  .num_kv_heads = 1,
                  .page_tokens = page_tokens,
                  .window = page_tokens,
                  .chunks = {{1, 700}, {40, 700}, {300, 600}}});
    }
    for (const uint32_t head_dim : {8u, 24u, 32u, 40u, 72u, 80u, 96u, 128u, 192u, 256u}) {
      add(cases, {.kv_dtype = dtype,
                  .num_q_heads = 2,
                  .num_kv_heads = 1,
                  .head_dim = head_dim,
                  .chunks = {{1, 100}, {50, 100}}});
    }
    for (const uint32_t size : kAwkwardSizes) {
      add(cases, {.kv_dtype = dtype,
                  .num_q_heads = 8,
                  .num_kv_heads = 2,
                  .head_dim = 128,
                  .chunks = {{size, size}, {1, size}, {size, size + 300}}});
    }
    // One long decode, alone: its parts are shared out between threads in rounds.
    add(cases,
        {.kv_dtype = dtype, .num_q_heads = 3, .num_kv_heads = 1, .page_tokens = 64, .chunks = {{1, 20000}}});
    // Peaked: one key takes nearly all the weight.
    add(cases,
        {.kv_dtype = dtype, .num_q_heads = 2, .num_kv_heads = 2, .chunks = {{20, 600}}, .q_scale = 30.0f});
    // More heads per kv head than rows in any block.
    add(cases, {.kv_dtype = dtype, .num_q_heads = 71, .num_kv_heads = 1, .chunks = {{2, 50}, {1, 300}}});
    add(cases,
        {.kv_dtype = dtype, .num_q_heads = 2, .num_kv_heads = 1, .chunks = {{0, 40}, {1, 40}, {0, 0}}});
  }
  return cases;
}

}  // namespace tattletale::conformance

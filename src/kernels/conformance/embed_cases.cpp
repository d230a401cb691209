#include "kernels/conformance/kernel_case.h"
#include "kernels/embed.h"
#include "quant/block_format.h"

namespace tattletale::conformance {
namespace {

/// A table with `num_rows` rows; every fifth token is a ready embedding when `with_ready`.
LaunchData make(DType dtype, uint32_t num_tokens, uint32_t dim, float scale, bool with_ready) {
  constexpr uint32_t kNumRows = 50;
  constexpr uint32_t kNumReady = 7;
  CaseRandom random(num_tokens * 1000 + dim);
  const uint64_t bytes_per_row = row_bytes(dtype, dim).value();
  Bytes table(kNumRows * bytes_per_row);
  for (uint32_t r = 0; r < kNumRows; ++r) {
    block_format(dtype).fill_random_row(table.data() + r * bytes_per_row, dim, r + 1, 1.0f);
  }
  std::vector<uint32_t> ids(num_tokens);
  for (uint32_t t = 0; t < num_tokens; ++t) {
    ids[t] = with_ready && t % 5 == 0 ? kReadyEmbeddingBit | random.below(kNumReady) : random.below(kNumRows);
  }
  const EmbedParams params{.num_tokens = num_tokens, .dim = dim, .num_rows = kNumRows, .scale = scale};
  return {.comptime = bytes_of(EmbedComptime{.table_dtype = dtype}),
          .params = bytes_of(params),
          .bindings = {bytes_of(ids), table, Bytes(uint64_t{num_tokens} * dim * 4, std::byte{0xff}),
                       with_ready ? bytes_of(random.normals(uint64_t{kNumReady} * dim)) : Bytes{}},
          .outputs = {{.binding = 2, .tolerance = {.relative = 3e-7, .absolute = 0.0}}}};
}

}  // namespace

std::vector<KernelCase> embed_cases() {
  std::vector<KernelCase> cases;
  for (const DTypeInfo& info : all_dtypes()) {
    // f64 and 64-bit integers never hold embeddings, but a decoder exists, so the lookup must use it rightly.
    for (const uint32_t num_tokens : {1u, 17u, 33u}) {
      std::vector<uint32_t> dims = {info.block_elements, 3 * info.block_elements};
      if (!info.packed) dims = {1, 17, 31, 33, 129, 576};
      for (const uint32_t dim : dims) {
        const bool with_ready = num_tokens == 17;
        cases.push_back(
            {std::string(info.name) + ", " + std::to_string(num_tokens) + " tokens of " + std::to_string(dim),
             [=] { return make(info.dtype, num_tokens, dim, dim % 2 == 0 ? 24.0f : 1.0f, with_ready); }});
      }
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

#include "kernels/conformance/kernel_case.h"
#include "kernels/copy_kv_rows.h"

namespace tattletale::conformance {
namespace {

/// Pages of random bytes are compared bit by bit as integers, so that no pattern is special.
LaunchData make_copies(DType dtype, uint32_t num_copies, uint32_t heads, uint32_t page_tokens, uint32_t dim) {
  CaseRandom random(num_copies * 1000 + dim);
  const uint32_t num_pages = 2 * num_copies + 1;
  std::vector<KvRowsCopy> copies;
  for (uint32_t i = 0; i < num_copies; ++i) {
    // Sources are the even pages (one may serve two copies), targets the odd ones, last first.
    copies.push_back(
        {2 * random.below(num_copies), 2 * (num_copies - 1 - i) + 1, 1 + random.below(page_tokens)});
  }
  const uint64_t bytes = uint64_t{num_pages} * heads * page_tokens * dim * dtype_info(dtype).block_bytes;
  Bytes k(bytes), v(bytes);
  for (std::byte& byte : k) byte = static_cast<std::byte>(random.next());
  for (std::byte& byte : v) byte = static_cast<std::byte>(random.next());
  return {.comptime = bytes_of(CopyKvRowsComptime{dtype}),
          .params = bytes_of(CopyKvRowsParams{num_copies, heads, page_tokens, dim}),
          .bindings = {bytes_of(copies), k, v},
          .outputs = {{.binding = 1, .dtype = DType::i8}, {.binding = 2, .dtype = DType::i8}}};
}

}  // namespace

std::vector<KernelCase> copy_kv_rows_cases() {
  std::vector<KernelCase> cases;
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    for (const uint32_t num_copies : {1u, 2u, 17u, 33u}) {
      for (const uint32_t heads : {1u, 3u}) {
        for (const uint32_t page_tokens : {16u, 64u}) {
          for (const uint32_t dim : {8u, 64u}) {
            cases.push_back({std::to_string(num_copies) + " copies, " + std::to_string(heads) + " heads of " +
                                 std::to_string(dim) + " " + std::string(dtype_name(dtype)) + ", pages of " +
                                 std::to_string(page_tokens),
                             [=] { return make_copies(dtype, num_copies, heads, page_tokens, dim); }});
          }
        }
      }
    }
  }
  return cases;
}

}  // namespace tattletale::conformance

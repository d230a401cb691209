// Fuzzes the text form of kernels and what looks at kernels from outside: a text that parses must print to a
// text that parses to the same kernel, and the verifier must say yes or no to it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ir/text.h"
#include "ir/verify.h"

using namespace tattletale;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto kernel = ir::parse(text);
  if (!kernel) return 0;
  ir::TargetInfo target;
  target.subgroup_size = 32;
  target.f16x2 = true;
  target.f16_fragments = target.bf16_fragments = ir::FragmentTier::transparent;
  (void)ir::verify(*kernel, target);
  const std::string printed = ir::print(*kernel);
  const auto again = ir::parse(printed);
  if (!again || ir::print(*again) != printed) std::abort();
  return 0;
}

// libFuzzer: a hostile tokenizer.json, then a text through what it built. Input: json, a zero byte, the text.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/tokenizer/load_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64 << 10) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const auto tokenizer = tattletale::load_tokenizer_json(input.substr(0, zero), "fuzz");
  if (!tokenizer) return 0;
  const std::string_view text =
      zero == std::string_view::npos ? "Hello, world! 123  \n" : input.substr(zero + 1);
  const auto ids = (*tokenizer)->encode(text.substr(0, 4096));
  if (ids) (void)(*tokenizer)->decode(*ids, false);
  return 0;
}

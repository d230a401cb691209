#include "quant/block_format.h"

#include <array>

#include "base/check.h"
#include "quant/gguf/formats.h"
#include "quant/plain/formats.h"

namespace tattletale {
namespace {

constexpr auto kFormats = std::to_array<const BlockFormat*>({
    &kF32Format,     &kF16Format,  &kBf16Format, &kF64Format,  &kF8E4M3Format, &kF8E5M2Format, &kI8Format,
    &kU8Format,      &kI16Format,  &kU16Format,  &kI32Format,  &kU32Format,    &kI64Format,    &kU64Format,
    &kBooleanFormat, &kQ4_0Format, &kQ4_1Format, &kQ5_0Format, &kQ5_1Format,   &kQ8_0Format,   &kQ2KFormat,
    &kQ3KFormat,     &kQ4KFormat,  &kQ5KFormat,  &kQ6KFormat,  &kIq4NlFormat,  &kIq4XsFormat,
});

}  // namespace

const BlockFormat& block_format(DType dtype) {
  const BlockFormat& format = *kFormats[static_cast<size_t>(dtype)];
  CHECK(format.dtype == dtype);
  return format;
}

double bits_per_element(DType dtype) {
  const DTypeInfo& info = dtype_info(dtype);
  return 8.0 * info.block_bytes / info.block_elements;
}

}  // namespace tattletale

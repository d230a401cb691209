// The BlockFormats of plain numbers, one number per block. Reached through block_format().
#pragma once

#include "quant/block_format.h"

namespace tattletale {

extern const BlockFormat kF32Format, kF16Format, kBf16Format, kF64Format, kF8E4M3Format, kF8E5M2Format;
extern const BlockFormat kI8Format, kU8Format, kI16Format, kU16Format, kI32Format, kU32Format, kI64Format,
    kU64Format, kBooleanFormat;

}  // namespace tattletale

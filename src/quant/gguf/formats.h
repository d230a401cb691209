// The BlockFormats of GGUF's packed types. Reached through block_format().
#pragma once

#include "quant/block_format.h"

namespace tattletale {

extern const BlockFormat kQ4_0Format, kQ4_1Format, kQ5_0Format, kQ5_1Format, kQ8_0Format;
extern const BlockFormat kQ2KFormat, kQ3KFormat, kQ4KFormat, kQ5KFormat, kQ6KFormat;
extern const BlockFormat kIq4NlFormat, kIq4XsFormat;

}  // namespace tattletale

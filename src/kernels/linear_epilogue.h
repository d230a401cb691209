// The end of every linear body: how a finished sum reaches y.
#pragma once

#include "ir/lang.h"
#include "kernels/linear.h"

namespace tattletale {

/// Writes number `column` of a row of y. `first` and `second` are the sums of the row's matrices with their
/// biases; `second` counts for gated epilogues only.
void write_epilogue(const lang::Buffer& row, lang::Val<uint32_t> column, LinearEpilogue epilogue,
                    lang::Val<float> first, lang::Val<float> second);

}  // namespace tattletale

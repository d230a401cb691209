// Models with the true shapes of published ones and random weights, made in memory: for benchmarks and tests
// without a download. They have no tokenizer, and their text is noise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/model_files.h"

namespace tattletale {

inline constexpr std::string_view kSyntheticPrefix = "synthetic:";

/// The names that `shape` may have.
std::vector<std::string_view> synthetic_shapes();

/// Makes "synthetic:<shape>:<format>", for example "synthetic:llama3-1b:q4_0". Every matrix, embedding and
/// head included, is of the format's dtype (f32, f16, bf16 or a packed one) with about N(0, 1/columns)
/// numbers; norms are ones. Where rows are not whole blocks of 256, the format falls back as llama.cpp's
/// quantizer does: q2_k, q3_k and iq4_xs to iq4_nl, q4_k to q5_0, q5_k to q5_1, q6_k to q8_0. The same spec
/// gives the same bytes everywhere. Fills memory with all cores; the result keeps it alive through `owner`.
/// Errors: invalid_argument listing shapes or formats; out_of_memory when the machine has too little.
Result<ModelFiles> open_synthetic_model(std::string_view spec);

}  // namespace tattletale

// Models of a known shape with random weights, for measuring speed without a download.
#pragma once

#include <string_view>

#include "base/error.h"
#include "weights/model_files.h"

namespace tattletale {

/// True for names of the form "synthetic:<shape>:<format>".
bool is_synthetic_name(std::string_view name);

/// A model in anonymous memory, without tokenizer: shape smollm2-135m, qwen3-0.6b, llama3-1b or llama3-8b, format any
/// dtype that a matrix may have. Errors: invalid_argument listing shapes and formats; out_of_memory.
Result<ModelFiles> open_synthetic_model(std::string_view name);

}  // namespace tattletale

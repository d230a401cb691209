// What paged_attention's plan (paged_attention_portable.cpp) chooses from besides its own body.
#pragma once

#include <optional>

#include "kernels/paged_attention.h"
#include "kernels/portable.h"

namespace tattletale {

/// paged_attention_matrix.cpp: prompts on matrix units. Nothing when the target or the shape does not suit
/// it.
std::optional<Stage> attention_matrix_stage(const LaunchRequest& request);

}  // namespace tattletale

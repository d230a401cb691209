// Memory, ids and synchronisation of the CUDA dialect; arithmetic is in compiler/ptx_snippets.h.
#pragma once

#include <span>
#include <string_view>

#include "compiler/c_printer.h"

namespace tattletale::cuda {

std::string_view cuda_prologue();
std::span<const compiler::CSnippet> cuda_snippets();

}  // namespace tattletale::cuda

// The architectures, one file each; architecture.cpp lists them.
#pragma once

#include "model/architecture.h"

namespace tattletale {

extern const Architecture kLlamaArchitecture, kQwen2Architecture, kQwen3Architecture, kGemma3Architecture;

}  // namespace tattletale

// The metadata below an architecture's prefix ("llama.") that all Llama-like architectures of GGUF share.
// Source: the GGUF specification's list of standardised keys, and the tensor names it gives.
#pragma once

#include "model/architecture.h"
#include "weights/config_reader.h"

namespace tattletale {

/// Reads dimensions, norm epsilon, tying, biases (by the presence of their tensors) and the end token, and
/// refuses expert models. Layers get no windows; ropes is left to the caller; attention_scale is set to
/// head_dim^-0.5.
Result<void> read_gguf_common(ConfigReader& config, const ModelFiles& files, DecoderConfig& out);

/// refuse_unread_keys with the bookkeeping that converters write.
Result<void> refuse_unread_gguf_keys(ConfigReader& config);

/// GGUF's tensor names of a Llama-like model.
TensorNames gguf_tensor_names();

}  // namespace tattletale

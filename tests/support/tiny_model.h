// A tiny Llama with random f32 weights in memory, for tests of what stands above the model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "weights/model_files.h"

namespace tattletale::testing {

struct TinyShape {
  uint32_t vocab = 97, hidden = 32, ffn = 48, layers = 2, q_heads = 4, kv_heads = 2, head_dim = 8,
           context = 512;
};

/// Weights depend only on the shape and the seed.
inline ModelFiles make_tiny_llama(const TinyShape& shape = {}, uint64_t seed = 1) {
  ModelFiles files;
  files.source = ModelSource::safetensors;
  files.path = "tiny";
  files.config_path = "tiny/config.json";
  files.config = Json{{"architectures", {"LlamaForCausalLM"}},
                      {"model_type", "llama"},
                      {"vocab_size", shape.vocab},
                      {"hidden_size", shape.hidden},
                      {"intermediate_size", shape.ffn},
                      {"num_hidden_layers", shape.layers},
                      {"num_attention_heads", shape.q_heads},
                      {"num_key_value_heads", shape.kv_heads},
                      {"head_dim", shape.head_dim},
                      {"max_position_embeddings", shape.context},
                      {"rms_norm_eps", 1e-5},
                      {"rope_theta", 10000.0},
                      {"hidden_act", "silu"},
                      {"tie_word_embeddings", false}};
  struct Storage {
    std::vector<std::unique_ptr<std::string>> names;
    std::vector<std::vector<float>> data;
  };
  auto storage = std::make_shared<Storage>();
  uint64_t state = seed;
  const auto add = [&](std::string name, Shape dims, bool norm) {
    std::vector<float> values(static_cast<size_t>(*dims.num_elements()));
    for (float& value : values) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const float unit = static_cast<float>(static_cast<double>(state >> 11) * 0x1p-53);
      value = norm ? 0.75f + 0.5f * unit : (unit - 0.5f) * 0.6f;
    }
    storage->data.push_back(std::move(values));
    storage->names.push_back(std::make_unique<std::string>(std::move(name)));
    files.add_tensor(*storage->names.back(),
                     {DType::f32, dims, std::as_bytes(std::span(storage->data.back()))});
  };
  const int64_t hidden = shape.hidden, ffn = shape.ffn, vocab = shape.vocab;
  const int64_t q_dim = int64_t{shape.q_heads} * shape.head_dim,
                kv_dim = int64_t{shape.kv_heads} * shape.head_dim;
  add("model.embed_tokens.weight", {vocab, hidden}, false);
  add("model.norm.weight", {hidden}, true);
  add("lm_head.weight", {vocab, hidden}, false);
  for (uint32_t i = 0; i < shape.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {hidden}, true);
    add(layer + "post_attention_layernorm.weight", {hidden}, true);
    add(layer + "self_attn.q_proj.weight", {q_dim, hidden}, false);
    add(layer + "self_attn.k_proj.weight", {kv_dim, hidden}, false);
    add(layer + "self_attn.v_proj.weight", {kv_dim, hidden}, false);
    add(layer + "self_attn.o_proj.weight", {hidden, q_dim}, false);
    add(layer + "mlp.gate_proj.weight", {ffn, hidden}, false);
    add(layer + "mlp.up_proj.weight", {ffn, hidden}, false);
    add(layer + "mlp.down_proj.weight", {hidden, ffn}, false);
  }
  files.owner = storage;
  return files;
}

}  // namespace tattletale::testing

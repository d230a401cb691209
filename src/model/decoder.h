// A decoder-only transformer on a device: its weights, and forward, a pure function that records the launches
// of one ragged batch. All state (pages, positions, requests) belongs to the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/op_recorder.h"
#include "model/decoder_config.h"
#include "model/kv_pool.h"
#include "weights/model_files.h"

namespace tattletale {

/// Weights of one layer. Norm weights are f32 vectors [dim]; matrices stay as stored, [out, in].
struct LayerWeights {
  DeviceTensor attention_norm, q_norm, k_norm, post_attention_norm, mlp_norm, post_mlp_norm;
  LinearWeight q, k, v, o, gate, up, down;
};

/// Activations of one step, reused from step to step and shared by all layers.
struct Workspace {
  uint32_t max_tokens = 0;  // rows of every activation
  uint32_t max_logit_rows = 0;
  DeviceTensor hidden;                           // [max_tokens, hidden_dim] f32
  DeviceTensor normed;                           // [max_tokens, hidden_dim]
  DeviceTensor qkv;                              // [max_tokens, (Hq + 2 Hkv) * head_dim]
  DeviceTensor attention;                        // [max_tokens, Hq * head_dim]
  DeviceTensor ffn;                              // [max_tokens, ffn_dim]
  DeviceTensor picked_hidden, picked_attention;  // the rows whose logits are wanted
  DeviceTensor logits;                           // [max_logit_rows, vocab_size] f32
};

/// Which rows of the batch get logits. rows [R] u32 on the device, R <= max_logit_rows.
struct LogitRows {
  DeviceTensor rows;
  uint32_t num_rows = 0;
};

class Decoder {
 public:
  /// Maps the checkpoint's tensors onto the device and checks every shape against the configuration.
  /// `context_tokens` is the longest context to be used (dynamic RoPE scaling depends on it).
  /// Errors: not_found, bad_file and unsupported naming the tensor; out_of_memory.
  static Result<std::unique_ptr<Decoder>> load(Device& device, const ModelFiles& files, DecoderConfig config,
                                               const TensorNames& names, uint64_t context_tokens);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const DecoderConfig& config() const { return config_; }

  /// Bytes of weights read once per token in decoding (matrices; the embedding table only as a head).
  uint64_t decode_weight_bytes() const { return decode_weight_bytes_; }

  Result<Workspace> create_workspace(uint32_t max_tokens, uint32_t max_logit_rows) const;
  void destroy_workspace(Workspace& workspace) const;

  /// Records the launches that embed the batch, run every layer, append keys and values to `kv`, and leave
  /// the wanted logits in workspace.logits [R, vocab_size]. Runs nothing and changes no state of its own.
  Result<void> forward(const BatchTables& batch, const LogitRows& wanted, const KvPool& kv,
                       Workspace& workspace, KernelCache& kernels, CommandList& list) const;

 private:
  friend class DecoderLoader;
  Decoder(Device& device, DecoderConfig config) : device_(device), config_(std::move(config)) {}

  Result<void> record_layer(size_t index, const BatchTables& batch, const LogitRows& wanted, const KvPool& kv,
                            Workspace& workspace, OpRecorder& ops) const;
  RopeSettings rope_settings(size_t layer) const;

  Device& device_;
  DecoderConfig config_;
  DeviceTensor embed_, final_norm_;
  LinearWeight head_;
  std::vector<LayerWeights> layers_;
  std::vector<DeviceTensor> inv_freq_;        // one a rope kind
  std::vector<float> rope_attention_factor_;  // likewise
  std::vector<BufferId> buffers_;             // everything to free
  uint64_t decode_weight_bytes_ = 0;
};

}  // namespace tattletale

// The forward pass of a decoder, recorded launch by launch.
#include "model/decoder.h"

namespace tattletale {
namespace {

/// The first `rows` rows of a matrix.
DeviceTensor first_rows(const DeviceTensor& tensor, uint32_t rows) {
  CHECK(int64_t{rows} <= tensor.shape[0]);
  DeviceTensor view = tensor;
  view.shape = Shape{int64_t{rows}, tensor.shape[-1]};
  view.slice.size_bytes = *view.shape.num_bytes(view.dtype);
  return view;
}

}  // namespace

Result<Workspace> Decoder::create_workspace(uint32_t max_tokens, uint32_t max_logit_rows) const {
  Workspace workspace;
  workspace.max_tokens = max_tokens;
  workspace.max_logit_rows = max_logit_rows;
  const int64_t q_dim = int64_t{config_.num_q_heads} * config_.head_dim;
  const int64_t kv_dim = int64_t{config_.num_kv_heads} * config_.head_dim;
  struct Wanted {
    DeviceTensor* tensor;
    int64_t rows, columns;
    std::string_view label;
  };
  const Wanted all[] = {
      {&workspace.hidden, max_tokens, config_.hidden_dim, "hidden states"},
      {&workspace.normed, max_tokens, config_.hidden_dim, "normed states"},
      {&workspace.qkv, max_tokens, q_dim + 2 * kv_dim, "qkv"},
      {&workspace.attention, max_tokens, q_dim, "attention"},
      {&workspace.ffn, max_tokens, config_.ffn_dim, "ffn"},
      {&workspace.picked_hidden, max_logit_rows, config_.hidden_dim, "picked hidden states"},
      {&workspace.picked_attention, max_logit_rows, q_dim, "picked attention"},
      {&workspace.logits, max_logit_rows, config_.vocab_size, "logits"},
  };
  for (const Wanted& wanted : all) {
    const Shape shape{wanted.rows, wanted.columns};
    const uint64_t bytes = *shape.num_bytes(DType::f32);
    Result<BufferId> buffer = device_.create_buffer(bytes, wanted.label);
    if (!buffer) {
      destroy_workspace(workspace);
      return buffer.take_error();
    }
    *wanted.tensor = DeviceTensor{DType::f32, shape, {*buffer, 0, bytes}};
  }
  return workspace;
}

void Decoder::destroy_workspace(Workspace& workspace) const {
  for (DeviceTensor* tensor :
       {&workspace.hidden, &workspace.normed, &workspace.qkv, &workspace.attention, &workspace.ffn,
        &workspace.picked_hidden, &workspace.picked_attention, &workspace.logits}) {
    if (tensor->present()) device_.destroy_buffer(tensor->slice.buffer);
    *tensor = DeviceTensor{};
  }
}

Result<void> Decoder::forward(const BatchTables& batch, const LogitRows& wanted, const KvPool& kv,
                              Workspace& workspace, KernelCache& kernels, CommandList& list) const {
  CHECK(batch.num_tokens > 0 && batch.num_tokens <= workspace.max_tokens);
  CHECK(wanted.num_rows <= workspace.max_logit_rows);
  OpRecorder ops(kernels, list);
  TT_TRY(ops.embed(batch, embed_, config_.embed_scale, first_rows(workspace.hidden, batch.num_tokens)));
  for (size_t i = 0; i < layers_.size(); ++i) TT_TRY(record_layer(i, batch, wanted, kv, workspace, ops));
  if (wanted.num_rows == 0) return {};
  const DeviceTensor hidden = first_rows(workspace.picked_hidden, wanted.num_rows);
  TT_TRY(ops.rms_norm(hidden, final_norm_, config_.norm_eps, config_.norm_weight_offset, hidden, false));
  return ops.linear(hidden, std::span(&head_, 1), LinearEpilogue::store,
                    first_rows(workspace.logits, wanted.num_rows));
}

RopeSettings Decoder::rope_settings(size_t layer) const {
  const uint32_t kind = config_.layers[layer].rope_index;
  RopeSettings settings;
  settings.layout = config_.rope_layout;
  settings.inv_freq = inv_freq_[kind];
  settings.factor = rope_attention_factor_[kind];
  settings.q_norm = layers_[layer].q_norm;
  settings.k_norm = layers_[layer].k_norm;
  settings.norm_eps = config_.norm_eps;
  settings.norm_weight_offset = config_.norm_weight_offset;
  return settings;
}

Result<void> Decoder::record_layer(size_t index, const BatchTables& batch, const LogitRows& wanted,
                                   const KvPool& kv, Workspace& workspace, OpRecorder& ops) const {
  const LayerWeights& layer = layers_[index];
  const float eps = config_.norm_eps;
  const float offset = config_.norm_weight_offset;
  const HeadShape heads{config_.num_q_heads, config_.num_kv_heads, config_.head_dim};
  DeviceTensor hidden = first_rows(workspace.hidden, batch.num_tokens);
  DeviceTensor normed = first_rows(workspace.normed, batch.num_tokens);
  const DeviceTensor qkv = first_rows(workspace.qkv, batch.num_tokens);
  DeviceTensor attention = first_rows(workspace.attention, batch.num_tokens);

  TT_TRY(ops.rms_norm(hidden, layer.attention_norm, eps, offset, normed, false));
  const LinearWeight projections[] = {layer.q, layer.k, layer.v};
  TT_TRY(ops.linear(normed, projections, LinearEpilogue::store, qkv));
  TT_TRY(ops.rope_append(batch, qkv, heads, rope_settings(index), kv.layer(index)));

  // Behind the last layer's keys and values only the wanted rows matter.
  const bool last = index + 1 == layers_.size();
  if (last && wanted.num_rows == 0) return {};
  TT_TRY(ops.paged_attention(batch, qkv, heads, kv.layer(index), config_.attention_scale,
                             config_.layers[index].window_tokens, attention));
  if (last) {
    const DeviceTensor picked_hidden = first_rows(workspace.picked_hidden, wanted.num_rows);
    const DeviceTensor picked_attention = first_rows(workspace.picked_attention, wanted.num_rows);
    TT_TRY(ops.gather_rows(wanted.rows, hidden, picked_hidden));
    TT_TRY(ops.gather_rows(wanted.rows, attention, picked_attention));
    hidden = picked_hidden;
    attention = picked_attention;
    normed = first_rows(workspace.normed, wanted.num_rows);
  }
  const uint32_t rows = last ? wanted.num_rows : batch.num_tokens;
  const DeviceTensor ffn = first_rows(workspace.ffn, rows);

  // With post-norms a sub-layer's output is normed before it joins the residual stream.
  const auto join = [&](const DeviceTensor& x, const LinearWeight& weight,
                        const DeviceTensor& post_norm) -> Result<void> {
    if (!config_.post_norms) return ops.linear(x, std::span(&weight, 1), LinearEpilogue::add, hidden);
    TT_TRY(ops.linear(x, std::span(&weight, 1), LinearEpilogue::store, normed));
    return ops.rms_norm(normed, post_norm, eps, offset, hidden, true);
  };
  TT_TRY(join(attention, layer.o, layer.post_attention_norm));
  TT_TRY(ops.rms_norm(hidden, layer.mlp_norm, eps, offset, normed, false));
  const LinearWeight gated[] = {layer.gate, layer.up};
  const LinearEpilogue epilogue =
      config_.activation == Activation::silu ? LinearEpilogue::silu_mul : LinearEpilogue::gelu_tanh_mul;
  TT_TRY(ops.linear(normed, gated, epilogue, ffn));
  return join(ffn, layer.down, layer.post_mlp_norm);
}

}  // namespace tattletale

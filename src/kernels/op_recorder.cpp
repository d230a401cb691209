#include "kernels/op_recorder.h"

#include <algorithm>
#include <cstring>

#include "kernels/argmax.h"
#include "kernels/copy_kv_rows.h"
#include "kernels/gather_rows.h"

namespace tattletale {
namespace {

uint32_t u32(int64_t value) {
  CHECK(value >= 0 && value <= INT64_C(0xffffffff));
  return static_cast<uint32_t>(value);
}

}  // namespace

template <class Comptime, class Params>
Result<void> OpRecorder::record(const KernelContract& contract, const Comptime& comptime,
                                const Params& params, std::span<const DeviceTensor> bindings) {
  static_assert(std::has_unique_object_representations_v<Comptime>, "comptime bytes are a cache key");
  CHECK(bindings.size() == contract.num_bindings);
  Dispatch dispatch;
  TT_ASSIGN(dispatch.kernel, kernels_.get(contract, std::as_bytes(std::span(&comptime, 1))));
  dispatch.num_bindings = static_cast<uint32_t>(bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) dispatch.bindings[i] = bindings[i].slice;
  dispatch.set_params(params);
  list_.dispatch(dispatch);
  return {};
}

Result<void> OpRecorder::embed(const BatchTables& batch, const DeviceTensor& table, float scale,
                               const DeviceTensor& out) {
  CHECK(out.shape[-1] == table.shape[-1] && out.shape[0] >= batch.num_tokens);
  EmbedParams params;
  params.num_tokens = batch.num_tokens;
  params.dim = u32(table.shape[-1]);
  params.num_rows = u32(table.shape[0]);
  params.scale = scale;
  const DeviceTensor bindings[] = {batch.token_ids, table, out, batch.ready};
  return record(kEmbedContract, EmbedComptime{table.dtype}, params, bindings);
}

Result<void> OpRecorder::rms_norm(const DeviceTensor& x, const DeviceTensor& weight, float eps,
                                  float weight_offset, const DeviceTensor& y, bool add) {
  CHECK(x.shape[-1] == weight.shape[-1] && y.shape == x.shape);
  RmsNormParams params;
  params.num_rows = u32(x.shape[0]);
  params.dim = u32(x.shape[-1]);
  params.x_stride = params.dim;
  params.eps = eps;
  params.weight_offset = weight_offset;
  const DeviceTensor bindings[] = {x, weight, y};
  return record(kRmsNormContract, RmsNormComptime{add ? 1u : 0u}, params, bindings);
}

Result<void> OpRecorder::linear(const DeviceTensor& x, std::span<const LinearWeight> weights,
                                LinearEpilogue epilogue, const DeviceTensor& y) {
  CHECK(!weights.empty() && weights.size() <= 3);
  const bool gated = epilogue == LinearEpilogue::silu_mul || epilogue == LinearEpilogue::gelu_tanh_mul;
  CHECK(!gated || weights.size() == 2);
  LinearComptime comptime;
  comptime.num_weights = static_cast<uint8_t>(weights.size());
  comptime.epilogue = epilogue;
  LinearParams params;
  params.num_rows = u32(x.shape[0]);
  params.in_dim = u32(x.shape[-1]);
  params.x_stride = params.in_dim;
  params.y_stride = u32(y.shape[-1]);
  std::array<DeviceTensor, 8> bindings;
  bindings[0] = x;
  bindings[1] = y;
  int64_t width = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(weights[i].weight.shape[-1] == x.shape[-1]);
    comptime.weight_dtype[i] = weights[i].weight.dtype;
    params.out_dim[i] = u32(weights[i].weight.shape[0]);
    bindings[2 + i] = weights[i].weight;
    bindings[5 + i] = weights[i].bias;
    width += weights[i].weight.shape[0];
  }
  CHECK(y.shape[0] == x.shape[0] && y.shape[-1] == (gated ? weights[0].weight.shape[0] : width));
  return record(kLinearContract, comptime, params, bindings);
}

Result<void> OpRecorder::rope_append(const BatchTables& batch, const DeviceTensor& qkv,
                                     const HeadShape& heads, const RopeSettings& rope, const KvLayer& kv) {
  CHECK(qkv.shape[-1] == int64_t{heads.num_q_heads + 2 * heads.num_kv_heads} * heads.head_dim);
  CHECK(kv.k.shape == kv.v.shape && kv.k.dtype == kv.v.dtype && kv.k.shape[1] == heads.num_kv_heads);
  RopeAppendParams params;
  params.num_tokens = batch.num_tokens;
  params.num_q_heads = heads.num_q_heads;
  params.num_kv_heads = heads.num_kv_heads;
  params.head_dim = heads.head_dim;
  params.rotary_dim = u32(2 * rope.inv_freq.shape[-1]);
  params.qkv_stride = u32(qkv.shape[-1]);
  params.page_tokens = u32(kv.k.shape[2]);
  params.norm_eps = rope.norm_eps;
  params.norm_weight_offset = rope.norm_weight_offset;
  params.rope_factor = rope.factor;
  const DeviceTensor bindings[] = {
      qkv, rope.q_norm, rope.k_norm, rope.inv_freq, batch.positions, batch.kv_slots, kv.k, kv.v};
  return record(kRopeAppendContract, RopeAppendComptime{rope.layout, kv.k.dtype}, params, bindings);
}

Result<void> OpRecorder::paged_attention(const BatchTables& batch, const DeviceTensor& qkv,
                                         const HeadShape& heads, const KvLayer& kv, float scale,
                                         uint32_t window, const DeviceTensor& out) {
  CHECK(out.shape[-1] == int64_t{heads.num_q_heads} * heads.head_dim);
  PagedAttentionParams params;
  params.num_tokens = batch.num_tokens;
  params.num_sequences = batch.num_sequences;
  params.num_q_heads = heads.num_q_heads;
  params.num_kv_heads = heads.num_kv_heads;
  params.head_dim = heads.head_dim;
  params.q_stride = u32(qkv.shape[-1]);
  params.page_tokens = u32(kv.k.shape[2]);
  params.window = window;
  params.scale = scale;
  const DeviceTensor bindings[] = {qkv, kv.k, kv.v, batch.sequences, batch.page_table, out};
  return record(kPagedAttentionContract, PagedAttentionComptime{kv.k.dtype}, params, bindings);
}

Result<void> OpRecorder::copy_kv_rows(const DeviceTensor& copies, uint32_t num_copies, const KvLayer& kv) {
  CHECK(kv.k.shape == kv.v.shape && kv.k.dtype == kv.v.dtype);
  CopyKvRowsParams params;
  params.num_copies = num_copies;
  params.num_kv_heads = u32(kv.k.shape[1]);
  params.page_tokens = u32(kv.k.shape[2]);
  params.head_dim = u32(kv.k.shape[3]);
  const DeviceTensor bindings[] = {copies, kv.k, kv.v};
  return record(kCopyKvRowsContract, CopyKvRowsComptime{kv.k.dtype}, params, bindings);
}

Result<void> OpRecorder::argmax(const DeviceTensor& x, const DeviceTensor& out) {
  CHECK(out.dtype == DType::u32 && out.shape[0] == x.shape[0]);
  ArgmaxParams params;
  params.num_rows = u32(x.shape[0]);
  params.dim = u32(x.shape[-1]);
  const DeviceTensor bindings[] = {x, out};
  return record(kArgmaxContract, ArgmaxComptime{}, params, bindings);
}

Result<void> OpRecorder::gather_rows(const DeviceTensor& rows, const DeviceTensor& x,
                                     const DeviceTensor& out) {
  CHECK(x.shape[-1] == out.shape[-1] && rows.shape[0] == out.shape[0]);
  GatherRowsParams params;
  params.num_rows = u32(rows.shape[0]);
  params.dim = u32(x.shape[-1]);
  const DeviceTensor bindings[] = {rows, x, out};
  return record(kGatherRowsContract, GatherRowsComptime{}, params, bindings);
}

}  // namespace tattletale

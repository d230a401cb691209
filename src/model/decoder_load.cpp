// Loading a decoder: finds each tensor, checks its shape, and puts it on the device as it is stored. Only
// vectors (norm weights, biases) become f32, since kernels add them to f32 sums.
#include <cstring>

#include "model/decoder.h"
#include "quant/block_format.h"

namespace tattletale {

std::string TensorNames::of_layer(const std::string& name, size_t layer) {
  const size_t place = name.find("{}");
  CHECK(place != std::string::npos);
  return name.substr(0, place) + std::to_string(layer) + name.substr(place + 2);
}

class DecoderLoader {
 public:
  DecoderLoader(Decoder& decoder, const ModelFiles& files, const TensorNames& names)
      : decoder_(decoder), files_(files), names_(names) {}

  Result<void> load(uint64_t context_tokens) {
    const DecoderConfig& config = decoder_.config_;
    TT_ASSIGN(decoder_.embed_, matrix(names_.embed, config.vocab_size, config.hidden_dim));
    TT_ASSIGN(decoder_.final_norm_, vector(names_.final_norm, config.hidden_dim));
    if (config.tied_head) {
      decoder_.head_.weight = decoder_.embed_;
    } else {
      TT_ASSIGN(decoder_.head_.weight, matrix(names_.head, config.vocab_size, config.hidden_dim));
    }
    decoder_.decode_weight_bytes_ += decoder_.head_.weight.slice.size_bytes;
    for (size_t i = 0; i < config.layers.size(); ++i) TT_TRY(load_layer(i));
    for (const RopeConfig& rope : config.ropes) TT_TRY(load_rope(rope, context_tokens));
    return {};
  }

 private:
  Result<void> load_layer(size_t index) {
    const DecoderConfig& config = decoder_.config_;
    const uint64_t hidden = config.hidden_dim;
    const uint64_t q_dim = uint64_t{config.num_q_heads} * config.head_dim;
    const uint64_t kv_dim = uint64_t{config.num_kv_heads} * config.head_dim;
    LayerWeights layer;
    TT_ASSIGN(layer.attention_norm, vector(at(names_.attention_norm, index), hidden));
    TT_ASSIGN(layer.mlp_norm, vector(at(names_.mlp_norm, index), hidden));
    if (config.qk_norm) {
      TT_ASSIGN(layer.q_norm, vector(at(names_.q_norm, index), config.head_dim));
      TT_ASSIGN(layer.k_norm, vector(at(names_.k_norm, index), config.head_dim));
    }
    if (config.post_norms) {
      TT_ASSIGN(layer.post_attention_norm, vector(at(names_.post_attention_norm, index), hidden));
      TT_ASSIGN(layer.post_mlp_norm, vector(at(names_.post_mlp_norm, index), hidden));
    }
    TT_ASSIGN(layer.q, linear(at(names_.q, index), q_dim, hidden, config.qkv_bias));
    TT_ASSIGN(layer.k, linear(at(names_.k, index), kv_dim, hidden, config.qkv_bias));
    TT_ASSIGN(layer.v, linear(at(names_.v, index), kv_dim, hidden, config.qkv_bias));
    TT_ASSIGN(layer.o, linear(at(names_.o, index), hidden, q_dim, config.output_bias));
    TT_ASSIGN(layer.gate, linear(at(names_.gate, index), config.ffn_dim, hidden, config.mlp_bias));
    TT_ASSIGN(layer.up, linear(at(names_.up, index), config.ffn_dim, hidden, config.mlp_bias));
    TT_ASSIGN(layer.down, linear(at(names_.down, index), hidden, config.ffn_dim, config.mlp_bias));
    for (const LinearWeight* weight :
         {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      decoder_.decode_weight_bytes_ += weight->weight.slice.size_bytes;
    }
    decoder_.layers_.push_back(layer);
    return {};
  }

  Result<void> load_rope(RopeConfig rope, uint64_t context_tokens) {
    if (!names_.rope_freqs.empty() && files_.find(names_.rope_freqs) != nullptr) {
      TT_ASSIGN(const TensorView view, find(names_.rope_freqs, Shape{rope.rotary_dim / 2}));
      rope.frequency_divisors.resize(rope.rotary_dim / 2);
      block_format(view.dtype)
          .dequantize_row(view.bytes.data(), rope.frequency_divisors.data(), rope.rotary_dim / 2);
    }
    const RopeTable table = make_rope_table(rope, context_tokens);
    TT_ASSIGN(DeviceTensor tensor, upload(table.inv_freq, "rope frequencies"));
    decoder_.inv_freq_.push_back(tensor);
    decoder_.rope_attention_factor_.push_back(table.attention_factor);
    return {};
  }

  static std::string at(const std::string& name, size_t layer) { return TensorNames::of_layer(name, layer); }

  Result<TensorView> find(const std::string& name, const Shape& expected) const {
    TT_ASSIGN(TensorView view, files_.tensor(name));
    if (view.shape != expected) {
      return make_error(ErrorKind::bad_file, files_.path.string(),
                        "tensor " + name + " has shape " + view.shape.to_string() +
                            "; the configuration asks for " + expected.to_string());
    }
    return view;
  }

  Result<DeviceTensor> matrix(const std::string& name, uint64_t rows, uint64_t columns) {
    TT_ASSIGN(const TensorView view,
              find(name, Shape{static_cast<int64_t>(rows), static_cast<int64_t>(columns)}));
    const bool numeric = dtype_info(view.dtype).packed || view.dtype == DType::f32 ||
                         view.dtype == DType::f16 || view.dtype == DType::bf16;
    if (!numeric) {
      return make_error(ErrorKind::unsupported, files_.path.string(),
                        "tensor " + name + " is stored as " + std::string(dtype_name(view.dtype)) +
                            "; matrices may be f32, f16, bf16 or one of GGUF's quantized types");
    }
    DeviceTensor tensor{view.dtype, view.shape, {}};
    TT_ASSIGN(tensor.slice,
              decoder_.device_.create_matrix(view.dtype, rows, columns, view.bytes, files_.owner, name));
    decoder_.buffers_.push_back(tensor.slice.buffer);
    return tensor;
  }

  Result<DeviceTensor> vector(const std::string& name, uint64_t length) {
    TT_ASSIGN(const TensorView view, find(name, Shape{static_cast<int64_t>(length)}));
    std::vector<float> values(length);
    block_format(view.dtype).dequantize_row(view.bytes.data(), values.data(), static_cast<int64_t>(length));
    return upload(values, name);
  }

  Result<LinearWeight> linear(const std::string& name, uint64_t rows, uint64_t columns, bool has_bias) {
    LinearWeight result;
    TT_ASSIGN(result.weight, matrix(name, rows, columns));
    if (has_bias) {
      TT_ASSIGN(result.bias, vector(bias_name(name), rows));
    }
    return result;
  }

  static std::string bias_name(const std::string& weight_name) {
    CHECK(weight_name.ends_with(".weight"));
    return weight_name.substr(0, weight_name.size() - std::string_view("weight").size()) + "bias";
  }

  Result<DeviceTensor> upload(const std::vector<float>& values, std::string_view label) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
    TT_ASSIGN(const BufferId buffer, decoder_.device_.create_buffer(bytes.size(), label));
    decoder_.buffers_.push_back(buffer);
    TT_TRY(decoder_.device_.write(buffer, 0, bytes));
    return DeviceTensor{DType::f32, Shape{static_cast<int64_t>(values.size())}, {buffer, 0, bytes.size()}};
  }

  Decoder& decoder_;
  const ModelFiles& files_;
  const TensorNames& names_;
};

Result<std::unique_ptr<Decoder>> Decoder::load(Device& device, const ModelFiles& files, DecoderConfig config,
                                               const TensorNames& names, uint64_t context_tokens) {
  std::unique_ptr<Decoder> decoder(new Decoder(device, std::move(config)));
  TT_TRY(DecoderLoader(*decoder, files, names).load(context_tokens));
  return decoder;
}

Decoder::~Decoder() {
  for (const BufferId buffer : buffers_) device_.destroy_buffer(buffer);
}

}  // namespace tattletale

// Models, files and devices as JSON, for inspection and reports.
#include <map>

#include "capi/handles.h"
#include "model/architecture.h"
#include "model/synthetic.h"

namespace tattletale {
namespace {

constexpr uint64_t kMaxListedElements = 16;  // of a metadata array

std::string_view source_name(ModelSource source) {
  return source == ModelSource::gguf ? "gguf" : "safetensors";
}

std::string printable(std::string_view text) {
  // Metadata may hold any bytes; JSON wants UTF-8.
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json string_json(std::string_view text) {
  return Json::parse(printable(text));
}

/// Reads a little-endian scalar that may be unaligned.
template <class T>
T scalar(std::span<const std::byte> bytes, uint64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

Json number_json(GgufType type, std::span<const std::byte> bytes, uint64_t index) {
  switch (type) {
    case GgufType::u8: return scalar<uint8_t>(bytes, index);
    case GgufType::i8: return scalar<int8_t>(bytes, index);
    case GgufType::u16: return scalar<uint16_t>(bytes, index);
    case GgufType::i16: return scalar<int16_t>(bytes, index);
    case GgufType::u32: return scalar<uint32_t>(bytes, index);
    case GgufType::i32: return scalar<int32_t>(bytes, index);
    case GgufType::u64: return scalar<uint64_t>(bytes, index);
    case GgufType::i64: return scalar<int64_t>(bytes, index);
    case GgufType::f32: return scalar<float>(bytes, index);
    case GgufType::f64: return scalar<double>(bytes, index);
    case GgufType::boolean: return scalar<uint8_t>(bytes, index) != 0;
    default: return nullptr;
  }
}

/// A metadata value; of a long array the first elements and its count.
Json metadata_json(const GgufValue& value) {
  if (value.type == GgufType::string) return string_json(value.string);
  if (value.type != GgufType::array) return number_json(value.type, value.bytes, 0);
  Json elements = Json::array();
  const uint64_t shown = std::min(value.count, kMaxListedElements);
  for (uint64_t i = 0; i < shown; ++i) {
    if (value.element_type == GgufType::string) {
      elements.push_back(string_json(value.strings[i]));
    } else if (value.element_type == GgufType::array) {
      elements.push_back(metadata_json(value.values[i]));
    } else {
      elements.push_back(number_json(value.element_type, value.bytes, i));
    }
  }
  if (shown == value.count) return elements;
  return Json{{"type", gguf_type_name(value.element_type)}, {"count", value.count}, {"first", elements}};
}

Json metadata_json(const ModelFiles& files) {
  if (files.source == ModelSource::safetensors) return files.config;
  Json metadata = Json::object();
  for (const std::string_view key : files.gguf->keys()) {
    metadata[string_json(key).get<std::string>()] = metadata_json(*files.gguf->find(key));
  }
  return metadata;
}

/// Every tensor of the file, those of unknown type with their type's name.
Json tensors_json(const ModelFiles& files) {
  Json tensors = Json::array();
  const auto add = [&](std::string_view name, std::string_view dtype, const Shape& shape, uint64_t bytes) {
    tensors.push_back({{"name", string_json(name)},
                       {"dtype", string_json(dtype)},
                       {"shape", shape.dims()},
                       {"bytes", bytes}});
  };
  if (files.source == ModelSource::gguf) {
    for (const GgufTensor& tensor : files.gguf->tensors()) {
      add(tensor.name,
          tensor.dtype ? std::string(dtype_name(*tensor.dtype)) : ggml_type_name(tensor.type_number),
          tensor.shape, tensor.bytes.size());
    }
  } else if (files.safetensors != nullptr) {
    for (const SafetensorsEntry& tensor : files.safetensors->tensors()) {
      add(tensor.name, tensor.dtype_name, tensor.shape, tensor.bytes.size());
    }
  }
  return tensors;
}

uint64_t num_parameters(const ModelFiles& files) {
  uint64_t total = 0;
  for (const std::string_view name : files.names()) {
    if (const TensorView* view = files.find(name))
      total += static_cast<uint64_t>(view->shape.num_elements().value_or(0));
  }
  return total;
}

Json config_json(const DecoderConfig& config) {
  uint32_t windows = 0;
  for (const LayerAttention& layer : config.layers) windows += layer.window_tokens != 0;
  return Json{{"arch", config.arch},
              {"layers", config.layers.size()},
              {"windowed_layers", windows},
              {"hidden_dim", config.hidden_dim},
              {"ffn_dim", config.ffn_dim},
              {"num_q_heads", config.num_q_heads},
              {"num_kv_heads", config.num_kv_heads},
              {"head_dim", config.head_dim},
              {"vocab_size", config.vocab_size},
              {"rope_theta", config.ropes.front().theta},
              {"tied_head", config.tied_head},
              {"model_context_tokens", config.context_tokens}};
}

}  // namespace

Result<ModelFiles> open_files_or_synthetic(const std::string& path) {
  return path.starts_with(kSyntheticPrefix) ? open_synthetic_model(path) : open_model(path);
}

std::string dominant_format(const ModelFiles& files) {
  std::map<DType, uint64_t> bytes;
  for (const std::string_view name : files.names()) {
    const TensorView* view = files.find(name);
    if (view != nullptr && view->shape.rank() == 2) bytes[view->dtype] += view->bytes.size();
  }
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  return most == bytes.end() ? "none" : std::string(dtype_name(most->first));
}

Json describe_devices(const std::vector<DeviceListing>& devices) {
  Json list = Json::array();
  for (const DeviceListing& device : devices) {
    list.push_back({{"device", device.device},
                    {"backend", device.backend},
                    {"name", device.name},
                    {"isa", device.driver},
                    {"software", device.is_cpu},
                    {"threads", device.num_threads},
                    {"memory_bytes", device.memory_bytes}});
  }
  return list;
}

Json describe_model(const tt_model& model) {
  Json info{{"path", model.files.path.string()},
            {"source", source_name(model.files.source)},
            {"format", model.format},
            {"parameters", num_parameters(model.files)},
            {"weight_bytes", model.files.weight_bytes}};
  if (model.decoder != nullptr) {
    const DecoderConfig& config = model.decoder->config();
    const EngineOptions& options = model.engine->options();
    info.update(config_json(config));
    info["decode_weight_bytes"] = model.decoder->decode_weight_bytes();
    info["context_tokens"] = options.context_tokens;
    info["kv_tokens"] = options.kv_tokens;
    info["kv_dtype"] = dtype_name(options.kv_dtype);
    info["kv_page_tokens"] = options.page_tokens;
    info["kv_bytes_per_token"] =
        KvPool::page_bytes(config, options.page_tokens, options.kv_dtype) / options.page_tokens;
    info["step_tokens"] = options.step_tokens;
    info["device"] = model.device->caps().backend;
    info["device_name"] = model.device->caps().name;
    info["isa"] = model.device->caps().isa;
    info["threads"] = model.device->caps().num_threads;
    info["allocated_bytes"] = model.device->allocated_bytes();
  }
  info["tokenizer"] = model.text.tokenizer != nullptr;
  info["chat_template"] = model.text.chat_template.has_value();
  return info;
}

Result<Json> describe_files(const std::string& path) {
  TT_ASSIGN(const ModelFiles files, open_files_or_synthetic(path));
  Json info{{"path", path},
            {"source", source_name(files.source)},
            {"format", dominant_format(files)},
            {"parameters", num_parameters(files)},
            {"weight_bytes", files.weight_bytes}};
  Result<LoadedConfig> loaded = read_architecture(files);
  info["supported"] = loaded.has_value();
  if (loaded) {
    info.update(config_json(loaded->config));
  } else {
    info["unsupported_because"] = loaded.error().message();
  }
  info["metadata"] = metadata_json(files);
  info["tensors"] = tensors_json(files);
  return info;
}

}  // namespace tattletale

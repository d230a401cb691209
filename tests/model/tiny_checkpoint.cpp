#include "model/tiny_checkpoint.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/check.h"
#include "quant/block_format.h"
#include "support/test_data.h"

namespace tattletale::testing {
namespace {

std::string read_data(const std::string& name) {
  std::ifstream file(test_data_folder() + "/model/" + name, std::ios::binary);
  CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

uint64_t fnv1a(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return value;
}

uint64_t splitmix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

TinyTensor make_tensor(uint64_t seed, const std::string& name, const Shape& shape, float scale,
                       float offset) {
  TinyTensor tensor{shape, std::vector<float>(static_cast<size_t>(*shape.num_elements()))};
  uint64_t state = seed ^ fnv1a(name);
  for (float& value : tensor.values) {
    const float unit = static_cast<float>(splitmix(state) >> 40) * 0x1p-23f - 1.0f;
    const float scaled = scale * unit;  // a statement of its own: no fused multiply-add
    value = offset + scaled;
  }
  return tensor;
}

Shape shape_from(const Json& json) {
  const std::vector<int64_t> dims = json.get<std::vector<int64_t>>();
  return Shape(dims);
}

TinyCase make_case(const Json& json, const std::string& blob) {
  TinyCase tiny;
  tiny.name = json.at("name");
  tiny.kind = json.at("kind");
  tiny.config = json.at("config");
  tiny.prefix = json.value("prefix", "");
  tiny.bf16 = json.value("bf16", false);
  tiny.token_ids = json.at("token_ids").get<std::vector<uint32_t>>();
  tiny.positions = json.at("positions").get<std::vector<uint32_t>>();
  tiny.logits.resize(tiny.positions.size() * kTinyVocab);
  const size_t offset = json.at("logits_offset");
  CHECK(offset + tiny.logits.size() * 4 <= blob.size());
  std::memcpy(tiny.logits.data(), blob.data() + offset, tiny.logits.size() * 4);
  const Json& text = tiny.config.contains("text_config") ? tiny.config.at("text_config") : tiny.config;
  const size_t num_layers = text.at("num_hidden_layers");
  for (const Json& row : json.at("tensors")) {
    const std::string pattern = row.at(0);
    const size_t place = pattern.find("{}");
    for (size_t layer = 0; layer < (place == std::string::npos ? 1 : num_layers); ++layer) {
      std::string name = pattern;
      if (place != std::string::npos) name.replace(place, 2, std::to_string(layer));
      tiny.tensors[name] = make_tensor(json.at("seed"), name, shape_from(row.at(1)), row.at(2), row.at(3));
    }
  }
  return tiny;
}

std::vector<std::byte> encode(const TinyTensor& tensor, DType dtype) {
  std::vector<std::byte> bytes(*tensor.shape.num_bytes(dtype));
  block_format(dtype).quantize_row(tensor.values.data(), bytes.data(),
                                   static_cast<int64_t>(tensor.values.size()));
  return bytes;
}

/// Names and bytes of a model made in memory; nodes of a map keep their place.
using Storage = std::map<std::string, std::vector<std::byte>>;

/// Moves the rows of each head from halves to pairs: row 2i + j of a head comes from row i + j * head_dim
/// / 2.
TinyTensor interleave_heads(const TinyTensor& tensor, size_t head_dim) {
  TinyTensor result = tensor;
  const auto rows = static_cast<size_t>(tensor.shape[0]);
  const size_t columns = tensor.values.size() / rows;
  for (size_t row = 0; row < rows; ++row) {
    const size_t inside = row % head_dim;
    const size_t source = row - inside + inside / 2 + inside % 2 * (head_dim / 2);
    std::copy_n(tensor.values.begin() + static_cast<ptrdiff_t>(source * columns), columns,
                result.values.begin() + static_cast<ptrdiff_t>(row * columns));
  }
  return result;
}

std::string gguf_name(const std::string& kind, const std::string& name) {
  static const std::map<std::string, std::string> kWhole = {
      {"model.embed_tokens.weight", "token_embd.weight"},
      {"model.norm.weight", "output_norm.weight"},
      {"lm_head.weight", "output.weight"}};
  static const std::map<std::string, std::string> kLayer = {{"input_layernorm", "attn_norm"},
                                                            {"self_attn.q_proj", "attn_q"},
                                                            {"self_attn.k_proj", "attn_k"},
                                                            {"self_attn.v_proj", "attn_v"},
                                                            {"self_attn.o_proj", "attn_output"},
                                                            {"self_attn.q_norm", "attn_q_norm"},
                                                            {"self_attn.k_norm", "attn_k_norm"},
                                                            {"mlp.gate_proj", "ffn_gate"},
                                                            {"mlp.up_proj", "ffn_up"},
                                                            {"mlp.down_proj", "ffn_down"},
                                                            {"pre_feedforward_layernorm", "ffn_norm"},
                                                            {"post_feedforward_layernorm", "post_ffw_norm"}};
  if (const auto found = kWhole.find(name); found != kWhole.end()) return found->second;
  const size_t number = std::string("model.layers.").size();
  const size_t after = name.find('.', number);
  const size_t last = name.rfind('.');
  const std::string middle = name.substr(after + 1, last - after - 1);
  std::string stem;
  if (middle == "post_attention_layernorm") {
    stem = kind == "gemma3" ? "post_attention_norm" : "ffn_norm";
  } else {
    stem = kLayer.at(middle);
  }
  return "blk." + name.substr(number, after - number) + "." + stem + name.substr(last);
}

double number_or(const Json& config, const char* key, double fallback) {
  return config.contains(key) && config.at(key).is_number() ? config.at(key).get<double>() : fallback;
}

void add_gguf_rope(const Json& config, const std::string& arch, GgufWriter& writer) {
  Json rope = config.value("rope_scaling", Json());
  if (config.contains("rope_parameters")) rope = config.at("rope_parameters");
  if (rope.is_object() && rope.contains("full_attention")) rope = rope.at("full_attention");
  double theta = number_or(config, "rope_theta", arch == "gemma3" ? 1e6 : 1e4);
  std::string kind = "default";
  if (rope.is_object()) {
    theta = number_or(rope, "rope_theta", theta);
    kind = rope.value("rope_type", rope.value("type", "default"));
  }
  writer.add_f32(arch + ".rope.freq_base", static_cast<float>(theta));
  if (kind != "linear" && kind != "yarn") return;
  writer.add_string(arch + ".rope.scaling.type", kind);
  writer.add_f32(arch + ".rope.scaling.factor", rope.at("factor").get<float>());
  if (kind == "yarn") {
    writer.add_u32(arch + ".rope.scaling.original_context_length",
                   rope.at("original_max_position_embeddings"));
  }
}

void add_gguf_config(const TinyCase& tiny, GgufWriter& writer) {
  const Json& config = tiny.config.contains("text_config") ? tiny.config.at("text_config") : tiny.config;
  const std::string arch = tiny.kind;
  const auto head_rows = [&](const char* name) { return tiny.tensors.at(name).shape[0]; };
  const auto heads = static_cast<uint32_t>(number_or(config, "num_attention_heads", 8));
  const auto q_rows = static_cast<uint32_t>(head_rows("model.layers.0.self_attn.q_proj.weight"));
  const auto kv_rows = static_cast<uint32_t>(head_rows("model.layers.0.self_attn.k_proj.weight"));
  writer.add_string("general.architecture", arch);
  writer.add_u32(arch + ".block_count", config.at("num_hidden_layers"));
  writer.add_u32(arch + ".context_length",
                 static_cast<uint32_t>(number_or(config, "max_position_embeddings", 131072)));
  writer.add_u32(arch + ".embedding_length", config.at("hidden_size"));
  writer.add_u32(arch + ".feed_forward_length", config.at("intermediate_size"));
  writer.add_u32(arch + ".attention.head_count", heads);
  writer.add_u32(arch + ".attention.head_count_kv", kv_rows / (q_rows / heads));
  writer.add_u32(arch + ".attention.key_length", q_rows / heads);
  writer.add_u32(arch + ".attention.value_length", q_rows / heads);
  writer.add_f32(arch + ".attention.layer_norm_rms_epsilon",
                 static_cast<float>(number_or(config, "rms_norm_eps", 1e-6)));
  if (tiny.kind == "llama") writer.add_u32(arch + ".rope.dimension_count", q_rows / heads);
  const double window = number_or(config, "sliding_window", 0);
  if (tiny.kind != "qwen2" && tiny.kind != "qwen3") {
    writer.add_u32(arch + ".attention.sliding_window", static_cast<uint32_t>(window));
  }
  writer.add_u32("tokenizer.ggml.eos_token_id", 2);
  add_gguf_rope(config, arch, writer);
}

}  // namespace

const std::vector<TinyCase>& tiny_cases() {
  static const std::vector<TinyCase> cases = [] {
    const std::string blob = read_data("logits.f32");
    const Result<Json> list = parse_json(read_data("cases.json"), "cases.json");
    CHECK(list.has_value());
    std::vector<TinyCase> result;
    for (const Json& json : *list) result.push_back(make_case(json, blob));
    return result;
  }();
  return cases;
}

const TinyCase& tiny_case(std::string_view name) {
  for (const TinyCase& tiny : tiny_cases()) {
    if (tiny.name == name) return tiny;
  }
  check_failed("no such tiny case");
}

DTypeOf all_tensors(DType dtype) {
  return [dtype](const std::string&, const Shape&) { return dtype; };
}

DTypeOf all_matrices(DType dtype) {
  return [dtype](const std::string&, const Shape& shape) {
    if (shape.rank() == 1) return DType::f32;
    if (shape.num_bytes(dtype)) return dtype;
    return shape.num_bytes(DType::q8_0) ? DType::q8_0 : DType::f32;
  };
}

ModelFiles tiny_safetensors(const TinyCase& tiny, const DTypeOf& dtype_of) {
  ModelFiles files;
  files.source = ModelSource::safetensors;
  files.path = "tiny";
  files.config_path = "tiny/config.json";
  files.config = tiny.config;
  const auto storage = std::make_shared<Storage>();
  for (const auto& [name, tensor] : tiny.tensors) {
    const DType dtype = dtype_of(name, tensor.shape);
    const auto [entry, added] = storage->emplace(tiny.prefix + name, encode(tensor, dtype));
    CHECK(added);
    files.add_tensor(entry->first, TensorView{dtype, tensor.shape, entry->second});
  }
  files.owner = storage;
  return files;
}

ModelFiles tiny_gguf(const TinyCase& tiny, const DTypeOf& dtype_of,
                     const std::function<void(GgufWriter& writer)>& add_keys) {
  GgufWriter writer;
  add_gguf_config(tiny, writer);
  if (add_keys) add_keys(writer);
  const auto q_heads = static_cast<size_t>(number_or(tiny.config, "num_attention_heads", 8));
  const size_t head_dim =
      static_cast<size_t>(tiny.tensors.at("model.layers.0.self_attn.q_proj.weight").shape[0]) / q_heads;
  Storage storage;
  for (const auto& [name, original] : tiny.tensors) {
    TinyTensor tensor = original;
    const bool rotated = name.find(".q_proj.") != name.npos || name.find(".k_proj.") != name.npos;
    if (tiny.kind == "llama" && rotated) tensor = interleave_heads(original, head_dim);
    if (tiny.kind == "gemma3" && name.find("norm.weight") != name.npos) {
      for (float& value : tensor.values) value += 1.0f;
    }
    const DType dtype = dtype_of(name, tensor.shape);
    const auto [entry, added] = storage.emplace(gguf_name(tiny.kind, name), encode(tensor, dtype));
    CHECK(added);
    writer.add_tensor(entry->first, dtype, tensor.shape, entry->second);
  }
  Result<std::vector<std::byte>> bytes = writer.to_bytes();
  CHECK(bytes.has_value());
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(*bytes));
  const Result<std::shared_ptr<const GgufFile>> file = GgufFile::parse(*owner, owner, "tiny.gguf");
  CHECK(file.has_value());
  ModelFiles files;
  files.source = ModelSource::gguf;
  files.path = "tiny.gguf";
  files.gguf = *file;
  files.owner = *file;
  for (const GgufTensor& tensor : files.gguf->tensors()) {
    files.add_tensor(tensor.name, TensorView{*tensor.dtype, tensor.shape, tensor.bytes});
  }
  return files;
}

TinyCase dequantized(const TinyCase& tiny, const DTypeOf& dtype_of) {
  TinyCase result = tiny;
  for (auto& [name, tensor] : result.tensors) {
    const DType dtype = dtype_of(name, tensor.shape);
    const std::vector<std::byte> bytes = encode(tensor, dtype);
    block_format(dtype).dequantize_row(bytes.data(), tensor.values.data(),
                                       static_cast<int64_t>(tensor.values.size()));
  }
  return result;
}

double row_error(const std::vector<float>& a, const std::vector<float>& b, size_t columns) {
  CHECK(a.size() == b.size() && a.size() % columns == 0);
  double worst = 0.0;
  for (size_t row = 0; row < a.size(); row += columns) {
    double difference = 0.0, size = 0.0;
    for (size_t i = row; i < row + columns; ++i) {
      if (!std::isfinite(a[i])) return INFINITY;
      difference = std::max(difference, std::abs(double{a[i]} - double{b[i]}));
      size = std::max(size, std::abs(double{b[i]}));
    }
    worst = std::max(worst, difference / size);
  }
  return worst;
}

double rms_error(const std::vector<float>& a, const std::vector<float>& b) {
  CHECK(a.size() == b.size());
  double difference = 0.0, size = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    size += double{b[i]} * double{b[i]};
  }
  return std::sqrt(difference / size);
}

std::vector<float> rows_at(const std::vector<float>& logits, const std::vector<uint32_t>& positions) {
  std::vector<float> result;
  for (const uint32_t position : positions) {
    const auto row = logits.begin() + static_cast<ptrdiff_t>(size_t{position} * kTinyVocab);
    result.insert(result.end(), row, row + kTinyVocab);
  }
  return result;
}

}  // namespace tattletale::testing

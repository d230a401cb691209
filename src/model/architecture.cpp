#include "model/architecture.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "model/archs/archs.h"
#include "model/archs/config_limits.h"

namespace tattletale {
namespace {

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string supported_names(std::span<const std::string_view> Architecture::* list) {
  std::string text;
  for (const Architecture* architecture : all_architectures()) {
    for (const std::string_view name : architecture->*list) {
      if (!text.empty()) text += ", ";
      text += name;
    }
  }
  return text;
}

Result<const Architecture*> find_by(std::span<const std::string_view> Architecture::* list,
                                    std::string_view name, const std::string& where, std::string_view key) {
  for (const Architecture* architecture : all_architectures()) {
    if (contains(architecture->*list, name)) return architecture;
  }
  return make_error(ErrorKind::unsupported, where,
                    std::string(key) + " is \"" + std::string(name.substr(0, 100)) +
                        "\", which this build does not know; it computes " + supported_names(list));
}

Result<const Architecture*> find_hf(const ModelFiles& files) {
  const Json& config = files.config;
  if (!config.is_object()) {
    return make_error(ErrorKind::bad_file, files.config_path, "config.json is not a JSON object");
  }
  const auto classes = config.find("architectures");
  if (classes != config.end() && classes->is_array() && !classes->empty() && classes->at(0).is_string()) {
    return find_by(&Architecture::hf_class_names, classes->at(0).get_ref<const std::string&>(),
                   files.config_path, "architectures");
  }
  const auto type = config.find("model_type");
  if (type != config.end() && type->is_string()) {
    return find_by(&Architecture::hf_model_types, type->get_ref<const std::string&>(), files.config_path,
                   "model_type");
  }
  return make_error(ErrorKind::bad_file, files.config_path,
                    "neither \"architectures\" nor \"model_type\" names the architecture");
}

/// The names that Decoder::load will ask for.
std::unordered_set<std::string> wanted_tensors(const LoadedConfig& loaded) {
  const TensorNames& names = loaded.names;
  const DecoderConfig& config = loaded.config;
  std::unordered_set<std::string> wanted = {names.embed, names.final_norm, names.head, names.rope_freqs};
  const auto add = [&](const std::string& name, size_t layer, bool has_bias) {
    if (name.empty()) return;
    const std::string weight = TensorNames::of_layer(name, layer);
    wanted.insert(weight);
    if (has_bias) wanted.insert(weight.substr(0, weight.rfind('.')) + ".bias");
  };
  for (size_t i = 0; i < config.layers.size(); ++i) {
    for (const std::string* name : {&names.attention_norm, &names.q_norm, &names.k_norm,
                                    &names.post_attention_norm, &names.mlp_norm, &names.post_mlp_norm}) {
      add(*name, i, false);
    }
    for (const std::string* name : {&names.q, &names.k, &names.v}) add(*name, i, config.qkv_bias);
    add(names.o, i, config.output_bias);
    for (const std::string* name : {&names.gate, &names.up, &names.down}) add(*name, i, config.mlp_bias);
  }
  return wanted;
}

/// A tensor of a layer that nobody asks for (a bias the configuration denies, an extra norm) means that the
/// model is not what the configuration says.
Result<void> refuse_unclaimed_tensors(const ModelFiles& files, const LoadedConfig& loaded) {
  const std::string& pattern = loaded.names.attention_norm;
  const std::string_view layer_prefix = std::string_view(pattern).substr(0, pattern.find("{}"));
  const std::unordered_set<std::string> wanted = wanted_tensors(loaded);
  for (const std::string_view name : files.names()) {
    if (!name.starts_with(layer_prefix) || wanted.contains(std::string(name))) continue;
    if (name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn_rot_embd.weight"))
      continue;  // recomputed
    return make_error(ErrorKind::unsupported, files.path.string(),
                      "tensor " + std::string(name) + " has no place in a model of architecture " +
                          loaded.config.arch +
                          " with this configuration; it would be left out of the computation");
  }
  return {};
}

}  // namespace

std::span<const Architecture* const> all_architectures() {
  static const Architecture* const kTable[] = {&kLlamaArchitecture, &kQwen2Architecture, &kQwen3Architecture,
                                               &kGemma3Architecture};
  return kTable;
}

Result<LoadedConfig> read_architecture(const ModelFiles& files) {
  const bool gguf = files.source == ModelSource::gguf;
  const Architecture* architecture = nullptr;
  if (gguf) {
    TT_ASSIGN(const std::string_view name, files.gguf->get_string("general.architecture"));
    TT_ASSIGN(architecture,
              find_by(&Architecture::gguf_names, name, files.gguf->path(), "general.architecture"));
  } else {
    TT_ASSIGN(architecture, find_hf(files));
  }
  TT_ASSIGN(LoadedConfig loaded, gguf ? architecture->read_gguf(files) : architecture->read_hf(files));
  loaded.config.arch = architecture->name;
  TT_TRY(check_decoder_config(gguf ? files.gguf->path() : files.config_path, loaded.config));
  TT_TRY(refuse_unclaimed_tensors(files, loaded));
  return loaded;
}

Result<std::unique_ptr<Decoder>> load_decoder(Device& device, const ModelFiles& files,
                                              uint64_t context_tokens) {
  TT_ASSIGN(LoadedConfig loaded, read_architecture(files));
  if (context_tokens == 0) context_tokens = loaded.config.context_tokens;
  return Decoder::load(device, files, std::move(loaded.config), loaded.names, context_tokens);
}

}  // namespace tattletale

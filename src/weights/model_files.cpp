#include "weights/model_files.h"

#include <algorithm>
#include <system_error>

#include "base/file_map.h"

namespace tattletale {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = 16u << 20;
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

/// The path when such a file exists, else an empty path.
fs::path if_file(const fs::path& path) {
  return is_file(path) ? path : fs::path();
}

/// The files of a folder that end in `extension`, sorted by name.
std::vector<fs::path> files_with_extension(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    if (it->path().extension() == extension && is_file(it->path())) found.push_back(it->path());
  }
  std::ranges::sort(found);
  return found;
}

bool has_suffix(const fs::path& path, std::string_view suffix) {
  return path.filename().string().ends_with(suffix);
}

/// The .gguf of a folder: the only one, or the first part of the only split model.
std::vector<fs::path> gguf_candidates(const fs::path& folder) {
  std::vector<fs::path> found = files_with_extension(folder, ".gguf");
  const bool split = found.size() > 1 &&
                     has_suffix(found[0], "-of-" + std::to_string(100000 + found.size()).substr(1) + ".gguf");
  if (split) found.resize(1);
  return found;
}

/// What to open for a folder: its safetensors, else its only .gguf.
Result<fs::path> weights_in_folder(const fs::path& folder) {
  if (is_file(folder / "config.json")) {
    for (const char* name : {kIndexFile, kSingleFile}) {
      if (is_file(folder / name)) return folder / name;
    }
    const std::vector<fs::path> found = files_with_extension(folder, ".safetensors");
    if (found.size() == 1) return found[0];
    if (found.size() > 1) {
      return make_error(ErrorKind::invalid_argument, folder.string(),
                        "has " + std::to_string(found.size()) + " .safetensors files and neither " +
                            kSingleFile + " nor " + kIndexFile + "; name the file to open");
    }
  }
  const std::vector<fs::path> found = gguf_candidates(folder);
  if (found.size() == 1) return found[0];
  if (found.size() > 1) {
    return make_error(ErrorKind::invalid_argument, folder.string(),
                      "has " + std::to_string(found.size()) + " .gguf files; name the file to open");
  }
  return make_error(ErrorKind::not_found, folder.string(),
                    std::string("is no model folder: found neither a .gguf file nor config.json with ") +
                        kSingleFile + " or " + kIndexFile);
}

Result<Json> read_json_file(const fs::path& path) {
  TT_ASSIGN(const std::string text, read_text_file(path, kMaxConfigBytes));
  return parse_json(text, path.string());
}

TokenizerPaths tokenizer_paths(const fs::path& folder) {
  TokenizerPaths paths;
  paths.tokenizer_json = if_file(folder / "tokenizer.json");
  paths.tokenizer_model = if_file(folder / "tokenizer.model");
  paths.tokenizer_config_json = if_file(folder / "tokenizer_config.json");
  paths.chat_template = if_file(folder / "chat_template.jinja");
  if (paths.chat_template.empty()) paths.chat_template = if_file(folder / "chat_template.json");
  return paths;
}

Result<void> read_configs(const fs::path& folder, ModelFiles& model) {
  const fs::path config_path = folder / "config.json";
  if (!is_file(config_path)) {
    return make_error(ErrorKind::not_found, config_path.string(),
                      "the model's config.json must lie beside its safetensors file");
  }
  TT_ASSIGN(model.config, read_json_file(config_path));
  model.config_path = config_path.string();
  if (!model.config.is_object()) {
    return make_error(ErrorKind::bad_file, model.config_path,
                      std::string("holds a JSON ") + model.config.type_name() + ", expected an object");
  }
  const fs::path generation_path = folder / "generation_config.json";
  if (is_file(generation_path)) {
    TT_ASSIGN(model.generation_config, read_json_file(generation_path));
  }
  return {};
}

}  // namespace

Result<ModelFiles> open_model(const fs::path& path) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (!fs::exists(status)) {
    return make_error(ErrorKind::not_found, path.string(),
                      "no such file or folder; give a .gguf file, a .safetensors file or a model folder");
  }
  fs::path weights = path;
  if (fs::is_directory(status)) {
    TT_ASSIGN(weights, weights_in_folder(path));
  }
  ModelFiles model;
  model.path = path;
  const fs::path folder = weights.parent_path();
  if (weights.extension() == ".gguf") {
    model.source = ModelSource::gguf;
    TT_ASSIGN(model.gguf, GgufFile::open(weights));
    model.owner = model.gguf;
    model.list_gguf_tensors();
  } else if (weights.extension() == ".safetensors" || has_suffix(weights, ".safetensors.index.json")) {
    model.source = ModelSource::safetensors;
    TT_TRY(read_configs(folder, model));
    TT_ASSIGN(model.safetensors, SafetensorsFile::open(weights));
    model.owner = model.safetensors;
    model.tokenizer = tokenizer_paths(folder);
    model.list_safetensors_tensors();
  } else {
    return make_error(
        ErrorKind::invalid_argument, path.string(),
        "is no model file: expected a name ending in .gguf, .safetensors or .safetensors.index.json, or a "
        "model folder");
  }
  return model;
}

void ModelFiles::list_gguf_tensors() {
  weight_bytes = gguf->weight_bytes();
  for (const GgufTensor& tensor : gguf->tensors()) {
    names_.push_back(tensor.name);
    if (tensor.dtype) views_.emplace(tensor.name, TensorView{*tensor.dtype, tensor.shape, tensor.bytes});
  }
}

void ModelFiles::list_safetensors_tensors() {
  weight_bytes = safetensors->weight_bytes();
  for (const SafetensorsEntry& tensor : safetensors->tensors()) {
    names_.push_back(tensor.name);
    if (tensor.dtype) views_.emplace(tensor.name, TensorView{*tensor.dtype, tensor.shape, tensor.bytes});
  }
}

const TensorView* ModelFiles::find(std::string_view name) const {
  const auto found = views_.find(name);
  return found == views_.end() ? nullptr : &found->second;
}

Result<TensorView> ModelFiles::tensor(std::string_view name) const {
  if (const TensorView* view = find(name)) return *view;
  // Absent, or of a type this build does not know: the container says which.
  if (gguf != nullptr) return gguf->tensor(name);
  if (safetensors != nullptr) return safetensors->tensor(name);
  return make_error(ErrorKind::not_found, path.string(), "there is no tensor named " + std::string(name));
}

}  // namespace tattletale

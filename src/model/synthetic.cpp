#include "model/synthetic.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "base/json.h"
#include "model/architecture.h"
#include "quant/block_format.h"

namespace tattletale {
namespace {

struct SyntheticShape {
  std::string_view name;
  std::string_view config;  // as the model's own config.json has it
};

constexpr SyntheticShape kShapes[] = {
    {"smollm2-135m", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
        "max_position_embeddings": 8192, "rope_theta": 100000, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": true, "eos_token_id": 2})"},
    {"qwen3-0.6b", R"({"architectures": ["Qwen3ForCausalLM"], "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "vocab_size": 151936, "max_position_embeddings": 40960, "rope_theta": 1000000, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "tie_word_embeddings": true, "eos_token_id": 151645})"},
    {"llama3-1b", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "vocab_size": 128256, "max_position_embeddings": 131072, "rope_theta": 500000, "rms_norm_eps": 1e-5,
        "rope_scaling": {"rope_type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
                         "original_max_position_embeddings": 8192},
        "hidden_act": "silu", "tie_word_embeddings": true, "eos_token_id": 128001})"},
    {"llama3-8b", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "max_position_embeddings": 131072, "rope_theta": 500000, "rms_norm_eps": 1e-5,
        "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                         "original_max_position_embeddings": 8192},
        "hidden_act": "silu", "tie_word_embeddings": false, "eos_token_id": 128001})"},
};

constexpr uint64_t kTensorAlignment = 4096;  // a page, so that first touch places each tensor by itself
constexpr uint64_t kFillBytes = uint64_t{1}
                                << 20;  // about what a thread fills between two looks at the counter

bool holds_matrices(const DTypeInfo& info) {
  return info.packed || info.dtype == DType::f32 || info.dtype == DType::f16 || info.dtype == DType::bf16;
}

/// What llama.cpp's quantizer stores when a row is not whole blocks of 256.
DType fallback_of(DType dtype) {
  switch (dtype) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::iq4_xs: return DType::iq4_nl;
    case DType::q4_k: return DType::q5_0;
    case DType::q5_k: return DType::q5_1;
    case DType::q6_k: return DType::q8_0;
    default: return dtype;
  }
}

struct Planned {
  std::string name;
  TensorView view;
  uint64_t offset_bytes = 0;
  float sigma = 0.0f;  // 0: filled with ones
};

/// The memory of one model, and the names its views are found by.
struct SyntheticMemory {
  std::byte* data = nullptr;
  uint64_t size_bytes = 0;
  std::vector<Planned> tensors;

  ~SyntheticMemory() {
    if (data != nullptr) ::munmap(data, size_bytes);
  }
};

/// Lists every tensor of the model with its place in memory.
class Plan {
 public:
  Plan(DType format, SyntheticMemory& memory) : format_(format), memory_(memory) {}

  void add_model(const LoadedConfig& loaded) {
    const DecoderConfig& config = loaded.config;
    const TensorNames& names = loaded.names;
    add_matrix(names.embed, config.vocab_size, config.hidden_dim);
    for (size_t i = 0; i < config.layers.size(); ++i) add_layer(config, names, i);
    add_ones(names.final_norm, config.hidden_dim);
    if (!config.tied_head) add_matrix(names.head, config.vocab_size, config.hidden_dim);
  }

 private:
  void add_layer(const DecoderConfig& config, const TensorNames& names, size_t layer) {
    const auto at = [layer](const std::string& name) { return TensorNames::of_layer(name, layer); };
    const int64_t q_dim = int64_t{config.num_q_heads} * config.head_dim;
    const int64_t kv_dim = int64_t{config.num_kv_heads} * config.head_dim;
    add_ones(at(names.attention_norm), config.hidden_dim);
    add_matrix(at(names.q), q_dim, config.hidden_dim);
    add_matrix(at(names.k), kv_dim, config.hidden_dim);
    add_matrix(at(names.v), kv_dim, config.hidden_dim);
    add_matrix(at(names.o), config.hidden_dim, q_dim);
    if (config.qk_norm) {
      add_ones(at(names.q_norm), config.head_dim);
      add_ones(at(names.k_norm), config.head_dim);
    }
    add_ones(at(names.mlp_norm), config.hidden_dim);
    add_matrix(at(names.gate), config.ffn_dim, config.hidden_dim);
    add_matrix(at(names.up), config.ffn_dim, config.hidden_dim);
    add_matrix(at(names.down), config.hidden_dim, config.ffn_dim);
  }

  void add_matrix(std::string name, int64_t rows, int64_t columns) {
    const bool whole_blocks = columns % dtype_info(format_).block_elements == 0;
    add(std::move(name), whole_blocks ? format_ : fallback_of(format_), Shape{rows, columns},
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(columns))));
  }

  void add_ones(std::string name, int64_t length) { add(std::move(name), DType::f32, Shape{length}, 0.0f); }

  void add(std::string name, DType dtype, const Shape& shape, float sigma) {
    Planned planned{std::move(name), TensorView{dtype, shape, {}}, memory_.size_bytes, sigma};
    const uint64_t bytes = *shape.num_bytes(dtype);
    memory_.size_bytes += (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
    memory_.tensors.push_back(std::move(planned));
  }

  DType format_;
  SyntheticMemory& memory_;
};

Result<void> allocate(std::string_view spec, SyntheticMemory& memory) {
  const uint64_t machine_bytes =
      static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE));
  void* data = MAP_FAILED;
  if (memory.size_bytes < machine_bytes) {
    data = ::mmap(nullptr, memory.size_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  if (data == MAP_FAILED) {
    return make_error(ErrorKind::out_of_memory, std::string(spec),
                      "the model takes " + std::to_string(memory.size_bytes) + " bytes and the machine has " +
                          std::to_string(machine_bytes) + "; choose a smaller shape or format");
  }
#ifdef MADV_HUGEPAGE
  ::madvise(data, memory.size_bytes, MADV_HUGEPAGE);
#endif
  memory.data = static_cast<std::byte*>(data);
  for (Planned& planned : memory.tensors) {
    planned.view.bytes = {memory.data + planned.offset_bytes,
                          *planned.view.shape.num_bytes(planned.view.dtype)};
  }
  return {};
}

/// Rows [first_row, end_row) of one tensor. Each row has a seed of its own, so the split does not matter.
struct FillJob {
  uint32_t tensor = 0;
  int64_t first_row = 0, end_row = 0;
};

std::vector<FillJob> split_fill(const SyntheticMemory& memory) {
  std::vector<FillJob> jobs;
  for (uint32_t i = 0; i < memory.tensors.size(); ++i) {
    const TensorView& view = memory.tensors[i].view;
    const int64_t rows = view.shape.rank() == 1 ? 1 : view.shape[0];
    const int64_t step = std::max<int64_t>(
        1, rows * static_cast<int64_t>(kFillBytes) / static_cast<int64_t>(view.bytes.size()));
    for (int64_t row = 0; row < rows; row += step) jobs.push_back({i, row, std::min(rows, row + step)});
  }
  return jobs;
}

void fill_rows(const SyntheticMemory& memory, const FillJob& job) {
  const Planned& planned = memory.tensors[job.tensor];
  const int64_t columns = planned.view.shape[-1];
  const uint64_t stride = *row_bytes(planned.view.dtype, static_cast<uint64_t>(columns));
  std::byte* const base = memory.data + planned.offset_bytes;
  const FillRandomRow fill = block_format(planned.view.dtype).fill_random_row;
  for (int64_t row = job.first_row; row < job.end_row; ++row) {
    std::byte* const bytes = base + static_cast<uint64_t>(row) * stride;
    if (planned.sigma == 0.0f) {
      std::fill_n(reinterpret_cast<float*>(bytes), columns, 1.0f);
    } else {
      fill(bytes, columns, (uint64_t{job.tensor} << 40) + static_cast<uint64_t>(row), planned.sigma);
    }
  }
}

void fill_all(const SyntheticMemory& memory) {
  const std::vector<FillJob> jobs = split_fill(memory);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < jobs.size(); i = next++) fill_rows(memory, jobs[i]);
  };
  const size_t num_threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 64);
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < num_threads && i < jobs.size(); ++i) threads.emplace_back(work);
  work();
}

Error spec_error(std::string_view spec) {
  std::string shapes, formats;
  for (const SyntheticShape& shape : kShapes)
    shapes += (shapes.empty() ? "" : ", ") + std::string(shape.name);
  for (const DTypeInfo& info : all_dtypes()) {
    if (holds_matrices(info)) formats += (formats.empty() ? "" : ", ") + std::string(info.name);
  }
  return make_error(ErrorKind::invalid_argument, std::string(spec.substr(0, 200)),
                    "expected synthetic:<shape>:<format>, where the shape is one of " + shapes +
                        " and the format one of " + formats);
}

}  // namespace

std::vector<std::string_view> synthetic_shapes() {
  std::vector<std::string_view> names;
  for (const SyntheticShape& shape : kShapes) names.push_back(shape.name);
  return names;
}

Result<ModelFiles> open_synthetic_model(std::string_view spec) {
  if (!spec.starts_with(kSyntheticPrefix)) return spec_error(spec);
  const std::string_view rest = spec.substr(kSyntheticPrefix.size());
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return spec_error(spec);
  const auto shape = std::ranges::find(kShapes, rest.substr(0, colon), &SyntheticShape::name);
  const std::optional<DType> format = dtype_from_name(rest.substr(colon + 1));
  if (shape == std::end(kShapes) || !format || !holds_matrices(dtype_info(*format))) return spec_error(spec);

  ModelFiles files;
  files.source = ModelSource::safetensors;
  files.path = std::string(spec);
  files.config_path = std::string(spec);
  TT_ASSIGN(files.config, parse_json(shape->config, spec));
  TT_ASSIGN(const LoadedConfig loaded, read_architecture(files));
  const auto memory = std::make_shared<SyntheticMemory>();
  Plan(*format, *memory).add_model(loaded);
  TT_TRY(allocate(spec, *memory));
  fill_all(*memory);
  for (const Planned& planned : memory->tensors) files.add_tensor(planned.name, planned.view);
  files.owner = memory;
  return files;
}

}  // namespace tattletale

// The tiny checkpoints of tests/data/model: configurations with the logits that Hugging Face transformers
// gives. Weights are made here from a seed, as tools/fixtures/model_logits.py makes them, in any dtype and
// container.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "weights/gguf_writer.h"
#include "weights/model_files.h"

namespace tattletale::testing {

struct TinyTensor {
  Shape shape;
  std::vector<float> values;
};

/// One recorded case.
struct TinyCase {
  std::string name;
  std::string kind;    // llama, qwen2, qwen3 or gemma3
  Json config;         // config.json
  std::string prefix;  // before every tensor name in the file
  bool bf16 = false;   // the reference saw weights rounded to bf16
  std::vector<uint32_t> token_ids, positions;
  std::vector<float> logits;                  // [positions, 128]
  std::map<std::string, TinyTensor> tensors;  // by Hugging Face name, without the prefix
};

inline constexpr uint32_t kTinyVocab = 128;

/// Every case, made on first use.
const std::vector<TinyCase>& tiny_cases();
const TinyCase& tiny_case(std::string_view name);

/// How a tensor is stored.
using DTypeOf = std::function<DType(const std::string& name, const Shape& shape)>;
DTypeOf all_tensors(DType dtype);
/// Vectors stay f32. Matrices whose rows are not whole blocks of 256 become q8_0, so that formats mix in one
/// model.
DTypeOf all_matrices(DType dtype);

/// The case as a safetensors model in memory.
ModelFiles tiny_safetensors(const TinyCase& tiny, const DTypeOf& dtype_of);
/// The case as a GGUF model in memory: llama's q and k rows permuted, Gemma's norm weights plus one.
/// `add_keys` may write further metadata.
ModelFiles tiny_gguf(const TinyCase& tiny, const DTypeOf& dtype_of,
                     const std::function<void(GgufWriter& writer)>& add_keys = nullptr);
/// The case with every tensor replaced by what it decodes to when stored so: the f32 model a quantized one
/// stands for.
TinyCase dequantized(const TinyCase& tiny, const DTypeOf& dtype_of);

/// max|a - b| / max|b| over a row, the greatest of all rows of `columns`.
double row_error(const std::vector<float>& a, const std::vector<float>& b, size_t columns);
/// rms(a - b) / rms(b) over everything.
double rms_error(const std::vector<float>& a, const std::vector<float>& b);

/// Rows of `logits` at the case's recorded positions.
std::vector<float> rows_at(const std::vector<float>& logits, const std::vector<uint32_t>& positions);

}  // namespace tattletale::testing

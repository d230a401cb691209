#include "cli/tiny_gguf.h"

#include <cstring>
#include <vector>

#include "base/check.h"
#include "weights/gguf_writer.h"

namespace tattletale::testing {
namespace {

constexpr int64_t kHidden = 32;
constexpr int64_t kFfn = 64;
constexpr int64_t kLayers = 2;
constexpr int64_t kHeads = 4;
constexpr int64_t kKvHeads = 2;
constexpr int64_t kHeadDim = kHidden / kHeads;

std::string utf8(uint32_t code_point) {
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xc0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3f))};
}

/// The character that stands for a byte in byte-level vocabularies: printable bytes stand for themselves, the
/// others follow from U+0100 on, in order.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    tokens.push_back(utf8(printable ? byte : next++));
  }
  return tokens;
}

TensorFill random_fill(uint64_t seed, float scale, float offset, size_t first_zero = SIZE_MAX) {
  return [=](std::span<std::byte> bytes) {
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i * sizeof(float) < bytes.size(); ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      float unit = static_cast<float>(static_cast<double>(state >> 11) * 0x1p-53) - 0.5f;
      float value = i >= first_zero ? 0.0f : offset + scale * unit;
      std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof value);
    }
  };
}

void add_tokenizer(GgufWriter& writer, const TinyGguf& model) {
  std::vector<std::string> tokens = byte_tokens();
  std::vector<int32_t> types(tokens.size(), 1);
  for (const char* special : {"<|bos|>", "<|im_start|>", "<|im_end|>"}) {
    tokens.push_back(special);
    types.push_back(3);
  }
  tokens.push_back("he");
  types.push_back(1);
  CHECK(tokens.size() == kTinyVocabSize);
  writer.add_string("tokenizer.ggml.model", "gpt2");
  writer.add_string("tokenizer.ggml.pre", "gpt-2");
  writer.add_string_array("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  writer.add_i32_array("tokenizer.ggml.token_type", types);
  const std::vector<std::string> merges = {"h e"};
  writer.add_string_array("tokenizer.ggml.merges", std::span<const std::string>(merges));
  writer.add_u32("tokenizer.ggml.bos_token_id", kTinyBosId);
  writer.add_u32("tokenizer.ggml.eos_token_id", kTinyEndId);
  writer.add_bool("tokenizer.ggml.add_bos_token", model.add_bos);
  if (!model.chat_template) return;
  writer.add_string(
      "tokenizer.chat_template",
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
      "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
      "{% endif %}");
}

void add_tensors(GgufWriter& writer) {
  uint64_t seed = 0;
  auto add = [&](const std::string& name, Shape shape, size_t first_zero = SIZE_MAX) {
    bool norm = shape.rank() == 1;
    TensorFill fill = random_fill(++seed, norm ? 0.5f : 0.6f, norm ? 1.0f : 0.0f, first_zero);
    writer.add_tensor(name, DType::f32, shape, std::move(fill));
  };
  add("token_embd.weight", {kTinyVocabSize, kHidden});
  // From the special tokens on, so that an answer never ends by itself.
  add("output.weight", {kTinyVocabSize, kHidden}, kTinyBosId * kHidden);
  add("output_norm.weight", {kHidden});
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    add(layer + "attn_norm.weight", {kHidden});
    add(layer + "attn_q.weight", {kHidden, kHidden});
    add(layer + "attn_k.weight", {kKvHeads * kHeadDim, kHidden});
    add(layer + "attn_v.weight", {kKvHeads * kHeadDim, kHidden});
    add(layer + "attn_output.weight", {kHidden, kHidden});
    add(layer + "ffn_norm.weight", {kHidden});
    add(layer + "ffn_gate.weight", {kFfn, kHidden});
    add(layer + "ffn_up.weight", {kFfn, kHidden});
    add(layer + "ffn_down.weight", {kHidden, kFfn});
  }
}

}  // namespace

void write_tiny_gguf(const std::filesystem::path& path, const TinyGguf& model) {
  GgufWriter writer;
  const std::string prefix = model.architecture + ".";
  writer.add_string("general.architecture", model.architecture);
  writer.add_string("general.name", model.name);
  writer.add_u32(prefix + "embedding_length", kHidden);
  writer.add_u32(prefix + "block_count", kLayers);
  writer.add_u32(prefix + "feed_forward_length", kFfn);
  writer.add_u32(prefix + "attention.head_count", kHeads);
  writer.add_u32(prefix + "attention.head_count_kv", kKvHeads);
  writer.add_u64(prefix + "context_length", model.context_tokens);
  writer.add_u32(prefix + "vocab_size", kTinyVocabSize);
  writer.add_f32(prefix + "attention.layer_norm_rms_epsilon", 1e-5f);
  writer.add_f32(prefix + "rope.freq_base", 10000.0f);
  writer.add_u32(prefix + "rope.dimension_count", kHeadDim);
  add_tokenizer(writer, model);
  add_tensors(writer);
  Result<void> written = writer.write(path);
  CHECK(written.has_value());
}

}  // namespace tattletale::testing

// The three sources of a tokenizer: tokenizer.json, tokenizer.model and GGUF metadata. Each loader turns its
// source into a TokenizerSpec and builds it; none opens files, so that callers decide about paths and maps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer/tokenizer.h"

namespace tattletale {

/// Hugging Face tokenizer.json. `where` names the source in errors. The text is not kept.
/// Reads BPE and Unigram models; any component it does not know is refused by name, never ignored.
/// Which tokens are BOS and EOS is taken from the post processor's template; tokenizer_config.json may say
/// more.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(std::string_view json, std::string_view where);

/// SentencePiece tokenizer.model (ModelProto; BPE and Unigram). `where` names the source in errors.
/// add_bos / add_eos: the model file does not say; Llama-like models want BOS and no EOS.
struct SentencePieceOptions {
  bool add_bos = true;
  bool add_eos = false;
};
Result<std::shared_ptr<const Tokenizer>> load_sentencepiece(std::string_view proto, std::string_view where,
                                                            SentencePieceOptions options = {});

/// The tokenizer.ggml.* keys of a GGUF file, filled by the weights layer. Views point into the mapped file,
/// which `owner` keeps alive for as long as the tokenizer lives.
struct GgufTokenizerFields {
  std::shared_ptr<const void> owner;
  std::string_view where;                         // the file, for errors
  std::string_view model;                         // tokenizer.ggml.model: "gpt2", "llama", "t5"
  std::string_view pre;                           // tokenizer.ggml.pre; empty when absent
  std::vector<std::string_view> tokens;           // tokenizer.ggml.tokens
  std::vector<float> scores;                      // tokenizer.ggml.scores; one a token, or empty
  std::vector<int32_t> token_types;               // tokenizer.ggml.token_type; one a token, or empty
  std::vector<std::string_view> merges;           // tokenizer.ggml.merges, "left right"
  std::optional<uint32_t> bos_id;                 // tokenizer.ggml.bos_token_id
  std::optional<uint32_t> eos_id;                 // tokenizer.ggml.eos_token_id
  std::optional<uint32_t> eot_id;                 // tokenizer.ggml.eot_token_id
  std::optional<uint32_t> eom_id;                 // tokenizer.ggml.eom_token_id
  std::optional<uint32_t> unk_id;                 // tokenizer.ggml.unknown_token_id
  std::optional<uint32_t> pad_id;                 // tokenizer.ggml.padding_token_id
  std::optional<bool> add_bos;                    // tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos;                    // tokenizer.ggml.add_eos_token
  std::optional<bool> add_space_prefix;           // tokenizer.ggml.add_space_prefix
  std::optional<bool> remove_extra_whitespaces;   // tokenizer.ggml.remove_extra_whitespaces
  std::span<const uint8_t> precompiled_charsmap;  // tokenizer.ggml.precompiled_charsmap
};
/// Errors: bad_file (a field breaks the format), unsupported (unknown model or pre name, with the known
/// ones).
Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const GgufTokenizerFields& fields);

}  // namespace tattletale

// What a model needs to speak text: its tokenizer, its chat template, and its suggested sampling settings,
// gathered from wherever the checkpoint keeps them (GGUF metadata, or the files beside config.json).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/sampling/sampler.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "weights/model_files.h"

namespace tattletale {

struct TextAssets {
  std::shared_ptr<const Tokenizer> tokenizer;  // null for synthetic models
  std::optional<ChatTemplate> chat_template;
  std::string bos_token, eos_token;  // as the template wants them; may be empty
  std::vector<TokenId> end_ids;      // every token that ends an answer

  /// The prompt of a conversation up to where the assistant's answer begins.
  /// Errors: unsupported when the model has no chat template; those of ChatTemplate::render.
  Result<std::string> render_chat(const Json& messages, const Json& tools) const;

  /// Errors: unsupported when the model has no tokenizer.
  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const;
};

/// Errors: those of the tokenizer and the template, naming the file.
Result<TextAssets> load_text_assets(const ModelFiles& files);

/// temperature, top_k, top_p and repetition_penalty of generation_config.json (greedy where do_sample is
/// false or absent). Errors: bad_file naming the key.
Result<SamplingOptions> suggested_sampling(const ModelFiles& files);

}  // namespace tattletale

// From ids back to text, one id at a time or all at once.
#include "text/tokenizer/tokenizer_state.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      leading_spaces_to_drop_(tokenizer_->state_->spec.decode.strip_leading_spaces) {}

std::string StreamDecoder::push(TokenId id) {
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  std::string_view bytes = tokenizer_->token_bytes(id);
  if (bytes.empty()) return {};
  while (leading_spaces_to_drop_ > 0 && bytes.starts_with(' ')) {
    bytes.remove_prefix(1);
    --leading_spaces_to_drop_;
  }
  if (!bytes.empty()) leading_spaces_to_drop_ = 0;
  held_ += bytes;
  std::string out;
  size_t at = 0;
  while (at < held_.size()) {
    const Utf8Step step = check_utf8(held_, at);
    if (step.check == Utf8Check::unfinished) break;
    if (step.check == Utf8Check::valid) {
      out.append(held_, at, step.length);
    } else {
      out += "\xEF\xBF\xBD";
    }
    at += step.length;
  }
  held_.erase(0, at);
  return out;
}

std::string StreamDecoder::flush() {
  const bool unfinished = !held_.empty();  // what is held is one unfinished character
  held_.clear();
  leading_spaces_to_drop_ = tokenizer_->state_->spec.decode.strip_leading_spaces;
  return unfinished ? "\xEF\xBF\xBD" : "";
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  int to_drop = state_->spec.decode.strip_leading_spaces;
  for (const TokenId id : ids) {
    if (skip_special && is_special(id)) continue;
    std::string_view part = token_bytes(id);
    if (part.empty()) continue;
    while (to_drop > 0 && part.starts_with(' ')) {
      part.remove_prefix(1);
      --to_drop;
    }
    if (!part.empty()) to_drop = 0;
    bytes += part;
  }
  return is_valid_utf8(bytes) ? bytes : make_valid_utf8(bytes);
}

}  // namespace tattletale

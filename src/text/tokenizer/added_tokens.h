// Finds tokens that are matched in the text as written (special and user-defined ones) before anything else
// looks at it: leftmost, longest first, as Hugging Face tokenizers and SentencePiece do.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/flat_hash.h"
#include "text/tokenizer/tokenizer_spec.h"

namespace tattletale {

/// A part of the text: an added token, or text between them.
struct TextSegment {
  uint32_t begin, end;
  bool is_token;
  TokenId id;
};

class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  /// Cuts `text` (valid UTF-8) into segments, without empty ones. Special tokens are left as text when
  /// parse_special is false. Linear in the text for a bounded token length.
  void split(std::string_view text, bool parse_special, std::vector<TextSegment>& out) const;

 private:
  struct Match {
    const AddedToken* token;  // null: none begins here
    size_t end;
  };
  Match match_at(std::string_view text, size_t at) const;
  bool may_begin(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  MergeTable children_;             // (node, byte) -> node
  std::vector<uint32_t> token_of_;  // by node: index in tokens_ + 1, or 0
  std::array<bool, 256> first_{};
  std::vector<uint64_t> first_two_;  // a bit for each pair of first bytes
};

}  // namespace tattletale

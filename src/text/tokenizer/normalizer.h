// The normalizer steps of a tokenizer, compiled: text in, text out, before the pre-tokenizer sees it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_spec.h"

namespace tattletale {

/// A SentencePiece precompiled character map: replaces the longest prefix it knows, from left to right.
/// Format: u32 size of a double-array trie, the trie (darts-clone units), then zero-terminated texts.
class CharMap {
 public:
  static Result<CharMap> parse(std::string_view bytes, std::string_view where);
  std::string apply(std::string_view text) const;

 private:
  /// The longest entry at text[at]: its length, or 0, and its replacement.
  size_t find(std::string_view text, size_t at, std::string_view& replacement) const;
  std::vector<uint32_t> units_;
  std::string texts_;
};

/// Where a piece of text stands; some steps only act at the ends.
struct PiecePlace {
  bool starts_text;
  bool ends_text;
};

class NormalizerChain {
 public:
  static Result<NormalizerChain> compile(const std::vector<NormalizerStep>& steps, std::string_view where);
  bool empty() const { return steps_.empty(); }
  Result<std::string> apply(std::string_view text, PiecePlace place) const;

 private:
  struct Step {
    NormalizerStep spec;
    std::shared_ptr<const Splitter> finder;  // replace
    std::shared_ptr<const CharMap> map;      // charsmap
  };
  std::vector<Step> steps_;
};

}  // namespace tattletale

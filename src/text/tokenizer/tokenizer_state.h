// The tables of a built tokenizer and the steps of encoding, behind Tokenizer. Private to this folder.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/word_cache.h"
#include "text/tokenizer/word_model.h"

namespace tattletale {

/// Everything one running encode call needs for itself. Kept and reused, with its warm cache.
struct EncodeScratch {
  WordCache cache;
  WordScratch word;
  std::vector<TextSegment> segments;
  std::vector<TextSegment> inner_segments;
  std::vector<Piece> pieces;
  std::string escaped;
};

/// A lender of EncodeScratch; the only thing that changes in a built tokenizer.
class ScratchPool {
 public:
  std::unique_ptr<EncodeScratch> take();
  void give_back(std::unique_ptr<EncodeScratch> scratch);

 private:
  static constexpr size_t kMaxKept = 16;
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> idle_;
};

/// Models without a pre-tokenizer whose only normalization is " " -> U+2581 (Llama 2, Gemma) are tokenized on
/// the text as written, cut between two characters wherever no token has their adjoining bytes inside: no
/// merge can ever reach across, so the parts may be tokenized and remembered one by one.
struct SpaceWords {
  bool enabled = false;
  PrependScheme prepend = PrependScheme::never;
  std::vector<uint64_t> joined = std::vector<uint64_t>(1024);  // a bit for each pair of bytes: no cut between

  void join(uint8_t left, uint8_t right) {
    const uint32_t bit = uint32_t{left} << 8 | right;
    joined[bit >> 6] |= uint64_t{1} << (bit & 63);
  }
  bool may_cut(char left, char right) const {
    const uint32_t bit = uint32_t{static_cast<uint8_t>(left)} << 8 | static_cast<uint8_t>(right);
    return !(joined[bit >> 6] >> (bit & 63) & 1);
  }
};

struct TokenizerState {
  TokenizerSpec spec;  // without the big tables, which have moved to where they are used
  Vocabulary vocabulary;
  std::unique_ptr<WordModel> model;
  AddedTokenMatcher raw_added, normalized_added;
  NormalizerChain normalizer;
  PreTokenizerChain pre_tokenizer;
  SpaceWords space_words;
  std::vector<uint8_t> special;       // by id
  std::string byte_arena;             // token_bytes of all ids, one behind the other
  std::vector<uint32_t> byte_begins;  // vocab size + 1 offsets into byte_arena
  std::vector<TokenId> end_ids;
  mutable ScratchPool scratch_pool;

  Result<void> encode(std::string_view text, EncodeOptions options, EncodeScratch& scratch,
                      std::vector<TokenId>& out) const;

 private:
  Result<void> encode_segment(std::string_view text, PiecePlace place, bool parse_special,
                              EncodeScratch& scratch, std::vector<TokenId>& out) const;
  Result<void> encode_normalized(std::string_view text, PiecePlace place, EncodeScratch& scratch,
                                 std::vector<TokenId>& out) const;
  void encode_space_words(std::string_view text, PiecePlace place, EncodeScratch& scratch,
                          std::vector<TokenId>& out) const;
  void encode_word(std::string_view word, size_t readable, EncodeScratch& scratch,
                   std::vector<TokenId>& out) const;
  void encode_new_word(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const;
};

}  // namespace tattletale

// From one word to ids: byte-pair encoding (by rank or by score) and Unigram. A word is what the
// pre-tokenizer cut out, in normalized text; the models never look across words.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer/flat_hash.h"
#include "text/tokenizer/tokenizer_spec.h"

namespace tattletale {

/// Buffers that keep their memory from word to word. One per running encode call.
struct WordScratch {
  struct Symbol {
    uint32_t id;
    uint32_t begin, end;  // bytes of the word
    uint32_t previous, next;
  };
  struct Candidate {
    uint64_t key;  // rank << 32 | index of the left symbol: smallest first, leftmost among equals
    uint32_t result;
    uint32_t end;  // of the right symbol when the candidate was made; another end means it is stale
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::vector<uint32_t> best_id, best_begin;
  std::vector<double> best_score;
  std::vector<float> best_score_single;
  std::vector<uint32_t> reversed;
  std::string text;
};

/// What every word model needs to know of the vocabulary. Owned by the TokenizerState.
struct Vocabulary {
  std::vector<std::string_view> tokens;
  std::vector<bool> not_in_text;
  TokenIndex index;
  std::array<uint32_t, 256> byte_ids;      // byte_level: byte -> token; kNone where there is none
  std::array<uint32_t, 256> fallback_ids;  // byte_fallback: byte -> <0xNN>
  std::optional<TokenId> unk_id;
  bool byte_level = false;
  bool byte_fallback = false;
  bool fuse_unk = false;
  bool ignore_merges = false;

  /// The token that is exactly `text` and may come out of a text.
  uint32_t find(std::string_view text) const {
    const uint32_t id = index.find(text);
    return id != TokenIndex::kNone && !not_in_text.empty() && not_in_text[id] ? TokenIndex::kNone : id;
  }
  /// Appends what stands for an unknown character: its byte tokens, or unk, or nothing.
  /// `first` is the size of `out` where the word's ids begin.
  void append_unknown(std::string_view character, size_t first, std::vector<TokenId>& out) const;
};

/// The GPT-2 byte alphabet: a printable character for each byte.
uint32_t byte_to_alphabet(uint8_t byte);
/// The byte of an alphabet character, or -1.
int alphabet_to_byte(uint32_t code_point);

class WordModel {
 public:
  virtual ~WordModel() = default;
  /// Appends the ids of `word` to `out`. O(n log n) time in the word's length, no recursion.
  virtual void encode(std::string_view word, WordScratch& scratch, std::vector<TokenId>& out) const = 0;
};

/// `vocabulary` must outlive the model and not move.
Result<std::unique_ptr<WordModel>> make_bpe_model(const Vocabulary& vocabulary, const TokenizerSpec& spec);
Result<std::unique_ptr<WordModel>> make_unigram_model(const Vocabulary& vocabulary,
                                                      const TokenizerSpec& spec);

}  // namespace tattletale

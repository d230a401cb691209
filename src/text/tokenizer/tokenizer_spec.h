// The neutral description of a tokenizer, between the loaders (tokenizer.json, SentencePiece, GGUF) and
// Tokenizer::build. Plain data: what to do to a text, in which order, with which tables.
// The words follow Hugging Face tokenizers (normalizer, pre-tokenizer, model, added tokens).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace tattletale {

enum class NormalizerKind {
  nfc,
  nfd,
  nfkc,
  nfkd,
  lowercase,
  strip,
  prepend,
  replace,
  charsmap,
  collapse_spaces
};

struct NormalizerStep {
  NormalizerKind kind = NormalizerKind::nfc;
  std::string pattern;  // replace: what to look for, literal or regex
  bool pattern_is_regex = false;
  std::string content;     // replace: what to put; prepend: the prefix; charsmap: the precompiled bytes
  bool strip_left = true;  // strip
  bool strip_right = true;
  bool first_only = false;  // prepend: only when the piece starts the text; strip: only at the text's ends
};

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class PrependScheme { never, first, always };
enum class PreTokenizerKind {
  split,
  byte_level,
  digits,
  metaspace,
  whitespace,
  whitespace_split,
  punctuation
};

struct PreTokenizerStep {
  PreTokenizerKind kind = PreTokenizerKind::split;
  std::string pattern;  // split: literal or regex
  bool pattern_is_regex = false;
  SplitBehavior behavior = SplitBehavior::isolated;  // split, punctuation
  bool invert = false;
  bool add_prefix_space = false;  // byte_level
  bool use_regex = true;          // byte_level: split by the GPT-2 pattern
  bool individual_digits = false;
  std::string replacement = "\xE2\x96\x81";  // metaspace
  PrependScheme prepend = PrependScheme::always;
  bool metaspace_split = true;
};

enum class TokenModel {
  bpe_ranked,  // merges in order of rank
  bpe_scored,  // SentencePiece: any pair whose join is a token may merge, best score first
  unigram,     // the segmentation of highest total score
};

struct MergeRule {
  TokenId left, right, result;
};

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      // control token: parse_special and skip_special apply
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // and behind it
  bool single_word = false;  // only between non-word characters
  bool normalized = false;   // looked for in the normalized text
};

/// How tokens become text.
struct DecodeRule {
  bool space_escape = false;     // U+2581 in a token stands for a space
  int strip_leading_spaces = 0;  // dropped from the start of a whole text, at most
};

struct TokenizerSpec {
  std::string where;                     // the source, for errors
  std::shared_ptr<const void> owner;     // keeps the memory behind `tokens` alive
  std::vector<std::string_view> tokens;  // by id; an empty view is a hole
  TokenModel model = TokenModel::bpe_ranked;
  std::vector<MergeRule> merges;  // bpe_ranked, best first
  std::vector<double> scores;     // bpe_scored, unigram: one a token
  std::vector<bool>
      not_in_text;  // tokens the model itself never produces (control, byte, unused); may be empty
  bool single_precision = false;  // unigram: add scores as float, as SentencePiece does

  bool byte_level = false;     // tokens are written in the GPT-2 byte alphabet
  bool byte_fallback = false;  // unknown characters become <0x00>..<0xFF>
  bool fuse_unk = false;       // neighbouring unknown characters become one unk
  bool ignore_merges = false;  // a word that is a token is that token
  std::optional<TokenId> unk_id, bos_id, eos_id, pad_id;
  std::vector<TokenId> more_end_ids;  // eot, eom
  std::vector<TokenId> prefix_ids, suffix_ids;

  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<AddedToken> added;
  DecodeRule decode;
  bool prefix_before_tokens =
      false;  // a text that begins with an added, not special token still gets its "▁"
};

inline constexpr size_t kMaxTokens = size_t{1} << 22;
inline constexpr size_t kMaxTokenBytes = 4096;
inline constexpr size_t kMaxVocabularyBytes = size_t{1} << 30;
inline constexpr size_t kMaxAddedTokenBytes = 1024;
inline constexpr size_t kMaxTextBytes = size_t{1} << 30;

}  // namespace tattletale

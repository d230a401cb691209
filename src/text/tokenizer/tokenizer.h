// Text to token ids and back. One immutable Tokenizer serves every model: it is built from a neutral
// TokenizerSpec (tokenizer_spec.h), which a loader fills from tokenizer.json, tokenizer.model or GGUF fields.
// What it does not do: chat templates (text/chat) and reading GGUF files (weights).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tattletale {

using TokenId = uint32_t;

struct TokenizerSpec;
struct TokenizerState;  // tables of a built tokenizer, private to this folder

struct EncodeOptions {
  /// Adds the tokens the model wants around a text (BOS, EOS), as its files say. Off for the parts of a chat.
  bool add_special = true;
  /// Recognises special tokens such as <|im_start|> written in the text. Turn off for text from users, so
  /// that they cannot forge a turn: the text is then tokenized like any other.
  bool parse_special = true;
};

/// Immutable and safe to share between threads; encode and decode may run at once on many threads.
class Tokenizer {
 public:
  /// Checks the spec and builds the tables. Errors name the field: bad_file, unsupported, limit_exceeded.
  static Result<std::shared_ptr<const Tokenizer>> build(TokenizerSpec spec);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The ids of `text`, UTF-8, below 1 GiB. Broken UTF-8 is read as if each maximal invalid part were U+FFFD,
  /// as a lossy decoding in front of the reference tokenizers would.
  /// Time is O(n log n) for any input. Errors: limit_exceeded (text too long, a split pattern gave up).
  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of `ids`, always valid UTF-8 (broken bytes become U+FFFD). skip_special leaves out special
  /// tokens. Ids outside the vocabulary give nothing. A SentencePiece leading space is dropped at the start.
  std::string decode(std::span<const TokenId> ids, bool skip_special = true) const;

  /// The exact bytes one token stands for inside a text (" the", "\xE2\x96"), not always whole UTF-8. A
  /// special token gives its written form. Empty for ids outside the vocabulary. Lives as long as *this.
  std::string_view token_bytes(TokenId id) const;

  /// The token as its file writes it ("Ġthe", "▁the", "<0x0A>"). Lives as long as *this.
  std::string_view token_text(TokenId id) const;

  /// The id of a token as its file writes it; nothing when there is none.
  std::optional<TokenId> id_of(std::string_view token) const;

  /// A control token: never printed when skipping specials, parsed only with parse_special.
  bool is_special(TokenId id) const;

  /// One more than the highest id.
  size_t vocab_size() const;

  std::optional<TokenId> bos_id() const;
  std::optional<TokenId> eos_id() const;
  std::optional<TokenId> unk_id() const;
  std::optional<TokenId> pad_id() const;

  /// Every id that ends a turn or a text according to the files (eos, eot, eom), without repeats.
  std::span<const TokenId> end_ids() const;

  /// What add_special puts in front of and behind a text; empty for most chat models.
  std::span<const TokenId> prefix_ids() const;
  std::span<const TokenId> suffix_ids() const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<TokenizerState> state);
  std::unique_ptr<TokenizerState> state_;
};

/// Turns ids into text as they arrive. Everything returned is whole, valid UTF-8, and the concatenation of
/// all push() results and flush() equals Tokenizer::decode of all ids. One per sequence; not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);

  /// The text that `id` completes; bytes of an unfinished character are held back (at most 3).
  std::string push(TokenId id);

  /// Ends the text: what was held back, as U+FFFD. The decoder is then as new.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  int leading_spaces_to_drop_;
  std::string held_;
};

}  // namespace tattletale

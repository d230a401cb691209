// Building a Tokenizer from its spec, and what it knows about single tokens.
#include "text/tokenizer/tokenizer.h"

#include <algorithm>

#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/tokenizer_state.h"
#include "text/tokenizer/unicode.h"

namespace tattletale {
namespace {

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

Result<void> check_spec(const TokenizerSpec& spec) {
  const auto bad = [&](std::string what) {
    return make_error(ErrorKind::bad_file, spec.where, std::move(what));
  };
  const size_t count = spec.tokens.size();
  if (count == 0) return bad("the vocabulary is empty");
  if (count > kMaxTokens) {
    return make_error(
        ErrorKind::limit_exceeded, spec.where,
        "a vocabulary of " + std::to_string(count) + " tokens; at most " + std::to_string(kMaxTokens));
  }
  size_t total_bytes = 0;
  for (size_t id = 0; id < count; ++id) {
    total_bytes += spec.tokens[id].size();
    if (total_bytes > kMaxVocabularyBytes) {
      return make_error(ErrorKind::limit_exceeded, spec.where, "the tokens together take more than 1 GiB");
    }
    if (spec.tokens[id].size() > kMaxTokenBytes) {
      return make_error(ErrorKind::limit_exceeded, spec.where,
                        "token " + std::to_string(id) + " has " + std::to_string(spec.tokens[id].size()) +
                            " bytes; at most " + std::to_string(kMaxTokenBytes));
    }
  }
  if (spec.model != TokenModel::bpe_ranked && spec.scores.size() != count) {
    return bad(std::to_string(spec.scores.size()) + " scores for " + std::to_string(count) + " tokens");
  }
  const auto check_id = [&](std::optional<TokenId> id, std::string_view name) -> Result<void> {
    if (id && *id >= count) {
      return bad(std::string(name) + " is token " + std::to_string(*id) + " of a vocabulary of " +
                 std::to_string(count));
    }
    return {};
  };
  TT_TRY(check_id(spec.unk_id, "unk"));
  TT_TRY(check_id(spec.bos_id, "bos"));
  TT_TRY(check_id(spec.eos_id, "eos"));
  TT_TRY(check_id(spec.pad_id, "pad"));
  for (const auto* ids : {&spec.more_end_ids, &spec.prefix_ids, &spec.suffix_ids}) {
    for (const TokenId id : *ids) TT_TRY(check_id(id, "an added beginning or end token"));
  }
  for (const MergeRule& merge : spec.merges) {
    if (merge.left >= count || merge.right >= count || merge.result >= count)
      return bad("a merge names a missing token");
  }
  for (const AddedToken& token : spec.added) {
    TT_TRY(check_id(token.id, "added token \"" + token.content + "\""));
    if (token.content.empty()) return bad("added token " + std::to_string(token.id) + " is empty");
    if (token.content.size() > kMaxAddedTokenBytes) {
      return make_error(ErrorKind::limit_exceeded, spec.where,
                        "added token " + std::to_string(token.id) + " has " +
                            std::to_string(token.content.size()) + " bytes; at most " +
                            std::to_string(kMaxAddedTokenBytes));
    }
  }
  return {};
}

/// "<0x0A>" -> 10, else -1.
int byte_of_fallback_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  const int high = digit(token[3]), low = digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void fill_vocabulary(TokenizerSpec& spec, Vocabulary& vocabulary) {
  vocabulary.tokens = std::move(spec.tokens);
  vocabulary.not_in_text = spec.not_in_text;
  vocabulary.index.build(vocabulary.tokens);
  vocabulary.unk_id = spec.unk_id;
  vocabulary.byte_level = spec.byte_level;
  vocabulary.byte_fallback = spec.byte_fallback;
  vocabulary.fuse_unk = spec.fuse_unk;
  vocabulary.ignore_merges = spec.ignore_merges;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    std::string letter;
    append_code_point(letter, byte_to_alphabet(static_cast<uint8_t>(byte)));
    vocabulary.byte_ids[byte] = vocabulary.index.find(letter);
    constexpr char kHex[] = "0123456789ABCDEF";
    const char token[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    vocabulary.fallback_ids[byte] = vocabulary.index.find({token, 6});
  }
}

/// Appends the bytes a token stands for.
void append_token_bytes(std::string_view token, const TokenizerSpec& spec, bool verbatim, std::string& out) {
  if (verbatim) {
    out += token;
    return;
  }
  if (spec.byte_fallback) {
    if (const int byte = byte_of_fallback_token(token); byte >= 0) {
      out.push_back(static_cast<char>(byte));
      return;
    }
  }
  if (spec.byte_level) {
    const size_t begin = out.size();
    for (size_t at = 0; at < token.size();) {
      const CodePoint c = read_code_point(token, at);
      const int byte = alphabet_to_byte(c.value);
      if (byte < 0) {  // not in the byte alphabet: the reference takes the whole token as it is written
        out.resize(begin);
        out += token;
        return;
      }
      out.push_back(static_cast<char>(byte));
      at += c.length;
    }
    return;
  }
  if (!spec.decode.space_escape) {
    out += token;
    return;
  }
  size_t at = 0;
  for (size_t found; (found = token.find(kEscapedSpace, at)) != std::string_view::npos; at = found + 3) {
    out += token.substr(at, found - at);
    out.push_back(' ');
  }
  out += token.substr(at);
}

void fill_token_bytes(TokenizerState& state) {
  const auto& tokens = state.vocabulary.tokens;
  std::vector<uint8_t> added(tokens.size(), 0);
  for (const AddedToken& token : state.spec.added) added[token.id] = 1;
  state.byte_begins.reserve(tokens.size() + 1);
  state.byte_begins.push_back(0);
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool verbatim = state.special[id] || (added[id] && state.spec.byte_level);
    const bool valid = verbatim || !state.spec.byte_level || is_valid_utf8(tokens[id]);
    append_token_bytes(tokens[id], state.spec, verbatim || !valid, state.byte_arena);
    state.byte_begins.push_back(static_cast<uint32_t>(state.byte_arena.size()));
  }
}

/// Marks the byte pairs that must not be cut apart: those inside characters and inside tokens that a text can
/// give. U+2581 counts in both its forms, as itself and as a space.
void join_inside_tokens(const TokenizerSpec& spec, const Vocabulary& vocabulary, SpaceWords& words) {
  // Neighbouring unknown characters may become one unk. Where characters can be unknown, only cut before
  // spaces.
  const bool all_known =
      vocabulary.byte_fallback &&
      std::ranges::find(vocabulary.fallback_ids, TokenIndex::kNone) == vocabulary.fallback_ids.end();
  for (uint32_t left = 0; left < 256; ++left) {
    for (uint32_t right = 0; right < 256; ++right) {
      const bool inside_character = (right & 0xC0) == 0x80;
      if (inside_character || (!all_known && right != ' ')) {
        words.join(static_cast<uint8_t>(left), static_cast<uint8_t>(right));
      }
    }
  }
  std::vector<bool> from_text(vocabulary.tokens.size(), spec.model == TokenModel::bpe_scored);
  for (const MergeRule& merge : spec.merges) from_text[merge.result] = true;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!from_text[id] || (!spec.not_in_text.empty() && spec.not_in_text[id])) continue;
    const std::string_view token = vocabulary.tokens[id];
    for (size_t at = 1; at < token.size(); ++at) {
      const auto left = static_cast<uint8_t>(token[at - 1]), right = static_cast<uint8_t>(token[at]);
      if (is_continuation(token[at])) continue;
      const bool left_space = left == 0x81 && token.substr(0, at).ends_with(kEscapedSpace);
      const bool right_space = right == 0xE2 && token.substr(at).starts_with(kEscapedSpace);
      words.join(left, right);
      if (left_space) words.join(' ', right);
      if (right_space) words.join(left, ' ');
      if (left_space && right_space) words.join(' ', ' ');
    }
  }
}

/// Recognises the models that SpaceWords is for and finds where their text may be cut.
SpaceWords find_space_words(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  SpaceWords words;
  // Unigram adds scores up from the start of the text, and rounding decides ties: cutting would change some.
  if (spec.model == TokenModel::unigram) return words;
  size_t i = 0;
  if (i < spec.normalizer.size() && spec.normalizer[i].kind == NormalizerKind::prepend) {
    if (spec.normalizer[i].content != kEscapedSpace) return words;
    words.prepend = spec.normalizer[i].first_only ? PrependScheme::first : PrependScheme::always;
    ++i;
  }
  if (i + 1 != spec.normalizer.size()) return words;
  const NormalizerStep& replace = spec.normalizer[i];
  if (replace.kind != NormalizerKind::replace || replace.pattern_is_regex || replace.pattern != " " ||
      replace.content != kEscapedSpace) {
    return words;
  }
  // A split at spaces finds none once they are replaced.
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    const bool no_effect =
        step.kind == PreTokenizerKind::split && !step.pattern_is_regex && step.pattern == " " && !step.invert;
    if (!no_effect) return words;
  }
  for (const AddedToken& token : spec.added) {
    if (token.normalized) return words;
  }
  if (vocabulary.byte_level || vocabulary.ignore_merges ||
      vocabulary.find(kEscapedSpace) == TokenIndex::kNone) {
    return words;
  }
  join_inside_tokens(spec, vocabulary, words);
  words.enabled = true;
  return words;
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::build(TokenizerSpec spec) {
  TT_TRY(check_spec(spec));
  auto state = std::make_unique<TokenizerState>();
  state->special.assign(spec.tokens.size(), 0);
  std::vector<AddedToken> raw, normalized;
  for (const AddedToken& token : spec.added) {
    if (token.special) state->special[token.id] = 1;
    (token.normalized ? normalized : raw).push_back(token);
  }
  TT_ASSIGN(state->normalizer, NormalizerChain::compile(spec.normalizer, spec.where));
  for (AddedToken& token : normalized) {
    TT_ASSIGN(std::string content, state->normalizer.apply(token.content, {true, true}));
    if (!content.empty()) token.content = std::move(content);
  }
  state->raw_added = AddedTokenMatcher(std::move(raw));
  state->normalized_added = AddedTokenMatcher(std::move(normalized));
  TT_ASSIGN(state->pre_tokenizer, PreTokenizerChain::compile(spec.pre_tokenizer, spec.where));
  fill_vocabulary(spec, state->vocabulary);
  state->space_words = find_space_words(spec, state->vocabulary);
  if (spec.model == TokenModel::unigram) {
    TT_ASSIGN(state->model, make_unigram_model(state->vocabulary, spec));
  } else {
    TT_ASSIGN(state->model, make_bpe_model(state->vocabulary, spec));
  }
  spec.merges = {};
  spec.scores = {};
  spec.not_in_text = {};
  state->spec = std::move(spec);
  fill_token_bytes(*state);
  if (state->spec.eos_id) state->end_ids.push_back(*state->spec.eos_id);
  for (const TokenId id : state->spec.more_end_ids) {
    if (std::ranges::find(state->end_ids, id) == state->end_ids.end()) state->end_ids.push_back(id);
  }
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(state)));
}

Tokenizer::Tokenizer(std::unique_ptr<TokenizerState> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    return make_error(
        ErrorKind::limit_exceeded, "tokenizer",
        "a text of " + std::to_string(text.size()) + " bytes; at most 1 GiB is tokenized at once");
  }
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = make_valid_utf8(text);
    text = repaired;
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 16);
  if (options.add_special) ids = state_->spec.prefix_ids;
  std::unique_ptr<EncodeScratch> scratch = state_->scratch_pool.take();
  Result<void> done = state_->encode(text, options, *scratch, ids);
  state_->scratch_pool.give_back(std::move(scratch));
  TT_TRY(std::move(done));
  if (options.add_special)
    ids.insert(ids.end(), state_->spec.suffix_ids.begin(), state_->spec.suffix_ids.end());
  return ids;
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  if (id >= vocab_size()) return {};
  const uint32_t begin = state_->byte_begins[id];
  return std::string_view(state_->byte_arena).substr(begin, state_->byte_begins[id + 1] - begin);
}

std::string_view Tokenizer::token_text(TokenId id) const {
  return id < vocab_size() ? state_->vocabulary.tokens[id] : std::string_view{};
}

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  const uint32_t id = state_->vocabulary.index.find(token);
  if (id == TokenIndex::kNone) return std::nullopt;
  return id;
}

bool Tokenizer::is_special(TokenId id) const {
  return id < vocab_size() && state_->special[id] != 0;
}
size_t Tokenizer::vocab_size() const {
  return state_->vocabulary.tokens.size();
}
std::optional<TokenId> Tokenizer::bos_id() const {
  return state_->spec.bos_id;
}
std::optional<TokenId> Tokenizer::eos_id() const {
  return state_->spec.eos_id;
}
std::optional<TokenId> Tokenizer::unk_id() const {
  return state_->spec.unk_id;
}
std::optional<TokenId> Tokenizer::pad_id() const {
  return state_->spec.pad_id;
}
std::span<const TokenId> Tokenizer::end_ids() const {
  return state_->end_ids;
}
std::span<const TokenId> Tokenizer::prefix_ids() const {
  return state_->spec.prefix_ids;
}
std::span<const TokenId> Tokenizer::suffix_ids() const {
  return state_->spec.suffix_ids;
}

}  // namespace tattletale

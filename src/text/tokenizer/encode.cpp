// The road from text to ids: added tokens out of the raw text, normalizer, added tokens out of the normalized
// text, pre-tokenizer, word cache, word model.
#include <cstring>

#include "text/tokenizer/tokenizer_state.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

}  // namespace

std::unique_ptr<EncodeScratch> ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<EncodeScratch> scratch = std::move(idle_.back());
      idle_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<EncodeScratch>();
}

void ScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
  // What a huge text has grown is not worth keeping.
  if (scratch->word.symbols.capacity() > (size_t{1} << 20)) scratch->word = WordScratch{};
  if (scratch->segments.capacity() > (size_t{1} << 20)) scratch->segments = {};
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxKept) idle_.push_back(std::move(scratch));
}

Result<void> TokenizerState::encode(std::string_view text, EncodeOptions options, EncodeScratch& scratch,
                                    std::vector<TokenId>& out) const {
  const size_t first = out.size();
  scratch.segments.clear();
  scratch.pieces.resize(1024);
  raw_added.split(text, options.parse_special, scratch.segments);
  for (size_t i = 0; i < scratch.segments.size(); ++i) {
    const TextSegment segment = scratch.segments[i];
    if (segment.is_token) {
      if (spec.prefix_before_tokens && out.size() == first && special[segment.id] == 0) {
        encode_word(kEscapedSpace, kEscapedSpace.size(), scratch, out);
      }
      out.push_back(segment.id);
      continue;
    }
    const PiecePlace place{segment.begin == 0, segment.end == text.size()};
    TT_TRY(encode_segment(text.substr(segment.begin, segment.end - segment.begin), place,
                          options.parse_special, scratch, out));
  }
  return {};
}

Result<void> TokenizerState::encode_segment(std::string_view text, PiecePlace place, bool parse_special,
                                            EncodeScratch& scratch, std::vector<TokenId>& out) const {
  if (space_words.enabled) {
    encode_space_words(text, place, scratch, out);
    return {};
  }
  std::string normalized;
  if (!normalizer.empty()) {
    TT_ASSIGN(normalized, normalizer.apply(text, place));
    if (normalized.size() > 3 * kMaxTextBytes) {
      return make_error(ErrorKind::limit_exceeded, spec.where, "the normalized text is longer than 3 GiB");
    }
    text = normalized;
  }
  if (normalized_added.empty()) return encode_normalized(text, place, scratch, out);
  scratch.inner_segments.clear();
  normalized_added.split(text, parse_special, scratch.inner_segments);
  for (size_t i = 0; i < scratch.inner_segments.size(); ++i) {
    const TextSegment segment = scratch.inner_segments[i];
    if (segment.is_token) {
      out.push_back(segment.id);
      continue;
    }
    const PiecePlace inner{place.starts_text && segment.begin == 0,
                           place.ends_text && segment.end == text.size()};
    TT_TRY(encode_normalized(text.substr(segment.begin, segment.end - segment.begin), inner, scratch, out));
  }
  return {};
}

Result<void> TokenizerState::encode_normalized(std::string_view text, PiecePlace place,
                                               EncodeScratch& scratch, std::vector<TokenId>& out) const {
  if (text.empty()) return {};
  if (pre_tokenizer.whole_text()) {
    encode_word(text, text.size(), scratch, out);
    return {};
  }
  if (const Splitter* splitter = pre_tokenizer.only_splitter()) {
    size_t begin = 0;
    for (;;) {
      TT_ASSIGN(const size_t count, splitter->split(text, begin, scratch.pieces));
      if (count == 0) return {};
      for (size_t i = 0; i < count; ++i) {
        const size_t end = scratch.pieces[i].end;
        encode_word(text.substr(begin, end - begin), text.size() - begin, scratch, out);
        begin = end;
      }
    }
  }
  TT_ASSIGN(const Words words, pre_tokenizer.apply(text, place.starts_text));
  const std::string_view all = words.text;
  size_t begin = 0;
  for (const uint32_t end : words.ends) {
    encode_word(all.substr(begin, end - begin), all.size() - begin, scratch, out);
    begin = end;
  }
  return {};
}

void TokenizerState::encode_space_words(std::string_view text, PiecePlace place, EncodeScratch& scratch,
                                        std::vector<TokenId>& out) const {
  const bool prepend = space_words.prepend == PrependScheme::always ||
                       (space_words.prepend == PrependScheme::first && place.starts_text);
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin + 1;
    while (end < text.size() && !space_words.may_cut(text[end - 1], text[end])) ++end;
    const std::string_view word = text.substr(begin, end - begin);
    if (begin == 0 && prepend) {
      const std::string first = " " + std::string(word);
      encode_word(first, first.size(), scratch, out);
    } else {
      encode_word(word, text.size() - begin, scratch, out);
    }
    begin = end;
  }
}

void TokenizerState::encode_word(std::string_view word, size_t readable, EncodeScratch& scratch,
                                 std::vector<TokenId>& out) const {
  const size_t first = out.size();
  if (word.size() <= WordCache::kMaxShortBytes) {
    const WordCache::Key key = WordCache::short_key(word, readable);
    const std::span<const uint32_t> known = scratch.cache.find_short(key);
    if (known.size() == 1) {
      out.push_back(known[0]);
    } else if (!known.empty()) {
      out.insert(out.end(), known.begin(), known.end());
    } else {
      encode_new_word(word, scratch, out);
      scratch.cache.put_short(key, std::span(out).subspan(first));
    }
    return;
  }
  if (word.size() <= WordCache::kMaxLongBytes) {
    const uint64_t hash = hash_bytes(word);
    const std::span<const uint32_t> known = scratch.cache.find_long(word, hash);
    if (!known.empty()) {
      out.insert(out.end(), known.begin(), known.end());
      return;
    }
    encode_new_word(word, scratch, out);
    scratch.cache.put_long(word, hash, std::span(out).subspan(first));
    return;
  }
  encode_new_word(word, scratch, out);
}

void TokenizerState::encode_new_word(std::string_view word, EncodeScratch& scratch,
                                     std::vector<TokenId>& out) const {
  if (space_words.enabled && word.find(' ') != std::string_view::npos) {
    scratch.escaped.clear();
    for (const char c : word) {
      if (c == ' ') {
        scratch.escaped += kEscapedSpace;
      } else {
        scratch.escaped.push_back(c);
      }
    }
    word = scratch.escaped;
  }
  model->encode(word, scratch.word, out);
}

}  // namespace tattletale

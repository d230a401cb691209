// The normalizer steps, see normalizer.h. Each works on the whole piece and makes a new text.
#include "text/tokenizer/normalizer.h"

#include <algorithm>
#include <cstring>

#include "text/tokenizer/unicode.h"

namespace tattletale {
namespace {

std::string strip(std::string_view text, bool left, bool right) {
  const CharClasses& classes = CharClasses::get();
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    const CharClasses::Char c = classes.at(text, begin);
    if (!(c.flags & kSpace)) break;
    begin += c.length;
  }
  while (right && end > begin) {
    size_t last = end - 1;
    while (last > begin && is_continuation(text[last])) --last;
    if (!(classes.at(text, last).flags & kSpace)) break;
    end = last;
  }
  return std::string(text.substr(begin, end - begin));
}

Result<std::string> replace_all(std::string_view text, const Splitter& finder, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::vector<Piece> pieces(256);
  for (size_t begin = 0;;) {
    TT_ASSIGN(const size_t count, finder.split(text, begin, pieces));
    if (count == 0) return out;
    for (size_t i = 0; i < count; ++i) {
      if (pieces[i].is_match) {
        out += content;
      } else {
        out += text.substr(begin, pieces[i].end - begin);
      }
      begin = pieces[i].end;
    }
    if (out.size() > kMaxTextBytes) {
      return make_error(ErrorKind::limit_exceeded, "normalizer",
                        "a Replace step makes the text longer than 1 GiB");
    }
  }
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' && i > 0 && text[i - 1] == ' ') continue;
    out.push_back(text[i]);
  }
  return out;
}

std::string strip_ascii_spaces(std::string_view text, bool left, bool right) {
  while (left && text.starts_with(' ')) text.remove_prefix(1);
  while (right && text.ends_with(' ')) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace

Result<CharMap> CharMap::parse(std::string_view bytes, std::string_view where) {
  const auto bad = [&](const std::string& what) {
    return make_error(ErrorKind::bad_file, std::string(where), "precompiled character map: " + what);
  };
  uint32_t trie_bytes = 0;
  if (bytes.size() < 4) return bad("shorter than its 4-byte header");
  std::memcpy(&trie_bytes, bytes.data(), 4);
  if (trie_bytes % 4 != 0 || trie_bytes == 0 || trie_bytes > bytes.size() - 4) {
    return bad("a trie of " + std::to_string(trie_bytes) + " bytes in a map of " +
               std::to_string(bytes.size()));
  }
  CharMap map;
  map.units_.resize(trie_bytes / 4);
  std::memcpy(map.units_.data(), bytes.data() + 4, trie_bytes);
  map.texts_ = bytes.substr(4 + trie_bytes);
  map.texts_.push_back('\0');
  if (!is_valid_utf8(map.texts_)) return bad("its texts are not valid UTF-8");
  return map;
}

size_t CharMap::find(std::string_view text, size_t at, std::string_view& replacement) const {
  // darts-clone units: bit 8 has_leaf, bits 0-7 and 31 label, bits 10-30 offset (shifted by 8 if bit 9).
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  size_t longest = 0;
  uint32_t node = offset(units_[0]);
  for (size_t i = at; i < text.size(); ++i) {
    node ^= static_cast<uint8_t>(text[i]);
    if (node >= units_.size()) break;
    const uint32_t unit = units_[node];
    if ((unit & 0x800000FFu) != static_cast<uint8_t>(text[i])) break;
    node ^= offset(unit);
    if (node >= units_.size()) break;
    if (unit >> 8 & 1) {
      const uint32_t value = units_[node] & 0x7FFFFFFFu;
      // An entry that ends inside a character, or a text that begins inside one, would break UTF-8.
      const bool whole = i + 1 == text.size() || !is_continuation(text[i + 1]);
      if (value < texts_.size() && whole && !is_continuation(texts_[value])) {
        longest = i + 1 - at;
        replacement = std::string_view(texts_.c_str() + value);
      }
    }
  }
  return longest;
}

std::string CharMap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    std::string_view replacement;
    if (const size_t length = find(text, at, replacement)) {
      out += replacement;
      at += length;
    } else {
      const size_t character = utf8_length(text[at]);
      out += text.substr(at, character);
      at += character;
    }
  }
  return out;
}

Result<NormalizerChain> NormalizerChain::compile(const std::vector<NormalizerStep>& steps,
                                                 std::string_view where) {
  NormalizerChain chain;
  for (const NormalizerStep& spec : steps) {
    Step step{spec, nullptr, nullptr};
    if (spec.kind == NormalizerKind::replace) {
      if (spec.pattern.empty()) {
        return make_error(ErrorKind::bad_file, std::string(where),
                          "normalizer Replace with an empty pattern");
      }
      if (spec.pattern_is_regex) {
        TT_ASSIGN(step.finder, make_regex_splitter(spec.pattern, where));
      } else {
        step.finder = make_literal_splitter(spec.pattern);
      }
    } else if (spec.kind == NormalizerKind::charsmap) {
      TT_ASSIGN(CharMap map, CharMap::parse(spec.content, where));
      step.map = std::make_shared<const CharMap>(std::move(map));
      step.spec.content.clear();
    }
    chain.steps_.push_back(std::move(step));
  }
  return chain;
}

Result<std::string> NormalizerChain::apply(std::string_view input, PiecePlace place) const {
  std::string text(input);
  for (const Step& step : steps_) {
    const NormalizerStep& spec = step.spec;
    switch (spec.kind) {
      case NormalizerKind::nfc: text = normalize_unicode(text, NormalForm::nfc); break;
      case NormalizerKind::nfd: text = normalize_unicode(text, NormalForm::nfd); break;
      case NormalizerKind::nfkc: text = normalize_unicode(text, NormalForm::nfkc); break;
      case NormalizerKind::nfkd: text = normalize_unicode(text, NormalForm::nfkd); break;
      case NormalizerKind::lowercase: text = lowercase_unicode(text); break;
      case NormalizerKind::strip:
        if (spec.first_only) {
          text = strip_ascii_spaces(text, spec.strip_left && place.starts_text,
                                    spec.strip_right && place.ends_text);
        } else {
          text = strip(text, spec.strip_left, spec.strip_right);
        }
        break;
      case NormalizerKind::prepend:
        if (!text.empty() && (!spec.first_only || place.starts_text)) text.insert(0, spec.content);
        break;
      case NormalizerKind::replace: {
        TT_ASSIGN(text, replace_all(text, *step.finder, spec.content));
        break;
      }
      case NormalizerKind::charsmap: text = step.map->apply(text); break;
      case NormalizerKind::collapse_spaces: text = collapse_spaces(text); break;
    }
  }
  return text;
}

}  // namespace tattletale

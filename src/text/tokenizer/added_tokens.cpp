// A byte trie over the added tokens, with a filter on the first two bytes in front of it.
#include "text/tokenizer/added_tokens.h"

#include "text/tokenizer/unicode.h"

namespace tattletale {
namespace {

size_t space_begin_before(std::string_view text, size_t lowest, size_t at) {
  const CharClasses& classes = CharClasses::get();
  while (at > lowest) {
    size_t before = at - 1;
    while (before > lowest && is_continuation(text[before])) --before;
    if (!(classes.at(text, before).flags & kSpace)) break;
    at = before;
  }
  return at;
}

size_t space_end_behind(std::string_view text, size_t at) {
  const CharClasses& classes = CharClasses::get();
  while (at < text.size()) {
    const CharClasses::Char c = classes.at(text, at);
    if (!(c.flags & kSpace)) break;
    at += c.length;
  }
  return at;
}

bool is_single_word(std::string_view text, size_t begin, size_t end) {
  const CharClasses& classes = CharClasses::get();
  if (end < text.size() && (classes.at(text, end).flags & kWord)) return false;
  if (begin == 0) return true;
  size_t before = begin - 1;
  while (before > 0 && is_continuation(text[before])) --before;
  return !(classes.at(text, before).flags & kWord);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  size_t total_bytes = 0;
  for (const AddedToken& token : tokens_) total_bytes += token.content.size();
  children_.reserve(total_bytes);
  token_of_.assign(1, 0);
  first_two_.assign(1024, 0);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    uint32_t node = 0;
    for (const char c : content) {
      const auto byte = static_cast<uint8_t>(c);
      MergeTable::Merge next = children_.find(node, byte);
      if (next.rank == UINT32_MAX) {
        next = {0, static_cast<uint32_t>(token_of_.size())};
        children_.insert(node, byte, next);
        token_of_.push_back(0);
      }
      node = next.result;
    }
    if (token_of_[node] == 0) token_of_[node] = static_cast<uint32_t>(i + 1);  // the first of equal contents
    const auto first = static_cast<uint8_t>(content[0]);
    first_[first] = true;
    const uint32_t low = content.size() > 1 ? static_cast<uint8_t>(content[1]) : 0;
    const uint32_t high = content.size() > 1 ? low : 255;
    for (uint32_t second = low; second <= high; ++second) {
      const uint32_t bit = uint32_t{first} << 8 | second;
      first_two_[bit >> 6] |= uint64_t{1} << (bit & 63);
    }
  }
}

bool AddedTokenMatcher::may_begin(std::string_view text, size_t at) const {
  const auto first = static_cast<uint8_t>(text[at]);
  if (!first_[first]) return false;
  if (at + 1 == text.size()) return true;
  const uint32_t bit = uint32_t{first} << 8 | static_cast<uint8_t>(text[at + 1]);
  return first_two_[bit >> 6] >> (bit & 63) & 1;
}

AddedTokenMatcher::Match AddedTokenMatcher::match_at(std::string_view text, size_t at) const {
  Match best{nullptr, at};
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const MergeTable::Merge next = children_.find(node, static_cast<uint8_t>(text[i]));
    if (next.rank == UINT32_MAX) break;
    node = next.result;
    if (token_of_[node] != 0) best = {&tokens_[token_of_[node] - 1], i + 1};
  }
  return best;
}

void AddedTokenMatcher::split(std::string_view text, bool parse_special,
                              std::vector<TextSegment>& out) const {
  size_t done = 0;
  size_t at = 0;
  const auto push_text = [&](size_t end) {
    if (end > done) out.push_back({static_cast<uint32_t>(done), static_cast<uint32_t>(end), false, 0});
  };
  while (!tokens_.empty() && at < text.size()) {
    if (!may_begin(text, at)) {
      ++at;
      continue;
    }
    const Match match = match_at(text, at);
    if (match.token == nullptr) {
      ++at;
      continue;
    }
    const AddedToken& token = *match.token;
    const bool wanted = (parse_special || !token.special) && at >= done &&
                        (!token.single_word || is_single_word(text, at, match.end));
    if (wanted) {
      const size_t begin = token.lstrip ? space_begin_before(text, done, at) : at;
      const size_t end = token.rstrip ? space_end_behind(text, match.end) : match.end;
      push_text(begin);
      out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), true, token.id});
      done = end;
    }
    at = match.end;
  }
  push_text(text.size());
}

}  // namespace tattletale

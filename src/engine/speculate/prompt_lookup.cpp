#include "engine/speculate/prompt_lookup.h"

#include <algorithm>

namespace tattletale {
namespace {

constexpr size_t kShortestMatch = 2;
constexpr size_t kLongestMatch = 8;  // longer ones tell no more

}  // namespace

void lookup_drafts(std::span<const uint32_t> tokens, uint32_t max_drafts, std::vector<uint32_t>& drafts) {
  drafts.clear();
  const size_t size = tokens.size();
  if (max_drafts == 0 || size <= kShortestMatch) return;
  size_t best_length = kShortestMatch - 1;
  size_t best_end = 0;  // behind the occurrence
  for (size_t end = size - 1; end >= kShortestMatch && best_length < kLongestMatch; --end) {
    if (tokens[end - 1] != tokens[size - 1] || tokens[end - 2] != tokens[size - 2]) continue;
    size_t length = kShortestMatch;
    while (length < end && length < kLongestMatch && tokens[end - 1 - length] == tokens[size - 1 - length])
      ++length;
    if (length <= best_length) continue;
    best_length = length;
    best_end = end;
  }
  if (best_end == 0) return;
  const size_t count = std::min<size_t>(max_drafts, size - best_end);
  drafts.assign(tokens.begin() + static_cast<ptrdiff_t>(best_end),
                tokens.begin() + static_cast<ptrdiff_t>(best_end + count));
}

}  // namespace tattletale

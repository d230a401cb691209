// Byte-pair encoding of one word: merge the best pair, leftmost among equals, until none is left.
// Short words scan for the best pair (no heap, no allocation); long ones keep candidates in a heap, so that a
// megabyte of one letter stays O(n log n).
// Sources: Sennrich et al. 2016, arXiv:1508.07909; Kudo & Richardson 2018, arXiv:1808.06226.
#include <algorithm>
#include <bit>

#include "text/tokenizer/utf8.h"
#include "text/tokenizer/word_model.h"

namespace tattletale {
namespace {

using Symbol = WordScratch::Symbol;
constexpr uint32_t kNoSymbol = UINT32_MAX;
constexpr size_t kShortSymbols = 40;

/// Pairs by rank of (left id, right id).
struct RankedPairs {
  const MergeTable& merges;
  MergeTable::Merge operator()(const Symbol& left, const Symbol& right) const {
    return merges.find(left.id, right.id);
  }
};

/// Pairs by score of the joined token. The order of floats is made an order of numbers.
struct ScoredPairs {
  const Vocabulary& vocabulary;
  const std::vector<uint32_t>& ranks;  // by id
  std::string_view word;
  uint32_t max_bytes;
  MergeTable::Merge operator()(const Symbol& left, const Symbol& right) const {
    if (right.end - left.begin > max_bytes) return {};
    const uint32_t id = vocabulary.index.find(word.substr(left.begin, right.end - left.begin));
    if (id == TokenIndex::kNone) return {};
    return {ranks[id], id};  // UINT32_MAX for tokens that never come out of a text
  }
};

/// Merges symbols[0..count) in place and returns how many are left.
template <class Pairs>
size_t merge_short(Symbol* symbols, size_t count, const Pairs& pairs) {
  MergeTable::Merge merges[kShortSymbols];
  for (size_t i = 0; i + 1 < count; ++i) merges[i] = pairs(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == UINT32_MAX) break;
    symbols[best].id = merges[best].result;
    symbols[best].end = symbols[best + 1].end;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      merges[i] = merges[i + 1];
    }
    --count;
    if (best > 0) merges[best - 1] = pairs(symbols[best - 1], symbols[best]);
    if (best + 1 < count) merges[best] = pairs(symbols[best], symbols[best + 1]);
  }
  return count;
}

template <class Pairs>
size_t merge_long(WordScratch& scratch, const Pairs& pairs) {
  std::vector<Symbol>& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto later = [](const WordScratch::Candidate& a, const WordScratch::Candidate& b) {
    return a.key > b.key;
  };
  const auto candidate = [&](uint32_t left) -> bool {
    const uint32_t right = symbols[left].next;
    if (right == kNoSymbol) return false;
    const MergeTable::Merge merge = pairs(symbols[left], symbols[right]);
    if (merge.rank == UINT32_MAX) return false;
    heap.push_back({static_cast<uint64_t>(merge.rank) << 32 | left, merge.result, symbols[right].end});
    return true;
  };
  heap.clear();
  const auto count = static_cast<uint32_t>(symbols.size());
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i].previous = i == 0 ? kNoSymbol : i - 1;
    symbols[i].next = i + 1 == count ? kNoSymbol : i + 1;
  }
  for (uint32_t i = 0; i + 1 < count; ++i) candidate(i);
  std::make_heap(heap.begin(), heap.end(), later);
  constexpr uint32_t kMergedAway = UINT32_MAX;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const WordScratch::Candidate top = heap.back();
    heap.pop_back();
    const auto left = static_cast<uint32_t>(top.key);
    if (symbols[left].begin == kMergedAway) continue;
    const uint32_t right = symbols[left].next;
    if (right == kNoSymbol || symbols[right].end != top.end) continue;
    symbols[left].id = top.result;
    symbols[left].end = top.end;
    symbols[left].next = symbols[right].next;
    symbols[right].begin = kMergedAway;
    if (symbols[left].next != kNoSymbol) symbols[symbols[left].next].previous = left;
    if (candidate(left)) std::push_heap(heap.begin(), heap.end(), later);
    if (symbols[left].previous != kNoSymbol && candidate(symbols[left].previous)) {
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  size_t kept = 0;
  for (const Symbol& symbol : symbols) {
    if (symbol.begin != kMergedAway) symbols[kept++] = symbol;
  }
  return kept;
}

template <class Pairs>
size_t merge_symbols(WordScratch& scratch, const Pairs& pairs) {
  if (scratch.symbols.size() <= kShortSymbols) {
    return merge_short(scratch.symbols.data(), scratch.symbols.size(), pairs);
  }
  return merge_long(scratch, pairs);
}

class RankedBpe final : public WordModel {
 public:
  RankedBpe(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges) : vocabulary_(vocabulary) {
    merges_.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      merges_.insert(merges[rank].left, merges[rank].right,
                     {static_cast<uint32_t>(rank), merges[rank].result});
    }
  }

  void encode(std::string_view word, WordScratch& scratch, std::vector<TokenId>& out) const override {
    if (vocabulary_.ignore_merges) {
      const uint32_t id = vocabulary_.find(written_form(word, scratch.text));
      if (id != TokenIndex::kNone) return out.push_back(id);
    }
    scratch.symbols.clear();
    if (vocabulary_.byte_level) {
      byte_symbols(word, scratch);
    } else {
      character_symbols(word, scratch);
    }
    const size_t count = merge_symbols(scratch, RankedPairs{merges_});
    for (size_t i = 0; i < count; ++i) out.push_back(scratch.symbols[i].id);
  }

 private:
  /// The word as the vocabulary writes it.
  std::string_view written_form(std::string_view word, std::string& buffer) const {
    if (!vocabulary_.byte_level) return word;
    buffer.clear();
    for (const char byte : word) append_code_point(buffer, byte_to_alphabet(static_cast<uint8_t>(byte)));
    return buffer;
  }

  void byte_symbols(std::string_view word, WordScratch& scratch) const {
    for (uint32_t i = 0; i < word.size(); ++i) {
      uint32_t id = vocabulary_.byte_ids[static_cast<uint8_t>(word[i])];
      if (id == TokenIndex::kNone) {
        if (!vocabulary_.unk_id) continue;
        id = *vocabulary_.unk_id;
        if (vocabulary_.fuse_unk && !scratch.symbols.empty() && scratch.symbols.back().id == id) {
          scratch.symbols.back().end = i + 1;
          continue;
        }
      }
      scratch.symbols.push_back({id, i, i + 1, 0, 0});
    }
  }

  void character_symbols(std::string_view word, WordScratch& scratch) const {
    for (uint32_t i = 0; i < word.size();) {
      const auto end = static_cast<uint32_t>(i + utf8_length(word[i]));
      const std::string_view character = word.substr(i, end - i);
      if (const uint32_t id = vocabulary_.index.find(character); id != TokenIndex::kNone) {
        scratch.symbols.push_back({id, i, end, 0, 0});
      } else {
        unknown_ids_for(character, i, scratch);
      }
      i = end;
    }
  }

  void unknown_ids_for(std::string_view character, uint32_t begin, WordScratch& scratch) const {
    const auto end = static_cast<uint32_t>(begin + character.size());
    if (vocabulary_.byte_fallback) {
      bool all = true;
      for (const char c : character)
        all = all && vocabulary_.fallback_ids[static_cast<uint8_t>(c)] != TokenIndex::kNone;
      if (all) {
        for (uint32_t i = begin; i < end; ++i) {
          const auto byte = static_cast<uint8_t>(character[i - begin]);
          scratch.symbols.push_back({vocabulary_.fallback_ids[byte], i, i + 1, 0, 0});
        }
        return;
      }
    }
    if (!vocabulary_.unk_id) return;
    if (vocabulary_.fuse_unk && !scratch.symbols.empty() &&
        scratch.symbols.back().id == *vocabulary_.unk_id) {
      scratch.symbols.back().end = end;
      return;
    }
    scratch.symbols.push_back({*vocabulary_.unk_id, begin, end, 0, 0});
  }

  const Vocabulary& vocabulary_;
  MergeTable merges_;
};

class ScoredBpe final : public WordModel {
 public:
  ScoredBpe(const Vocabulary& vocabulary, const std::vector<double>& scores) : vocabulary_(vocabulary) {
    ranks_.resize(scores.size());
    for (size_t id = 0; id < scores.size(); ++id) {
      const bool silent = !vocabulary.not_in_text.empty() && vocabulary.not_in_text[id];
      ranks_[id] = silent ? UINT32_MAX : rank_of_score(static_cast<float>(scores[id]));
      if (!silent) max_bytes_ = std::max(max_bytes_, static_cast<uint32_t>(vocabulary.tokens[id].size()));
    }
  }

  void encode(std::string_view word, WordScratch& scratch, std::vector<TokenId>& out) const override {
    scratch.symbols.clear();
    for (uint32_t i = 0; i < word.size();) {
      const auto end = static_cast<uint32_t>(i + utf8_length(word[i]));
      scratch.symbols.push_back({TokenIndex::kNone, i, end, 0, 0});
      i = end;
    }
    const size_t count = merge_symbols(scratch, ScoredPairs{vocabulary_, ranks_, word, max_bytes_});
    const size_t first = out.size();
    for (size_t i = 0; i < count; ++i) {
      const Symbol& symbol = scratch.symbols[i];
      const std::string_view text = word.substr(symbol.begin, symbol.end - symbol.begin);
      const uint32_t id = symbol.id != TokenIndex::kNone ? symbol.id : vocabulary_.find(text);
      if (id != TokenIndex::kNone) {
        out.push_back(id);
      } else {
        vocabulary_.append_unknown(text, first, out);
      }
    }
  }

 private:
  /// Smaller for better scores; ties stay ties. Never UINT32_MAX, which means "no pair".
  static uint32_t rank_of_score(float score) {
    const uint32_t bits = std::bit_cast<uint32_t>(score);
    const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return std::min(~ascending, UINT32_MAX - 1);
  }

  const Vocabulary& vocabulary_;
  std::vector<uint32_t> ranks_;
  uint32_t max_bytes_ = 0;
};

}  // namespace

void Vocabulary::append_unknown(std::string_view character, size_t first, std::vector<TokenId>& out) const {
  if (byte_fallback) {
    bool all = true;
    for (const char c : character) all = all && fallback_ids[static_cast<uint8_t>(c)] != TokenIndex::kNone;
    if (all) {
      for (const char c : character) out.push_back(fallback_ids[static_cast<uint8_t>(c)]);
      return;
    }
  }
  if (!unk_id) return;
  if (fuse_unk && out.size() > first && out.back() == *unk_id) return;
  out.push_back(*unk_id);
}

Result<std::unique_ptr<WordModel>> make_bpe_model(const Vocabulary& vocabulary, const TokenizerSpec& spec) {
  if (spec.model == TokenModel::bpe_ranked) {
    return std::unique_ptr<WordModel>(std::make_unique<RankedBpe>(vocabulary, spec.merges));
  }
  return std::unique_ptr<WordModel>(std::make_unique<ScoredBpe>(vocabulary, spec.scores));
}

uint32_t byte_to_alphabet(uint8_t byte) {
  // Printable Latin-1 stands for itself; the other 68 bytes, in order, for U+0100 and up.
  if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD)) return byte;
  if (byte <= 0x20) return 0x100u + byte;
  if (byte <= 0xA0) return 0x100u + 0x21 + (byte - 0x7Fu);
  return 0x143;  // 0xAD
}

int alphabet_to_byte(uint32_t c) {
  if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD)) return static_cast<int>(c);
  if (c >= 0x100 && c <= 0x120) return static_cast<int>(c - 0x100);
  if (c >= 0x121 && c <= 0x142) return static_cast<int>(c - 0x121 + 0x7F);
  return c == 0x143 ? 0xAD : -1;
}

}  // namespace tattletale

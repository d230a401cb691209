// Unigram segmentation of one word: the path of highest total score over all tokens that fit (Viterbi).
// Tokens are found by narrowing a range of the sorted vocabulary byte by byte; time is linear in the word for
// a bounded token length. Source: Kudo 2018, arXiv:1804.10959.
#include <algorithm>
#include <limits>
#include <numeric>

#include "text/tokenizer/utf8.h"
#include "text/tokenizer/word_model.h"

namespace tattletale {
namespace {

constexpr double kUnkPenalty = 10.0;

class Unigram final : public WordModel {
 public:
  Unigram(const Vocabulary& vocabulary, const TokenizerSpec& spec)
      : vocabulary_(vocabulary), single_(spec.single_precision), scores_(spec.scores) {
    double lowest = std::numeric_limits<double>::infinity();
    for (uint32_t id = 0; id < vocabulary.tokens.size(); ++id) {
      if (vocabulary.tokens[id].empty()) continue;
      if (!vocabulary.not_in_text.empty() && vocabulary.not_in_text[id]) continue;
      lowest = std::min(lowest, scores_[id]);
      sorted_.push_back(id);
    }
    unk_score_ = (sorted_.empty() ? 0.0 : lowest) - kUnkPenalty;
    const auto& tokens = vocabulary.tokens;
    std::sort(sorted_.begin(), sorted_.end(),
              [&](uint32_t a, uint32_t b) { return tokens[a] != tokens[b] ? tokens[a] < tokens[b] : a < b; });
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end(),
                              [&](uint32_t a, uint32_t b) { return tokens[a] == tokens[b]; }),
                  sorted_.end());
    first_byte_.assign(257, static_cast<uint32_t>(sorted_.size()));
    for (size_t i = sorted_.size(); i-- > 0;) {
      first_byte_[static_cast<uint8_t>(tokens[sorted_[i]][0])] = static_cast<uint32_t>(i);
    }
    for (size_t b = 256; b-- > 0;) first_byte_[b] = std::min(first_byte_[b], first_byte_[b + 1]);
  }

  void encode(std::string_view word, WordScratch& scratch, std::vector<TokenId>& out) const override {
    if (single_) {
      best_path<float>(word, scratch, scratch.best_score_single);
    } else {
      best_path<double>(word, scratch, scratch.best_score);
    }
    scratch.reversed.clear();  // ends of the path's parts
    for (auto at = static_cast<uint32_t>(word.size()); at > 0; at = scratch.best_begin[at])
      scratch.reversed.push_back(at);
    const size_t first = out.size();
    for (size_t i = scratch.reversed.size(); i-- > 0;) {
      const uint32_t end = scratch.reversed[i], begin = scratch.best_begin[end];
      if (scratch.best_id[end] != TokenIndex::kNone) {
        out.push_back(scratch.best_id[end]);
      } else {
        vocabulary_.append_unknown(word.substr(begin, end - begin), first, out);
      }
    }
  }

 private:
  /// best_begin[e], best_id[e]: the last part of the best path that ends at byte e.
  template <class Score>
  void best_path(std::string_view word, WordScratch& scratch, std::vector<Score>& best) const {
    constexpr Score kUnreached = -std::numeric_limits<Score>::infinity();
    best.assign(word.size() + 1, kUnreached);
    scratch.best_begin.assign(word.size() + 1, UINT32_MAX);
    scratch.best_id.assign(word.size() + 1, TokenIndex::kNone);
    best[0] = 0;
    for (uint32_t begin = 0; begin < word.size();) {
      const auto length = static_cast<uint32_t>(utf8_length(word[begin]));
      bool has_single = false;
      const auto reach = [&](uint32_t end, uint32_t id, Score score) {
        const Score total = best[begin] + score;
        if (scratch.best_begin[end] != UINT32_MAX && !(total > best[end])) return;
        best[end] = total;
        scratch.best_begin[end] = begin;
        scratch.best_id[end] = id;
      };
      for_each_token(word, begin, [&](uint32_t end, uint32_t id) {
        reach(end, id, static_cast<Score>(scores_[id]));
        has_single = has_single || end == begin + length;
      });
      if (!has_single) reach(begin + length, TokenIndex::kNone, static_cast<Score>(unk_score_));
      begin += length;
    }
  }

  /// Calls visit(end, id) for each token that stands at `begin`, shortest first.
  template <class Visit>
  void for_each_token(std::string_view word, uint32_t begin, Visit visit) const {
    const auto& tokens = vocabulary_.tokens;
    const auto first = static_cast<uint8_t>(word[begin]);
    uint32_t low = first_byte_[first], high = first_byte_[first + 1];
    for (uint32_t depth = 1; low < high; ++depth) {
      const uint32_t end = begin + depth;
      if (tokens[sorted_[low]].size() == depth) visit(end, sorted_[low++]);
      if (end >= word.size()) return;
      const auto byte = static_cast<uint8_t>(word[end]);
      const auto before = [&](uint32_t id, uint32_t b) {
        return static_cast<uint8_t>(tokens[id][depth]) < b;
      };
      const auto from =
          std::lower_bound(sorted_.begin() + low, sorted_.begin() + high, uint32_t{byte}, before);
      const auto to = std::lower_bound(from, sorted_.begin() + high, uint32_t{byte} + 1, before);
      low = static_cast<uint32_t>(from - sorted_.begin());
      high = static_cast<uint32_t>(to - sorted_.begin());
    }
  }

  const Vocabulary& vocabulary_;
  bool single_;
  std::vector<double> scores_;
  double unk_score_ = 0;
  std::vector<uint32_t> sorted_;      // ids by token bytes
  std::vector<uint32_t> first_byte_;  // where in sorted_ tokens with this first byte begin
};

}  // namespace

Result<std::unique_ptr<WordModel>> make_unigram_model(const Vocabulary& vocabulary,
                                                      const TokenizerSpec& spec) {
  return std::unique_ptr<WordModel>(std::make_unique<Unigram>(vocabulary, spec));
}

}  // namespace tattletale

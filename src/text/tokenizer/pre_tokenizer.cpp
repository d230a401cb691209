// Pre-tokenizer steps on lists of words. Well-known chains collapse into one splitter when compiled.
#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>

namespace tattletale {
namespace {

struct Range {
  uint32_t begin, end;
};

/// Cuts one word as `behavior` says and appends the ranges that stay, without empty ones.
class RangeFolder {
 public:
  RangeFolder(SplitBehavior behavior, std::vector<Range>& out)
      : behavior_(behavior), out_(out), first_(out.size()) {}

  void add(Range range, bool match) {
    switch (behavior_) {
      case SplitBehavior::removed:
        if (!match) out_.push_back(range);
        break;
      case SplitBehavior::isolated: out_.push_back(range); break;
      case SplitBehavior::contiguous:
        if (match == previous_match_ && out_.size() > first_) {
          out_.back().end = range.end;
        } else {
          out_.push_back(range);
        }
        break;
      case SplitBehavior::merged_with_previous:
        if (match && !previous_match_ && out_.size() > first_) {
          out_.back().end = range.end;
        } else {
          out_.push_back(range);
        }
        break;
      case SplitBehavior::merged_with_next:
        // Only the last of several matches joins what follows it.
        if (!match && previous_match_) {
          out_.back().end = range.end;
        } else {
          out_.push_back(range);
        }
        break;
    }
    previous_match_ = match;
  }

 private:
  SplitBehavior behavior_;
  std::vector<Range>& out_;
  size_t first_;
  bool previous_match_ = false;
};

std::string replace_spaces(std::string_view text, std::string_view replacement) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      out += replacement;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

bool is_digits_then_gpt2(const std::vector<PreTokenizerStep>& steps) {
  if (steps.size() != 2) return false;
  const PreTokenizerStep &digits = steps[0], &bytes = steps[1];
  return digits.kind == PreTokenizerKind::digits && digits.individual_digits &&
         bytes.kind == PreTokenizerKind::byte_level && bytes.use_regex && !bytes.add_prefix_space;
}

}  // namespace

Result<PreTokenizerChain::Stage> PreTokenizerChain::compile_step(const PreTokenizerStep& step,
                                                                 std::string_view where) {
  Stage stage;
  switch (step.kind) {
    case PreTokenizerKind::split:
      if (step.pattern.empty()) {
        return make_error(ErrorKind::bad_file, std::string(where),
                          "pre-tokenizer Split with an empty pattern");
      }
      if (step.pattern_is_regex) {
        TT_ASSIGN(stage.splitter, make_splitter(step.pattern, where));
      } else {
        stage.splitter = make_literal_splitter(step.pattern);
      }
      stage.behavior = step.behavior;
      stage.invert = step.invert;
      break;
    case PreTokenizerKind::byte_level:
      if (step.use_regex) stage.splitter = make_known_splitter(kGpt2Pattern);
      if (step.add_prefix_space) {
        stage.prefix = " ";
        stage.prepend = PrependScheme::always;
      }
      break;
    case PreTokenizerKind::digits:
      stage.splitter =
          make_class_splitter(step.individual_digits ? ClassSplit::digits : ClassSplit::digit_runs);
      break;
    case PreTokenizerKind::metaspace:
      stage.space_replacement = step.replacement;
      stage.prefix = step.replacement;
      stage.prepend = step.prepend;
      if (step.metaspace_split) stage.splitter = make_literal_splitter(step.replacement);
      stage.behavior = SplitBehavior::merged_with_next;
      break;
    case PreTokenizerKind::whitespace:
      stage.splitter = make_class_splitter(ClassSplit::words);
      stage.behavior = SplitBehavior::removed;
      stage.invert = true;
      break;
    case PreTokenizerKind::whitespace_split:
      stage.splitter = make_class_splitter(ClassSplit::whitespace);
      stage.behavior = SplitBehavior::removed;
      break;
    case PreTokenizerKind::punctuation:
      stage.splitter = make_class_splitter(ClassSplit::punctuation);
      stage.behavior = step.behavior;
      break;
  }
  return stage;
}

Result<PreTokenizerChain> PreTokenizerChain::compile(const std::vector<PreTokenizerStep>& steps,
                                                     std::string_view where) {
  PreTokenizerChain chain;
  if (is_digits_then_gpt2(steps)) {
    Stage stage;
    stage.splitter = make_digits_gpt2_splitter();
    chain.stages_.push_back(std::move(stage));
  } else {
    for (const PreTokenizerStep& step : steps) {
      TT_ASSIGN(Stage stage, compile_step(step, where));
      const bool does_something = stage.splitter || !stage.prefix.empty() || !stage.space_replacement.empty();
      if (does_something) chain.stages_.push_back(std::move(stage));
    }
  }
  if (chain.stages_.size() == 1) {
    const Stage& only = chain.stages_[0];
    if (only.splitter && only.behavior == SplitBehavior::isolated && only.prefix.empty() &&
        only.space_replacement.empty()) {
      chain.only_splitter_ = only.splitter.get();
    }
  }
  return chain;
}

Result<Words> PreTokenizerChain::run_stage(const Stage& stage, const Words& in, bool starts_text) {
  Words out;
  out.text.reserve(in.text.size());
  std::vector<Piece> pieces(256);
  std::vector<Range> ranges;
  uint32_t begin = 0;
  std::string changed;
  for (size_t w = 0; w < in.ends.size(); ++w) {
    std::string_view word = std::string_view(in.text).substr(begin, in.ends[w] - begin);
    begin = in.ends[w];
    if (!stage.prefix.empty()) {
      changed =
          stage.space_replacement.empty() ? std::string(word) : replace_spaces(word, stage.space_replacement);
      const bool wanted = stage.prepend == PrependScheme::always ||
                          (stage.prepend == PrependScheme::first && starts_text && w == 0);
      if (wanted && !changed.starts_with(stage.prefix)) changed.insert(0, stage.prefix);
      word = changed;
    }
    ranges.clear();
    if (stage.splitter) {
      RangeFolder folder(stage.behavior, ranges);
      uint32_t at = 0;
      for (;;) {
        TT_ASSIGN(const size_t count, stage.splitter->split(word, at, pieces));
        if (count == 0) break;
        for (size_t i = 0; i < count; ++i) {
          folder.add({at, pieces[i].end}, pieces[i].is_match != stage.invert);
          at = pieces[i].end;
        }
      }
    } else {
      ranges.push_back({0, static_cast<uint32_t>(word.size())});
    }
    for (const Range range : ranges) {
      out.text += word.substr(range.begin, range.end - range.begin);
      out.ends.push_back(static_cast<uint32_t>(out.text.size()));
    }
    if (out.text.size() > 3 * kMaxTextBytes) {
      return make_error(ErrorKind::limit_exceeded, "pre-tokenizer", "the text grows past 3 GiB");
    }
  }
  return out;
}

Result<Words> PreTokenizerChain::apply(std::string_view text, bool starts_text) const {
  Words words;
  words.text = text;
  if (!text.empty()) words.ends.push_back(static_cast<uint32_t>(text.size()));
  for (const Stage& stage : stages_) {
    TT_ASSIGN(words, run_stage(stage, words, starts_text));
  }
  return words;
}

}  // namespace tattletale

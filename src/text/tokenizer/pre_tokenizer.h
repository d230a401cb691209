// The pre-tokenizer steps of a tokenizer, compiled: normalized text in, words out.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_spec.h"

namespace tattletale {

/// Words one behind the other; ends[i] is where word i ends in `text`.
struct Words {
  std::string text;
  std::vector<uint32_t> ends;
};

class PreTokenizerChain {
 public:
  static Result<PreTokenizerChain> compile(const std::vector<PreTokenizerStep>& steps,
                                           std::string_view where);

  /// No step changes or cuts anything: the text is one word.
  bool whole_text() const { return stages_.empty(); }
  /// The chain only cuts, with one splitter, and drops nothing: its pieces are the words. Else null.
  const Splitter* only_splitter() const { return only_splitter_; }

  /// The general way, by copies. `starts_text`: the piece is the beginning of the text.
  Result<Words> apply(std::string_view text, bool starts_text) const;

 private:
  struct Stage {
    std::shared_ptr<const Splitter> splitter;  // null: the stage cuts nothing
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false;
    std::string prefix;  // put before a word that does not begin with it
    PrependScheme prepend = PrependScheme::never;
    std::string space_replacement;  // metaspace: what a space becomes; empty: nothing
  };
  static Result<Stage> compile_step(const PreTokenizerStep& step, std::string_view where);
  static Result<Words> run_stage(const Stage& stage, const Words& in, bool starts_text);

  std::vector<Stage> stages_;
  const Splitter* only_splitter_ = nullptr;
};

}  // namespace tattletale

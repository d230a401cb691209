// Hugging Face tokenizer.json to a TokenizerSpec. Written against the file format as `tokenizers` 0.23 reads
// and writes it. Components and fields this file does not know are refused by name. Not read: truncation and
// padding (the engine has its own limits), offsets (trim_offsets), the pair template.
// Long because it is one reader a component of the format; they share the checks at the top.
#include <simdjson.h>

#include <algorithm>
#include <array>

#include "text/tokenizer/flat_hash.h"
#include "text/tokenizer/load_tokenizer.h"
#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";
constexpr size_t kMaxFileBytes = size_t{512} << 20;
constexpr int kMaxSequenceDepth = 8;
constexpr size_t kMaxSteps = 64;

/// The texts of the vocabulary, copied out of the parser, whose own memory is ten times theirs.
struct TokenTexts {
  std::vector<std::unique_ptr<char[]>> blocks;
  size_t left = 0;
  char* next = nullptr;

  std::string_view copy(std::string_view text) {
    if (text.size() > left) {
      left = std::max(text.size(), size_t{1} << 20);
      blocks.push_back(std::make_unique_for_overwrite<char[]>(left));
      next = blocks.back().get();
    }
    std::copy(text.begin(), text.end(), next);
    const std::string_view copied(next, text.size());
    next += text.size();
    left -= text.size();
    return copied;
  }
};

/// One JSON object with its place in the file, for checked reads and errors that name the key.
class Fields {
 public:
  Fields(dom::object object, std::string path) : object_(object), path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  dom::object object() const { return object_; }

  Error bad(std::string_view key, std::string_view expected) const {
    return make_error(ErrorKind::bad_file, path_ + "." + std::string(key),
                      "expected " + std::string(expected));
  }
  Error unsupported(std::string_view key, std::string what) const {
    return make_error(ErrorKind::unsupported, path_ + "." + std::string(key), std::move(what));
  }

  /// Refuses keys outside `known`.
  Result<void> only(std::initializer_list<std::string_view> known) const {
    for (const auto field : object_) {
      if (std::ranges::find(known, std::string_view(field.key)) == known.end()) {
        return make_error(
            ErrorKind::unsupported, path_,
            "field \"" + std::string(field.key.substr(0, 100)) + "\" is not known to this build");
      }
    }
    return {};
  }

  /// The value of `key`, or nothing when it is absent or null.
  std::optional<dom::element> find(std::string_view key) const {
    dom::element value;
    if (object_[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return value;
  }

  Result<std::string_view> text(std::string_view key) const {
    std::string_view value;
    const auto element = find(key);
    if (!element || element->get(value) != simdjson::SUCCESS) return bad(key, "a string");
    return value;
  }
  Result<std::string_view> text_or(std::string_view key, std::string_view fallback) const {
    if (!find(key)) return fallback;
    return text(key);
  }
  Result<bool> flag_or(std::string_view key, bool fallback) const {
    const auto element = find(key);
    if (!element) return fallback;
    bool value = false;
    if (element->get(value) != simdjson::SUCCESS) return bad(key, "true or false");
    return value;
  }
  Result<uint64_t> number(std::string_view key, uint64_t limit) const {
    const auto element = find(key);
    uint64_t value = 0;
    if (!element || element->get(value) != simdjson::SUCCESS || value >= limit) {
      return bad(key, "a whole number below " + std::to_string(limit));
    }
    return value;
  }
  Result<Fields> child(std::string_view key) const {
    const auto element = find(key);
    dom::object object;
    if (!element || element->get(object) != simdjson::SUCCESS) return bad(key, "an object");
    return Fields(object, path_ + "." + std::string(key));
  }
  Result<dom::array> list(std::string_view key) const {
    const auto element = find(key);
    dom::array array;
    if (!element || element->get(array) != simdjson::SUCCESS) return bad(key, "a list");
    return array;
  }

 private:
  dom::object object_;
  std::string path_;
};

Result<std::string> decode_base64(std::string_view text, const std::string& where) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) return make_error(ErrorKind::bad_file, where, "expected base64");
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((num_bits += 6) >= 8) {
      num_bits -= 8;
      out.push_back(static_cast<char>(bits >> num_bits & 255));
    }
  }
  return out;
}

class JsonLoader {
 public:
  explicit JsonLoader(std::string_view where) : where_(where), texts_(std::make_shared<TokenTexts>()) {}

  Result<TokenizerSpec> run(dom::object root_object) {
    const Fields root(root_object, where_);
    TT_TRY(root.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                      "model", "post_processor", "decoder"}));
    spec_.where = where_;
    spec_.owner = texts_;
    if (root.find("pre_tokenizer")) {
      TT_ASSIGN(const Fields step, root.child("pre_tokenizer"));
      TT_TRY(read_pre_tokenizer(step, 0));
    }
    if (root.find("normalizer")) {
      TT_ASSIGN(const Fields step, root.child("normalizer"));
      TT_TRY(read_normalizer(step, 0));
    }
    if (root.find("decoder")) {
      TT_ASSIGN(const Fields step, root.child("decoder"));
      TT_TRY(read_decoder(step, 0));
    }
    TT_ASSIGN(const Fields model, root.child("model"));
    TT_TRY(read_model(model));
    num_model_tokens_ = spec_.tokens.size();
    if (root.find("added_tokens")) TT_TRY(read_added_tokens(root));
    TT_TRY(read_merges(model));
    if (root.find("post_processor")) {
      TT_ASSIGN(const Fields step, root.child("post_processor"));
      TT_TRY(read_post_processor(step, 0));
    }
    if (!spec_.prefix_ids.empty()) spec_.bos_id = spec_.prefix_ids.front();
    if (!spec_.suffix_ids.empty()) spec_.eos_id = spec_.suffix_ids.back();
    return std::move(spec_);
  }

 private:
  static Error unknown_type(const Fields& fields, std::string_view type, std::string_view known) {
    return fields.unsupported("type", "\"" + std::string(type.substr(0, 100)) +
                                          "\" is not supported; supported: " + std::string(known));
  }

  /// Calls read(child, depth) for the members of a Sequence.
  template <class Read>
  Result<void> each_member(const Fields& fields, std::string_view key, int depth, Read read) {
    if (depth >= kMaxSequenceDepth) {
      return make_error(ErrorKind::limit_exceeded, fields.path(), "sequences nested deeper than 8 levels");
    }
    TT_ASSIGN(const dom::array members, fields.list(key));
    size_t i = 0;
    for (const dom::element member : members) {
      const std::string path = fields.path() + "." + std::string(key) + "[" + std::to_string(i) + "]";
      dom::object object;
      if (member.get(object) != simdjson::SUCCESS)
        return make_error(ErrorKind::bad_file, path, "expected an object");
      if (++i > kMaxSteps) return make_error(ErrorKind::limit_exceeded, path, "more than 64 steps");
      TT_TRY(read(Fields(object, path), depth + 1));
    }
    return {};
  }

  /// {"String": "..."} or {"Regex": "..."}
  static Result<void> read_pattern(const Fields& fields, std::string& pattern, bool& is_regex) {
    TT_ASSIGN(const Fields child, fields.child("pattern"));
    TT_TRY(child.only({"String", "Regex"}));
    is_regex = child.find("Regex").has_value();
    TT_ASSIGN(const std::string_view text, child.text(is_regex ? "Regex" : "String"));
    if (text.empty()) return child.bad(is_regex ? "Regex" : "String", "a pattern, not an empty string");
    pattern = text;
    return {};
  }

  Result<void> read_normalizer(const Fields& fields, int depth) {
    TT_ASSIGN(const std::string_view type, fields.text("type"));
    NormalizerStep step;
    if (type == "Sequence") {
      TT_TRY(fields.only({"type", "normalizers"}));
      return each_member(fields, "normalizers", depth,
                         [&](const Fields& f, int d) { return read_normalizer(f, d); });
    }
    constexpr auto kSimple = std::to_array<std::pair<std::string_view, NormalizerKind>>(
        {{"NFC", NormalizerKind::nfc},
         {"NFD", NormalizerKind::nfd},
         {"NFKC", NormalizerKind::nfkc},
         {"NFKD", NormalizerKind::nfkd},
         {"Lowercase", NormalizerKind::lowercase}});
    if (const auto simple = std::ranges::find(kSimple, type, [](const auto& s) { return s.first; });
        simple != kSimple.end()) {
      TT_TRY(fields.only({"type"}));
      step.kind = simple->second;
    } else if (type == "Strip") {
      TT_TRY(fields.only({"type", "strip_left", "strip_right"}));
      step.kind = NormalizerKind::strip;
      TT_ASSIGN(step.strip_left, fields.flag_or("strip_left", true));
      TT_ASSIGN(step.strip_right, fields.flag_or("strip_right", true));
    } else if (type == "Prepend") {
      TT_TRY(fields.only({"type", "prepend"}));
      step.kind = NormalizerKind::prepend;
      TT_ASSIGN(step.content, fields.text("prepend"));
    } else if (type == "Replace") {
      TT_TRY(fields.only({"type", "pattern", "content"}));
      step.kind = NormalizerKind::replace;
      TT_TRY(read_pattern(fields, step.pattern, step.pattern_is_regex));
      TT_ASSIGN(step.content, fields.text("content"));
    } else if (type == "Precompiled") {
      TT_TRY(fields.only({"type", "precompiled_charsmap"}));
      step.kind = NormalizerKind::charsmap;
      TT_ASSIGN(const std::string_view base64, fields.text_or("precompiled_charsmap", ""));
      if (base64.empty()) return {};
      TT_ASSIGN(step.content, decode_base64(base64, fields.path() + ".precompiled_charsmap"));
    } else {
      return unknown_type(fields, type,
                          "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, Precompiled");
    }
    if (spec_.normalizer.size() >= kMaxSteps) {
      return make_error(ErrorKind::limit_exceeded, fields.path(), "more than 64 normalizers");
    }
    spec_.normalizer.push_back(std::move(step));
    return {};
  }

  static Result<SplitBehavior> read_behavior(const Fields& fields, std::string_view fallback) {
    TT_ASSIGN(const std::string_view name, fields.text_or("behavior", fallback));
    if (name == "Removed") return SplitBehavior::removed;
    if (name == "Isolated") return SplitBehavior::isolated;
    if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
    if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
    if (name == "Contiguous") return SplitBehavior::contiguous;
    return fields.bad("behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
  }

  Result<void> read_pre_tokenizer(const Fields& fields, int depth) {
    TT_ASSIGN(const std::string_view type, fields.text("type"));
    if (type == "Sequence") {
      TT_TRY(fields.only({"type", "pretokenizers"}));
      return each_member(fields, "pretokenizers", depth,
                         [&](const Fields& f, int d) { return read_pre_tokenizer(f, d); });
    }
    PreTokenizerStep step;
    if (type == "Split") {
      TT_TRY(fields.only({"type", "pattern", "behavior", "invert"}));
      TT_TRY(read_pattern(fields, step.pattern, step.pattern_is_regex));
      TT_ASSIGN(step.behavior, read_behavior(fields, "Isolated"));
      TT_ASSIGN(step.invert, fields.flag_or("invert", false));
    } else if (type == "CharDelimiterSplit") {
      TT_TRY(fields.only({"type", "delimiter"}));
      TT_ASSIGN(step.pattern, fields.text("delimiter"));
      if (step.pattern.empty()) return fields.bad("delimiter", "one character");
      step.behavior = SplitBehavior::removed;
    } else if (type == "ByteLevel") {
      TT_TRY(fields.only({"type", "add_prefix_space", "trim_offsets", "use_regex"}));
      step.kind = PreTokenizerKind::byte_level;
      TT_ASSIGN(step.add_prefix_space, fields.flag_or("add_prefix_space", true));
      TT_ASSIGN(step.use_regex, fields.flag_or("use_regex", true));
    } else if (type == "Digits") {
      TT_TRY(fields.only({"type", "individual_digits"}));
      step.kind = PreTokenizerKind::digits;
      TT_ASSIGN(step.individual_digits, fields.flag_or("individual_digits", false));
    } else if (type == "Metaspace") {
      TT_TRY(read_metaspace(fields, step));
    } else if (type == "Punctuation") {
      TT_TRY(fields.only({"type", "behavior"}));
      step.kind = PreTokenizerKind::punctuation;
      TT_ASSIGN(step.behavior, read_behavior(fields, "Isolated"));
    } else if (type == "Whitespace" || type == "WhitespaceSplit") {
      TT_TRY(fields.only({"type"}));
      step.kind = type == "Whitespace" ? PreTokenizerKind::whitespace : PreTokenizerKind::whitespace_split;
    } else {
      return unknown_type(
          fields, type,
          "Sequence, Split, CharDelimiterSplit, ByteLevel, Digits, Metaspace, Punctuation, Whitespace, "
          "WhitespaceSplit");
    }
    return add_pre_tokenizer(fields, type, std::move(step));
  }

  Result<void> add_pre_tokenizer(const Fields& fields, std::string_view type, PreTokenizerStep step) {
    if (spec_.pre_tokenizer.size() >= kMaxSteps) {
      return make_error(ErrorKind::limit_exceeded, fields.path(), "more than 64 pre-tokenizers");
    }
    // Behind ByteLevel a step sees the byte alphabet, not the text; only patterns of ASCII digits mean the
    // same.
    if (spec_.byte_level && !(step.kind == PreTokenizerKind::split && step.pattern == "[0-9][0-9][0-9]")) {
      return make_error(ErrorKind::unsupported, fields.path(),
                        "pre-tokenizer " + std::string(type) + " behind ByteLevel is not supported");
    }
    spec_.byte_level = spec_.byte_level || step.kind == PreTokenizerKind::byte_level;
    spec_.pre_tokenizer.push_back(std::move(step));
    return {};
  }

  static Result<void> read_metaspace(const Fields& fields, PreTokenizerStep& step) {
    TT_TRY(fields.only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"}));
    step.kind = PreTokenizerKind::metaspace;
    TT_ASSIGN(step.replacement, fields.text_or("replacement", kEscapedSpace));
    if (step.replacement.empty()) return fields.bad("replacement", "one character");
    TT_ASSIGN(step.metaspace_split, fields.flag_or("split", true));
    TT_ASSIGN(const bool add_prefix, fields.flag_or("add_prefix_space", true));
    TT_ASSIGN(const std::string_view scheme,
              fields.text_or("prepend_scheme", add_prefix ? "always" : "never"));
    if (scheme == "always") {
      step.prepend = PrependScheme::always;
    } else if (scheme == "first") {
      step.prepend = PrependScheme::first;
    } else if (scheme == "never") {
      step.prepend = PrependScheme::never;
    } else {
      return fields.bad("prepend_scheme", "always, first or never");
    }
    return {};
  }

  Result<void> read_decoder(const Fields& fields, int depth) {
    TT_ASSIGN(const std::string_view type, fields.text("type"));
    if (type == "Sequence") {
      TT_TRY(fields.only({"type", "decoders"}));
      return each_member(fields, "decoders", depth,
                         [&](const Fields& f, int d) { return read_decoder(f, d); });
    }
    if (type == "ByteLevel" || type == "Fuse" || type == "ByteFallback") return {};
    if (type == "Metaspace") {
      PreTokenizerStep step;
      TT_TRY(read_metaspace(fields, step));
      if (step.replacement != kEscapedSpace)
        return fields.unsupported("replacement", "only U+2581 is supported");
      spec_.decode.space_escape = true;
      if (step.prepend != PrependScheme::never) spec_.decode.strip_leading_spaces = 1;
      return {};
    }
    if (type == "Replace") {
      TT_TRY(fields.only({"type", "pattern", "content"}));
      std::string pattern;
      bool is_regex = false;
      TT_TRY(read_pattern(fields, pattern, is_regex));
      TT_ASSIGN(const std::string_view content, fields.text("content"));
      if (is_regex || pattern != kEscapedSpace || content != " ") {
        return fields.unsupported("pattern", "a decoder may only replace U+2581 by a space");
      }
      spec_.decode.space_escape = true;
      return {};
    }
    if (type == "Strip") {
      TT_TRY(fields.only({"type", "content", "start", "stop"}));
      TT_ASSIGN(const std::string_view content, fields.text("content"));
      TT_ASSIGN(const uint64_t start, fields.number("start", 1000));
      TT_ASSIGN(const uint64_t stop, fields.number("stop", 1000));
      if (content != " " || stop != 0) {
        return fields.unsupported("stop", "a decoder may only strip spaces from the start");
      }
      spec_.decode.strip_leading_spaces = static_cast<int>(start);
      return {};
    }
    return unknown_type(fields, type, "Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip");
  }

  Result<void> read_post_processor(const Fields& fields, int depth) {
    TT_ASSIGN(const std::string_view type, fields.text("type"));
    if (type == "Sequence") {
      TT_TRY(fields.only({"type", "processors"}));
      return each_member(fields, "processors", depth,
                         [&](const Fields& f, int d) { return read_post_processor(f, d); });
    }
    if (type == "ByteLevel") return {};  // offsets only
    if (type == "TemplateProcessing") return read_template(fields);
    if (type == "BertProcessing" || type == "RobertaProcessing") {
      TT_TRY(fields.only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"}));
      TT_ASSIGN(const TokenId cls, read_token_pair(fields, "cls"));
      TT_ASSIGN(const TokenId sep, read_token_pair(fields, "sep"));
      spec_.prefix_ids.push_back(cls);
      spec_.suffix_ids.push_back(sep);
      return {};
    }
    return unknown_type(fields, type,
                        "Sequence, ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing");
  }

  /// ["<s>", 0]
  Result<TokenId> read_token_pair(const Fields& fields, std::string_view key) {
    TT_ASSIGN(const dom::array pair, fields.list(key));
    uint64_t id = 0;
    if (pair.at(1).get(id) != simdjson::SUCCESS || id >= spec_.tokens.size()) {
      return fields.bad(key, "[token, id of the vocabulary]");
    }
    return static_cast<TokenId>(id);
  }

  Result<void> read_template(const Fields& fields) {
    TT_TRY(fields.only({"type", "single", "pair", "special_tokens"}));
    TT_ASSIGN(const Fields specials, fields.child("special_tokens"));
    std::vector<TokenId>* side = &spec_.prefix_ids;
    return each_member(fields, "single", 0, [&](const Fields& piece, int) -> Result<void> {
      if (piece.find("Sequence")) {
        side = &spec_.suffix_ids;
        return {};
      }
      TT_ASSIGN(const Fields token, piece.child("SpecialToken"));
      TT_ASSIGN(const std::string_view name, token.text("id"));
      TT_ASSIGN(const Fields special, specials.child(name));
      TT_ASSIGN(const dom::array ids, special.list("ids"));
      for (const dom::element element : ids) {
        uint64_t id = 0;
        if (element.get(id) != simdjson::SUCCESS || id >= spec_.tokens.size() || side->size() >= kMaxSteps) {
          return special.bad("ids", "a few ids of the vocabulary");
        }
        side->push_back(static_cast<TokenId>(id));
      }
      return {};
    });
  }

  Result<void> read_model(const Fields& fields) {
    TT_ASSIGN(const std::string_view type, fields.text_or("type", fields.find("merges") ? "BPE" : "missing"));
    if (type == "BPE") return read_bpe(fields);
    if (type == "Unigram") return read_unigram(fields);
    return unknown_type(fields, type, "BPE, Unigram");
  }

  Result<void> read_bpe(const Fields& fields) {
    TT_TRY(fields.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                        "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
    spec_.model = TokenModel::bpe_ranked;
    for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      TT_ASSIGN(const std::string_view value, fields.text_or(key, ""));
      if (!value.empty()) return fields.unsupported(key, "\"" + std::string(value) + "\" is not supported");
    }
    if (const auto dropout = fields.find("dropout")) {
      double value = 1;
      if (dropout->get(value) != simdjson::SUCCESS || value != 0) {
        return fields.unsupported("dropout", "is for training; only null or 0 is supported");
      }
    }
    TT_ASSIGN(spec_.fuse_unk, fields.flag_or("fuse_unk", false));
    TT_ASSIGN(spec_.byte_fallback, fields.flag_or("byte_fallback", false));
    TT_ASSIGN(spec_.ignore_merges, fields.flag_or("ignore_merges", false));
    TT_ASSIGN(const Fields vocab, fields.child("vocab"));
    for (const auto [key, value] : vocab.object()) {
      uint64_t id = 0;
      if (value.get(id) != simdjson::SUCCESS || id >= kMaxTokens) {
        return vocab.bad(key.substr(0, 100), "an id below " + std::to_string(kMaxTokens));
      }
      if (id >= spec_.tokens.size()) spec_.tokens.resize(id + 1);
      spec_.tokens[id] = texts_->copy(key);
    }
    TT_ASSIGN(const std::string_view unk, fields.text_or("unk_token", ""));
    if (!unk.empty()) {
      const auto found = std::ranges::find(spec_.tokens, unk);
      if (found == spec_.tokens.end()) return fields.bad("unk_token", "a token of the vocabulary");
      spec_.unk_id = static_cast<TokenId>(found - spec_.tokens.begin());
    }
    return {};
  }

  /// Merges come as "left right" or ["left", "right"].
  Result<void> read_merges(const Fields& model) {
    if (spec_.model != TokenModel::bpe_ranked) return {};
    TT_ASSIGN(const dom::array merges, model.list("merges"));
    TokenIndex index;
    index.build(spec_.tokens);
    std::string joined;
    const auto place = [&] { return model.path() + ".merges[" + std::to_string(spec_.merges.size()) + "]"; };
    for (const dom::element merge : merges) {
      std::string_view left, right, text;
      dom::array pair;
      if (merge.get(text) == simdjson::SUCCESS) {
        const size_t space = text.find(' ');
        if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
          return make_error(ErrorKind::bad_file, place(), "expected two tokens with a space between them");
        }
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
                 pair.at(0).get(left) != simdjson::SUCCESS || pair.at(1).get(right) != simdjson::SUCCESS) {
        return make_error(ErrorKind::bad_file, place(), "expected a string or a list of two strings");
      }
      joined.assign(left).append(right);
      const uint32_t left_id = index.find(left), right_id = index.find(right), result = index.find(joined);
      if (left_id == TokenIndex::kNone || right_id == TokenIndex::kNone || result == TokenIndex::kNone) {
        const std::string_view missing = left_id == TokenIndex::kNone    ? left
                                         : right_id == TokenIndex::kNone ? right
                                                                         : std::string_view(joined);
        return make_error(ErrorKind::bad_file, place(),
                          "\"" + std::string(missing.substr(0, 100)) + "\" is not in model.vocab");
      }
      spec_.merges.push_back({left_id, right_id, result});
    }
    return {};
  }

  Result<void> read_unigram(const Fields& fields) {
    TT_TRY(fields.only({"type", "unk_id", "vocab", "byte_fallback"}));
    spec_.model = TokenModel::unigram;
    spec_.fuse_unk = true;
    TT_ASSIGN(spec_.byte_fallback, fields.flag_or("byte_fallback", false));
    TT_ASSIGN(const dom::array vocab, fields.list("vocab"));
    for (const dom::element entry : vocab) {
      dom::array pair;
      std::string_view token;
      double score = 0;
      if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
          pair.at(0).get(token) != simdjson::SUCCESS || pair.at(1).get(score) != simdjson::SUCCESS ||
          spec_.tokens.size() >= kMaxTokens) {
        return make_error(ErrorKind::bad_file,
                          fields.path() + ".vocab[" + std::to_string(spec_.tokens.size()) + "]",
                          "expected [token, score]");
      }
      spec_.tokens.push_back(texts_->copy(token));
      spec_.scores.push_back(score);
    }
    if (fields.find("unk_id")) {
      TT_ASSIGN(const uint64_t unk, fields.number("unk_id", spec_.tokens.size()));
      spec_.unk_id = static_cast<TokenId>(unk);
    }
    return {};
  }

  Result<void> read_added_tokens(const Fields& root) {
    return each_added(root, [&](const Fields& fields) -> Result<void> {
      TT_TRY(fields.only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
      AddedToken token;
      TT_ASSIGN(const uint64_t id, fields.number("id", kMaxTokens));
      token.id = static_cast<TokenId>(id);
      TT_ASSIGN(token.content, fields.text("content"));
      if (token.content.empty()) return {};  // the reference never finds an empty token
      TT_ASSIGN(token.special, fields.flag_or("special", false));
      TT_ASSIGN(token.single_word, fields.flag_or("single_word", false));
      TT_ASSIGN(token.lstrip, fields.flag_or("lstrip", false));
      TT_ASSIGN(token.rstrip, fields.flag_or("rstrip", false));
      TT_ASSIGN(token.normalized, fields.flag_or("normalized", !token.special));
      if (id >= spec_.tokens.size()) spec_.tokens.resize(id + 1);
      if (spec_.tokens[id].empty()) {
        spec_.tokens[id] = texts_->copy(token.content);
      } else if (spec_.tokens[id] != token.content) {
        return fields.bad("content", "\"" + std::string(spec_.tokens[id].substr(0, 100)) +
                                         "\", which is what model.vocab has under this id");
      }
      spec_.added.push_back(std::move(token));
      if (spec_.model == TokenModel::unigram) {  // tokens behind the model's own are found as written only
        spec_.scores.resize(spec_.tokens.size(), 0.0);
        spec_.not_in_text.resize(num_model_tokens_, false);
        spec_.not_in_text.resize(spec_.tokens.size(), true);
      }
      return {};
    });
  }

  template <class Read>
  static Result<void> each_added(const Fields& root, Read read) {
    TT_ASSIGN(const dom::array list, root.list("added_tokens"));
    size_t i = 0;
    for (const dom::element entry : list) {
      const std::string path = root.path() + ".added_tokens[" + std::to_string(i++) + "]";
      dom::object object;
      if (entry.get(object) != simdjson::SUCCESS)
        return make_error(ErrorKind::bad_file, path, "expected an object");
      TT_TRY(read(Fields(object, path)));
    }
    return {};
  }

  std::string where_;
  TokenizerSpec spec_;
  std::shared_ptr<TokenTexts> texts_;
  size_t num_model_tokens_ = 0;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(std::string_view json, std::string_view where) {
  const std::string place(where);
  if (json.size() > kMaxFileBytes) {
    return make_error(
        ErrorKind::limit_exceeded, place,
        "a tokenizer.json of " + std::to_string(json.size()) + " bytes; at most 512 MiB is read");
  }
  TokenizerSpec spec;
  {
    dom::parser parser;
    dom::element document;
    if (const auto error = parser.parse(json.data(), json.size()).get(document)) {
      return make_error(ErrorKind::bad_file, place,
                        std::string("not valid JSON: ") + simdjson::error_message(error));
    }
    dom::object root;
    if (document.get(root) != simdjson::SUCCESS)
      return make_error(ErrorKind::bad_file, place, "expected a JSON object");
    JsonLoader loader(where);
    TT_ASSIGN(spec, loader.run(root));
  }
  return Tokenizer::build(std::move(spec));
}

}  // namespace tattletale

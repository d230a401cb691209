// GGUF tokenizer metadata to a TokenizerSpec. "gpt2" is byte-level BPE by merges, "llama" SentencePiece BPE
// by scores, "t5" Unigram. The split patterns behind the names of tokenizer.ggml.pre are those of the models'
// own tokenizer.json files; an unknown name is refused, since a wrong pattern gives wrong ids silently.
#include <algorithm>
#include <array>
#include <deque>

#include "text/tokenizer/flat_hash.h"
#include "text/tokenizer/load_tokenizer.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

// tokenizer.ggml.token_type
enum GgufTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

constexpr std::string_view kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// DeepSeek LLM: the letters of cased scripts, written as ranges.
constexpr std::string_view kCasedLetters =
    R"(A-Za-z\xB5\xC0-\xD6\xD8-\xF6\xF8-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373})"
    R"(\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5})"
    R"(\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD})"
    R"(\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
    R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC})"
    R"(\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134})"
    R"(\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787})"
    R"(\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
    R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})";
constexpr std::string_view kCjkRuns = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kDeepSeek3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class SplitRule {
  gpt2,
  digits_gpt2,
  llama3,
  qwen2,
  tekken,
  gpt4o,
  falcon,
  deepseek_llm,
  deepseek_coder,
  deepseek3,
  fallback,
};
struct PreName {
  std::string_view name;
  SplitRule rule;
  bool ignore_merges;
};
constexpr auto kPreNames = std::to_array<PreName>({
    {"gpt-2", SplitRule::gpt2, false},
    {"phi-2", SplitRule::gpt2, false},
    {"mpt", SplitRule::gpt2, false},
    {"olmo", SplitRule::gpt2, false},
    {"jais", SplitRule::gpt2, false},
    {"smollm", SplitRule::digits_gpt2, false},
    {"starcoder", SplitRule::digits_gpt2, false},
    {"refact", SplitRule::digits_gpt2, false},
    {"command-r", SplitRule::digits_gpt2, false},
    {"codeshell", SplitRule::digits_gpt2, false},
    {"llama-bpe", SplitRule::llama3, true},
    {"llama3", SplitRule::llama3, true},
    {"llama-v3", SplitRule::llama3, true},
    {"falcon3", SplitRule::llama3, true},
    {"pixtral", SplitRule::llama3, true},
    {"lfm2", SplitRule::llama3, true},
    {"dbrx", SplitRule::llama3, false},
    {"smaug-bpe", SplitRule::llama3, false},
    {"glm4", SplitRule::llama3, false},
    {"chatglm-bpe", SplitRule::llama3, false},
    {"qwen2", SplitRule::qwen2, false},
    {"deepseek-r1-qwen", SplitRule::qwen2, false},
    {"stablelm2", SplitRule::qwen2, false},
    {"tekken", SplitRule::tekken, true},
    {"gpt-4o", SplitRule::gpt4o, false},
    {"llama4", SplitRule::gpt4o, false},
    {"falcon", SplitRule::falcon, false},
    {"deepseek-llm", SplitRule::deepseek_llm, false},
    {"deepseek-coder", SplitRule::deepseek_coder, false},
    {"deepseek-v3", SplitRule::deepseek3, false},
    {"default", SplitRule::fallback, false},
});

PreTokenizerStep regex_step(std::string pattern) {
  PreTokenizerStep step;
  step.pattern = std::move(pattern);
  step.pattern_is_regex = true;
  return step;
}

PreTokenizerStep bytes_step(bool use_regex) {
  PreTokenizerStep step;
  step.kind = PreTokenizerKind::byte_level;
  step.use_regex = use_regex;
  return step;
}

PreTokenizerStep digits_step() {
  PreTokenizerStep step;
  step.kind = PreTokenizerKind::digits;
  step.individual_digits = true;
  return step;
}

std::vector<PreTokenizerStep> split_steps(SplitRule rule) {
  const auto text = [](std::string_view view) { return std::string(view); };
  switch (rule) {
    case SplitRule::gpt2: return {bytes_step(true)};
    case SplitRule::digits_gpt2: return {digits_step(), bytes_step(true)};
    case SplitRule::llama3: return {regex_step(text(kLlama3Pattern))};
    case SplitRule::qwen2: return {regex_step(text(kQwen2Pattern))};
    case SplitRule::tekken: return {regex_step(text(kTekkenPattern))};
    case SplitRule::gpt4o: return {regex_step(text(kGpt4oPattern))};
    case SplitRule::falcon:
      return {regex_step(R"([\p{P}$+<=>^~|`]+)"), bytes_step(true), regex_step("[0-9][0-9][0-9]")};
    case SplitRule::deepseek_llm:
      return {
          regex_step(R"([\r\n])"),
          regex_step(R"(\s?[)" + text(kCasedLetters) + "]+"),
          regex_step(R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)"),
          regex_step(R"(\s+$)"),
          regex_step(text(kCjkRuns)),
          regex_step(R"(\p{N}+)")};
    case SplitRule::deepseek_coder:
      return {regex_step(R"([\r\n])"), regex_step(R"(\s?\p{L}+)"), regex_step(R"(\s?\p{P}+)"),
              regex_step(text(kCjkRuns)), digits_step()};
    case SplitRule::deepseek3:
      return {regex_step(R"(\p{N}{1,3})"),
              regex_step(R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"),
              regex_step(text(kDeepSeek3Words))};
    case SplitRule::fallback:
      return {regex_step(R"([\p{P}$+<=>^~|]+)"), bytes_step(true), regex_step(R"(\p{N}+)"),
              regex_step("[0-9][0-9][0-9]")};
  }
  return {};
}

/// Tokens that are not in the file as the model needs them, and the file behind the others.
struct RewrittenTokens {
  std::shared_ptr<const void> file;
  std::deque<std::string> texts;
};

class GgufLoader {
 public:
  explicit GgufLoader(const GgufTokenizerFields& fields) : fields_(fields) {}

  Result<TokenizerSpec> run() {
    spec_.where = fields_.where;
    spec_.owner = fields_.owner;
    spec_.tokens = fields_.tokens;
    spec_.unk_id = fields_.unk_id;
    spec_.bos_id = fields_.bos_id;
    spec_.eos_id = fields_.eos_id;
    spec_.pad_id = fields_.pad_id;
    for (const auto id : {fields_.eot_id, fields_.eom_id}) {
      if (id) spec_.more_end_ids.push_back(*id);
    }
    const size_t count = fields_.tokens.size();
    if (!fields_.token_types.empty() && fields_.token_types.size() != count) {
      return bad("tokenizer.ggml.token_type", std::to_string(fields_.token_types.size()) + " entries for " +
                                                  std::to_string(count) + " tokens");
    }
    if (fields_.model == "gpt2") {
      TT_TRY(fill_byte_level());
    } else if (fields_.model == "llama" || fields_.model == "t5") {
      TT_TRY(fill_sentencepiece(fields_.model == "t5"));
    } else {
      return make_error(
          ErrorKind::unsupported, place("tokenizer.ggml.model"),
          "tokenizer \"" + std::string(fields_.model) + "\" is not known; known: gpt2, llama, t5");
    }
    TT_TRY(fill_ends());
    return std::move(spec_);
  }

 private:
  std::string place(std::string_view key) const {
    return std::string(fields_.where) + ": " + std::string(key);
  }
  Error bad(std::string_view key, std::string what) const {
    return make_error(ErrorKind::bad_file, place(key), std::move(what));
  }
  int32_t type(size_t id) const {
    return fields_.token_types.empty() ? int32_t{kNormal} : fields_.token_types[id];
  }

  Result<void> fill_byte_level() {
    const std::string_view name = fields_.pre.empty() ? "default" : fields_.pre;
    const auto known = std::ranges::find(kPreNames, name, &PreName::name);
    if (known == kPreNames.end()) {
      std::string names;
      for (const PreName& pre : kPreNames) (names += names.empty() ? "" : ", ") += pre.name;
      return make_error(ErrorKind::unsupported, place("tokenizer.ggml.pre"),
                        "pre-tokenizer \"" + std::string(name) + "\" is not known; known: " + names);
    }
    spec_.model = TokenModel::bpe_ranked;
    spec_.byte_level = true;
    spec_.ignore_merges = known->ignore_merges;
    spec_.pre_tokenizer = split_steps(known->rule);
    if (known->rule == SplitRule::qwen2) spec_.normalizer.push_back({});  // NFC
    spec_.unk_id.reset();  // every byte has a token; the reference models name no unk
    add_written_tokens(false);
    return fill_merges();
  }

  Result<void> fill_merges() {
    TokenIndex index;
    index.build(spec_.tokens);
    spec_.merges.reserve(fields_.merges.size());
    std::string joined;
    for (size_t i = 0; i < fields_.merges.size(); ++i) {
      const std::string_view merge = fields_.merges[i];
      // A token may itself begin with a space-like letter, but never is empty: look from the second byte on.
      const size_t space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size()) {
        return bad("tokenizer.ggml.merges", "entry " + std::to_string(i) + " is \"" + std::string(merge) +
                                                "\"; expected two tokens with a space between them");
      }
      joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
      const uint32_t left = index.find(merge.substr(0, space)), right = index.find(merge.substr(space + 1));
      const uint32_t result = index.find(joined);
      if (left == TokenIndex::kNone || right == TokenIndex::kNone || result == TokenIndex::kNone) {
        return bad("tokenizer.ggml.merges", "entry " + std::to_string(i) + " (\"" + std::string(merge) +
                                                "\") names a token that is not in tokenizer.ggml.tokens");
      }
      spec_.merges.push_back({left, right, result});
    }
    return {};
  }

  Result<void> fill_sentencepiece(bool unigram) {
    const size_t count = spec_.tokens.size();
    if (fields_.scores.size() != count) {
      return bad("tokenizer.ggml.scores",
                 std::to_string(fields_.scores.size()) + " entries for " + std::to_string(count) + " tokens");
    }
    spec_.model = unigram ? TokenModel::unigram : TokenModel::bpe_scored;
    spec_.single_precision = true;
    spec_.scores.assign(fields_.scores.begin(), fields_.scores.end());
    spec_.not_in_text.assign(count, false);
    bool has_bytes = false;
    for (size_t id = 0; id < count; ++id) {
      has_bytes = has_bytes || type(id) == kByte;
      spec_.not_in_text[id] = type(id) != kNormal && type(id) != kUserDefined;
    }
    spec_.byte_fallback = has_bytes;
    spec_.fuse_unk = true;
    spec_.decode.space_escape = true;
    if (!fields_.precompiled_charsmap.empty()) {
      NormalizerStep map;
      map.kind = NormalizerKind::charsmap;
      map.content.assign(fields_.precompiled_charsmap.begin(), fields_.precompiled_charsmap.end());
      spec_.normalizer.push_back(std::move(map));
    }
    if (fields_.remove_extra_whitespaces.value_or(false)) {
      spec_.normalizer.push_back({.kind = NormalizerKind::strip, .first_only = true});
      spec_.normalizer.push_back({.kind = NormalizerKind::collapse_spaces});
    }
    if (fields_.add_space_prefix.value_or(true)) {
      spec_.normalizer.push_back({.kind = NormalizerKind::prepend, .content = std::string(kEscapedSpace)});
      spec_.decode.strip_leading_spaces = 1;
    }
    spec_.normalizer.push_back(
        {.kind = NormalizerKind::replace, .pattern = " ", .content = std::string(kEscapedSpace)});
    add_written_tokens(true);
    escape_user_defined();
    return {};
  }

  /// User-defined tokens of nothing but spaces are searched in the text as written only in their U+2581 form,
  /// as in the model's tokenizer.json. In a run of spaces they merge before all other tokens, longest first,
  /// which comes to the same longest match.
  void escape_user_defined() {
    constexpr double kBeforeAll = 1e6;
    auto owner = std::make_shared<RewrittenTokens>();
    owner->file = spec_.owner;
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      if (!is_spaces(id)) continue;
      owner->texts.push_back(replaced(std::string(spec_.tokens[id]), " ", kEscapedSpace));
      spec_.tokens[id] = owner->texts.back();
      spec_.scores[id] = kBeforeAll + static_cast<double>(spec_.tokens[id].size());
    }
    if (!owner->texts.empty()) spec_.owner = std::move(owner);
  }

  /// Control and user-defined tokens are found in the text as written. A user-defined token that holds spaces
  /// is listed by some files with spaces, by others with U+2581: it is found in both forms.
  void add_written_tokens(bool spaces_in_two_forms) {
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      const int32_t kind = type(id);
      if (kind != kControl && kind != kUserDefined && kind != kUnknown) continue;
      if (spec_.tokens[id].empty()) continue;
      AddedToken token{.id = static_cast<TokenId>(id), .content = std::string(spec_.tokens[id])};
      token.special = kind != kUserDefined;
      if (is_spaces(id)) token.content = replaced(token.content, " ", kEscapedSpace);
      spec_.added.push_back(token);
      if (!spaces_in_two_forms || token.special || is_spaces(id)) continue;
      const std::string with_spaces = replaced(token.content, kEscapedSpace, " ");
      const std::string with_escapes = replaced(token.content, " ", kEscapedSpace);
      for (const std::string& form : {with_spaces, with_escapes}) {
        if (form == spec_.added.back().content || form == token.content) continue;
        AddedToken other = token;
        other.content = form;
        spec_.added.push_back(std::move(other));
      }
    }
  }

  bool is_spaces(size_t id) const {
    return type(id) == kUserDefined && fields_.model == "llama" &&
           replaced(std::string(fields_.tokens[id]), kEscapedSpace, " ").find_first_not_of(' ') ==
               std::string::npos;
  }

  static std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
    return text;
  }

  Result<void> fill_ends() {
    const bool sentencepiece = fields_.model == "llama";
    if (fields_.add_bos.value_or(sentencepiece)) {
      if (!spec_.bos_id)
        return bad("tokenizer.ggml.bos_token_id", "is missing, but add_bos_token asks for it");
      spec_.prefix_ids.push_back(*spec_.bos_id);
    }
    if (fields_.add_eos.value_or(fields_.model == "t5")) {
      if (!spec_.eos_id)
        return bad("tokenizer.ggml.eos_token_id", "is missing, but add_eos_token asks for it");
      spec_.suffix_ids.push_back(*spec_.eos_id);
    }
    return {};
  }

  const GgufTokenizerFields& fields_;
  TokenizerSpec spec_;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const GgufTokenizerFields& fields) {
  GgufLoader loader(fields);
  TT_ASSIGN(TokenizerSpec spec, loader.run());
  return Tokenizer::build(std::move(spec));
}

}  // namespace tattletale

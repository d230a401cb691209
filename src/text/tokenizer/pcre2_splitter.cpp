// The regex Splitter, on PCRE2 with JIT. Classes whose meaning differs between PCRE2 and the regex engine of
// the reference tokenizers (\s, \w, \d) are written out, so that both split alike.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>
#include <string>

#include "text/tokenizer/splitter.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

constexpr std::string_view kSpaceMembers =
    R"(\x09-\x0D\x20\x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kWordMembers = R"(\p{L}\p{M}\p{Nd}\p{Pc})";
constexpr size_t kMaxPatternBytes = 16384;
constexpr int kMaxNesting = 64;

std::string_view class_members(char letter) {
  switch (letter) {
    case 's':
    case 'S': return kSpaceMembers;
    case 'w':
    case 'W': return kWordMembers;
    case 'd':
    case 'D': return R"(\p{Nd})";
    default: return {};
  }
}

/// The pattern with \s \w \d and their complements written out. Refuses set operations, which the reference
/// engine reads inside [...] and PCRE2 does not.
Result<std::string> translate(std::string_view pattern, std::string_view where) {
  const auto refuse = [&](std::string_view what) {
    return make_error(ErrorKind::unsupported, std::string(where),
                      "split pattern \"" + std::string(pattern) + "\" uses " + std::string(what));
  };
  std::string out;
  bool in_set = false;
  int nesting = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char letter = pattern[++i];
      const std::string_view members = class_members(letter);
      if (members.empty()) {
        (out += c) += letter;
      } else if (const bool negated = letter < 'a'; !in_set) {
        ((out += negated ? "[^" : "[") += members) += "]";
      } else if (!negated) {
        out += members;
      } else {
        (out += c) += letter;  // PCRE2's own complement; differs for a handful of characters only
      }
      continue;
    }
    if (in_set) {
      if (c == '[' && i + 1 < pattern.size() && pattern[i + 1] != ':') return refuse("a set inside a set");
      if (c == '&' && i + 1 < pattern.size() && pattern[i + 1] == '&') return refuse("set intersection (&&)");
      if (c == ']') in_set = false;
    } else if (c == '[') {
      in_set = true;
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') (out += "\\]"), ++i;
      continue;
    } else if (c == '(' && ++nesting > kMaxNesting) {
      return refuse("more than 64 groups");
    }
    out += c;
  }
  return out;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

std::string error_text(int code) {
  PCRE2_UCHAR buffer[128];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

class RegexSplitter final : public Splitter {
 public:
  RegexSplitter(pcre2_code* code, std::string where) : code_(code), where_(std::move(where)) {
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without JIT (refused by the system) matching still works
  }

  Result<size_t> split(std::string_view text, size_t begin, std::span<Piece> out) const override {
    if (begin >= text.size()) return size_t{0};
    // Kept from call to call: some tokenizers split a text into a million pieces, each by several patterns.
    thread_local const std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create(1, nullptr));
    thread_local const std::unique_ptr<pcre2_match_context, FreeContext> context(
        pcre2_match_context_create(nullptr));
    thread_local const std::unique_ptr<pcre2_jit_stack, FreeStack> stack(
        pcre2_jit_stack_create(32 << 10, 4 << 20, nullptr));
    if (!data || !context || !stack) {
      return make_error(ErrorKind::out_of_memory, where_, "no memory to match a split pattern");
    }
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    // Work in one match is bounded, generously for patterns that run over a long stretch once.
    const uint64_t limit = uint64_t{10'000'000} + 32 * static_cast<uint64_t>(text.size());
    pcre2_set_match_limit(context.get(), static_cast<uint32_t>(std::min<uint64_t>(limit, UINT32_MAX)));
    pcre2_set_heap_limit(context.get(), 256 << 10);  // KiB
    size_t count = 0;
    size_t search = begin;
    while (begin < text.size() && count + 2 <= out.size()) {
      TT_ASSIGN(const int found, match(text, search, data.get(), context.get()));
      if (found == PCRE2_ERROR_NOMATCH) {
        out[count++] = Piece{static_cast<uint32_t>(text.size()), false};
        return count;
      }
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
      if (ends[1] <= ends[0]) {  // an empty match cuts nothing; look on behind the next character
        search = ends[0] + (ends[0] < text.size() ? utf8_length(text[ends[0]]) : 1);
        if (search < text.size()) continue;
        out[count++] = Piece{static_cast<uint32_t>(text.size()), false};
        return count;
      }
      if (ends[0] > begin) out[count++] = Piece{static_cast<uint32_t>(ends[0]), false};
      out[count++] = Piece{static_cast<uint32_t>(ends[1]), true};
      begin = search = ends[1];
    }
    return count;
  }

 private:
  Result<int> match(std::string_view text, size_t at, pcre2_match_data* data,
                    pcre2_match_context* context) const {
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found = pcre2_match(code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, data, context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its state on the heap instead
      found = pcre2_match(code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                          context);
    }
    if (found >= 0 || found == PCRE2_ERROR_NOMATCH) return found;
    return make_error(ErrorKind::limit_exceeded, where_,
                      "the tokenizer's split pattern gave up at byte " + std::to_string(at) +
                          " of a text of " + std::to_string(text.size()) + " bytes: " + error_text(found) +
                          "; shorten the text");
  }

  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::string where_;
};

}  // namespace

Result<std::unique_ptr<Splitter>> make_regex_splitter(std::string_view pattern, std::string_view where) {
  if (pattern.size() > kMaxPatternBytes) {
    return make_error(ErrorKind::limit_exceeded, std::string(where),
                      "split pattern of " + std::to_string(pattern.size()) + " bytes; at most " +
                          std::to_string(kMaxPatternBytes) + " are read");
  }
  TT_ASSIGN(const std::string translated, translate(pattern, where));
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (compiled == nullptr) {
    return make_error(ErrorKind::unsupported, std::string(where),
                      "split pattern \"" + std::string(pattern) + "\" does not compile: " + error_text(code) +
                          " (at byte " + std::to_string(offset) + " of \"" + translated + "\")");
  }
  return std::unique_ptr<Splitter>(std::make_unique<RegexSplitter>(compiled, std::string(where)));
}

}  // namespace tattletale

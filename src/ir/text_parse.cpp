#include <bit>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "ir/op_attributes.h"
#include "ir/text.h"
#include "ir/text_words.h"

namespace tattletale::ir {
namespace {

constexpr size_t kMaxDepth = 256;  // open braces; deeper than any kernel that verify() lets pass

struct Token {
  std::string text;
  bool quoted = false;
};

/// One line cut into words; what follows `;` is the location.
struct Line {
  std::vector<Token> tokens;
  std::optional<Location> location;
};

template <class T>
bool read_number(std::string_view text, T& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool read_number_f32(std::string_view text, float& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

class LineReader {
 public:
  explicit LineReader(std::string_view text) : text_(text) {}

  /// False: damaged.
  bool read(Line& line) {
    while (true) {
      skip_blanks();
      if (at_ == text_.size()) return true;
      if (text_[at_] == ';') return location(line);
      Token token;
      if (!read_token(token)) return false;
      line.tokens.push_back(std::move(token));
    }
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }

  bool read_token(Token& token) {
    const char c = text_[at_];
    if (c == '"') return read_quoted(token);
    if (c == ',' || c == '{' || c == '}' || c == '=') {
      token.text = std::string(1, c);
      ++at_;
      return true;
    }
    while (at_ < text_.size() && !is_end(text_[at_])) token.text += text_[at_++];
    return !token.text.empty();
  }
  static bool is_end(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '{' || c == '}' || c == '=' || c == ';' ||
           c == '"';
  }

  bool read_quoted(Token& token) {
    token.quoted = true;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return true;
      }
      if (text_[at_] != '\\') {
        token.text += text_[at_];
        continue;
      }
      uint8_t byte = 0;
      if (at_ + 2 >= text_.size() || !read_number(text_.substr(at_ + 1, 2), byte, 16)) return false;
      token.text += static_cast<char>(byte);
      at_ += 2;
    }
    return false;
  }

  bool location(Line& line) {
    ++at_;
    skip_blanks();
    Location found;
    if (at_ < text_.size() && text_[at_] == '"') {
      Token token;
      if (!read_quoted(token)) return false;
      found.file = token.text;
    } else {
      const size_t colon = text_.rfind(':');
      if (colon == std::string_view::npos || colon < at_) return false;
      found.file = text_.substr(at_, colon - at_);
      if (!is_plain_name(found.file)) return false;
      at_ = colon;
    }
    std::string_view rest = text_.substr(at_);
    while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\r' || rest.back() == '\t'))
      rest.remove_suffix(1);
    if (!rest.starts_with(':') || !read_number(rest.substr(1), found.line)) return false;
    line.location = std::move(found);
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::optional<Scalar> scalar_of(std::string_view name) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(Scalar::fragment); ++i) {
    if (scalar_name(static_cast<Scalar>(i)) == name) return static_cast<Scalar>(i);
  }
  return std::nullopt;
}
std::optional<Storage> storage_of(std::string_view name) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(Storage::i16); ++i) {
    if (storage_name(static_cast<Storage>(i)) == name) return static_cast<Storage>(i);
  }
  return std::nullopt;
}
std::optional<FragmentUse> use_of(std::string_view name) {
  for (uint8_t i = 0; i < std::size(kUseNames); ++i) {
    if (kUseNames[i] == name) return static_cast<FragmentUse>(i);
  }
  return std::nullopt;
}

std::optional<Type> type_of(std::string_view text) {
  Type type;
  if (text.starts_with("fragment.")) {
    text.remove_prefix(9);
    const size_t dot = text.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto use = use_of(text.substr(0, dot));
    const auto element = storage_of(text.substr(dot + 1));
    if (!use || !element) return std::nullopt;
    return Type{Scalar::fragment, 1, *use, *element};
  }
  const size_t x = text.rfind('x');
  if (x != std::string_view::npos) {
    if (!read_number(text.substr(x + 1), type.lanes) || type.lanes == 1) return std::nullopt;
    text = text.substr(0, x);
  }
  const auto scalar = scalar_of(text);
  if (!scalar || *scalar == Scalar::none || *scalar == Scalar::fragment) return std::nullopt;
  type.scalar = *scalar;
  return type;
}

std::optional<uint32_t> constant_bits(Type type, std::string_view text) {
  uint32_t bits = 0;
  if (text.starts_with("0x")) {
    return read_number(text.substr(2), bits, 16) ? std::optional(bits) : std::nullopt;
  }
  if (type == kBool) {
    if (text != "true" && text != "false") return std::nullopt;
    return text == "true" ? 1 : 0;
  }
  if (type == kF32) {
    float f = 0;
    return read_number_f32(text, f) ? std::optional(std::bit_cast<uint32_t>(f)) : std::nullopt;
  }
  if (type == kI32) {
    int32_t i = 0;
    return read_number(text, i) ? std::optional(std::bit_cast<uint32_t>(i)) : std::nullopt;
  }
  return read_number(text, bits) ? std::optional(bits) : std::nullopt;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Kernel> run() {
    TT_TRY(header());
    while (true) {
      TT_ASSIGN(const bool more, next_line());
      if (!more) return wrong("the text ends inside a brace");
      TT_ASSIGN(const bool closed, closing());
      if (closed && open_.empty()) break;
      if (closed) continue;
      if (in_body_ || !is_declaration()) {
        in_body_ = true;
        TT_TRY(instruction());
      } else {
        TT_TRY(declaration());
      }
    }
    TT_ASSIGN(const bool more, next_line());
    if (more) return wrong("text after the kernel's end");
    return std::move(kernel_);
  }

 private:
  struct Open {
    Value structure;  // invalid for the body
    uint32_t which = 0;
    RegionId region = kRootRegion;
  };

  Error wrong(const std::string& what) const {
    return make_error(ErrorKind::bad_file, "kernel text, line " + std::to_string(line_number_), what);
  }

  /// The next line with words in it. False: none.
  Result<bool> next_line() {
    while (at_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      const std::string_view raw = text_.substr(at_, end - at_);
      at_ = end + 1;
      ++line_number_;
      line_ = {};
      word_ = 0;
      const size_t first = raw.find_first_not_of(" \t\r");
      if (first == std::string_view::npos || raw[first] == '#') continue;
      if (!LineReader(raw).read(line_))
        return wrong("an unfinished quote, or no `; file:line` after a semicolon");
      if (!line_.tokens.empty()) return true;
      return wrong("a location without an instruction");
    }
    return false;
  }

  bool done() const { return word_ == line_.tokens.size(); }
  bool next_is(std::string_view text) const {
    return !done() && !line_.tokens[word_].quoted && line_.tokens[word_].text == text;
  }
  bool take(std::string_view text) {
    if (!next_is(text)) return false;
    ++word_;
    return true;
  }
  std::string peek() const { return done() ? "" : line_.tokens[word_].text; }
  Result<std::string> word(const char* what) {
    if (done()) return wrong(std::string("the line ends where ") + what + " is expected");
    return line_.tokens[word_++].text;
  }
  Result<void> expect(std::string_view text) {
    if (take(text)) return {};
    return wrong("expected `" + std::string(text) + "`, found `" + peek() + "`");
  }
  Result<void> end_of_line() const {
    if (done()) return {};
    return wrong("`" + peek() + "` is too much");
  }
  Result<uint32_t> number(const char* what) {
    TT_ASSIGN(const std::string text, word(what));
    uint32_t value = 0;
    if (!read_number(text, value)) return wrong(std::string(what) + " cannot be `" + text + "`");
    return value;
  }
  Result<Type> type() {
    TT_ASSIGN(const std::string text, word("a type"));
    const auto found = type_of(text);
    if (!found) return wrong("no type is called `" + text + "`");
    return *found;
  }

  Result<void> header() {
    TT_ASSIGN(const bool more, next_line());
    if (!more) return wrong("no kernel here");
    TT_TRY(expect("kernel"));
    TT_ASSIGN(kernel_.name, word("the kernel's name"));
    TT_TRY(expect("threads"));
    TT_ASSIGN(kernel_.workgroup_threads, number("the number of threads"));
    TT_TRY(expect("subgroup"));
    TT_ASSIGN(kernel_.subgroup_size, number("the subgroup size"));
    TT_TRY(expect("{"));
    open_.push_back({});
    return end_of_line();
  }

  bool is_declaration() const {
    return next_is("binding") || next_is("param") || next_is("local") || next_is("shared");
  }

  Result<void> declaration() {
    TT_ASSIGN(const std::string what, word("a declaration"));
    TT_ASSIGN(const std::string index, word("a name"));
    TT_ASSIGN(const std::string name, word("a name"));
    const size_t wanted = what == "binding" ? kernel_.bindings.size()
                          : what == "param" ? kernel_.params.size()
                          : what == "local" ? kernel_.locals.size()
                                            : kernel_.shared.size();
    if (index != what.substr(0, 1) + std::to_string(wanted)) {
      return wrong("the next " + what + " is " + what.substr(0, 1) + std::to_string(wanted) + ", not " +
                   index);
    }
    if (what == "binding") {
      const bool written = next_is("write");
      if (!take("write") && !take("read")) return wrong("a binding is read or write");
      kernel_.bindings.push_back({name, written});
    } else if (what == "param") {
      TT_ASSIGN(const std::string text, word("a type"));
      const auto scalar = scalar_of(text);
      if (!scalar) return wrong("no type is called `" + text + "`");
      kernel_.params.push_back({name, *scalar});
    } else if (what == "local") {
      TT_ASSIGN(const Type local, type());
      kernel_.locals.push_back({name, local});
    } else {
      TT_ASSIGN(const uint32_t words, number("the number of words"));
      kernel_.shared.push_back({name, words});
    }
    return end_of_line();
  }

  /// `}`, `} else {` and `} do {`. True when the line was one of them.
  Result<bool> closing() {
    if (!take("}")) return false;
    const Open open = open_.back();
    open_.pop_back();
    const bool structured = open.structure.valid();
    const Op op = structured ? kernel_.at(open.structure).op : Op::constant;
    if (take("else")) {
      if (op != Op::if_ || open.which != 0) return wrong("no if ends here");
      TT_TRY(open_region(open.structure, 1));
    } else if (take("do")) {
      if (op != Op::while_ || open.which != 0) return wrong("no condition of a while loop ends here");
      TT_TRY(open_region(open.structure, 1));
    } else if (op == Op::while_ && open.which == 0) {
      return wrong("a while loop's condition ends in `} do {`");
    }
    TT_TRY(end_of_line());
    return true;
  }

  Result<void> open_region(Value structure, uint32_t which) {
    TT_TRY(expect("{"));
    if (open_.size() > kMaxDepth) return wrong("more than 256 regions inside each other");
    const auto id = static_cast<RegionId>(kernel_.regions.size());
    kernel_.regions.emplace_back();
    kernel_.instructions[structure.index].regions[which] = id;
    open_.push_back({structure, which, id});
    return {};
  }

  Result<void> instruction() {
    Instruction in;
    std::string label;
    if (peek().starts_with('%')) {
      TT_ASSIGN(label, word("a value"));
      TT_TRY(expect("="));
    }
    TT_ASSIGN(const std::string name, word("an operation"));
    const auto op = op_of(name);
    if (!op) return wrong("no operation is called `" + name + "`");
    in.op = *op;
    in.strict = take("strict");
    if (!label.empty()) {
      TT_ASSIGN(in.type, type());
    }
    if (has_storage(in.op)) {
      TT_ASSIGN(const std::string text, word("a storage type"));
      const auto storage = storage_of(text);
      if (!storage) return wrong("no storage type is called `" + text + "`");
      in.storage = *storage;
    }
    TT_ASSIGN(in.attr0, attribute(in, attribute0(in.op)));
    TT_ASSIGN(in.attr1, attribute(in, attribute1(in.op)));
    TT_TRY(operands(in));
    in.location = location();
    const Value value{static_cast<uint32_t>(kernel_.instructions.size())};
    kernel_.instructions.push_back(in);
    kernel_.regions[open_.back().region].push_back(value);
    if (!label.empty() && !values_.emplace(label, value).second) return wrong(label + " is defined twice");
    if (in.op == Op::if_ || in.op == Op::for_ || in.op == Op::while_) TT_TRY(open_region(value, 0));
    return end_of_line();
  }

  static std::optional<Op> op_of(const std::string& name) {
    static const std::unordered_map<std::string_view, Op> kOps = [] {
      std::unordered_map<std::string_view, Op> ops;
      for (const OpInfo& info : all_ops()) ops.emplace(info.name, info.op);
      return ops;
    }();
    const auto found = kOps.find(name);
    return found == kOps.end() ? std::nullopt : std::optional(found->second);
  }

  Result<void> operands(Instruction& in) {
    while (peek().starts_with('%')) {
      if (in.num_operands == in.operands.size()) return wrong("no operation takes more than 4 operands");
      TT_ASSIGN(const std::string label, word("an operand"));
      const auto found = values_.find(label);
      if (found == values_.end()) return wrong(label + " is not defined above");
      in.operands[in.num_operands++] = found->second;
      if (!take(",")) break;
      if (!peek().starts_with('%')) return wrong("an operand is missing after the comma");
    }
    return {};
  }

  Result<uint32_t> attribute(const Instruction& in, Attribute kind) {
    switch (kind) {
      case Attribute::none: return 0;
      case Attribute::bits: {
        TT_ASSIGN(const std::string text, word("a constant"));
        const auto bits = constant_bits(in.type, text);
        if (!bits) return wrong("`" + text + "` is no constant of its type");
        return *bits;
      }
      case Attribute::param: return reference('p', kernel_.params);
      case Attribute::local: return reference('l', kernel_.locals);
      case Attribute::binding: return reference('b', kernel_.bindings);
      case Attribute::shared: return reference('s', kernel_.shared);
      case Attribute::streamed: return take("streamed") ? 1 : 0;
      case Attribute::unroll:
        if (!peek().starts_with('@')) return 0;
        [[fallthrough]];
      case Attribute::axis:
      case Attribute::lane:
      case Attribute::groups:
      case Attribute::number: {
        TT_ASSIGN(const std::string text, word("a number with @"));
        uint32_t value = 0;
        if (!text.starts_with('@') || !read_number(std::string_view(text).substr(1), value)) {
          return wrong("expected a number with @, found `" + text + "`");
        }
        return value;
      }
    }
    return 0;
  }

  template <class Table>
  Result<uint32_t> reference(char prefix, const Table& table) {
    TT_ASSIGN(const std::string text, word("what it touches"));
    const size_t dot = text.find('.');
    uint32_t index = 0;
    const std::string_view digits = std::string_view(text).substr(0, dot);
    if (digits.empty() || digits[0] != prefix || !read_number(digits.substr(1), index)) {
      return wrong("expected " + std::string(1, prefix) + " and a number, found `" + text + "`");
    }
    if (index >= table.size()) return wrong("`" + text + "` is not declared");
    if (dot != std::string::npos && text.substr(dot + 1) != table[index].name) {
      return wrong("`" + text + "`: its name is " + name_text(table[index].name));
    }
    return index;
  }

  uint32_t location() {
    if (!line_.location) return 0;
    const auto [place, added] =
        locations_.try_emplace(line_.location->file + ":" + std::to_string(line_.location->line),
                               static_cast<uint32_t>(kernel_.locations.size()));
    if (added) kernel_.locations.push_back(*line_.location);
    return place->second;
  }

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_number_ = 0;
  Line line_;
  size_t word_ = 0;
  bool in_body_ = false;
  Kernel kernel_;
  std::vector<Open> open_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, uint32_t> locations_;
};

}  // namespace

Result<Kernel> parse(std::string_view text) {
  return Parser(text).run();
}

}  // namespace tattletale::ir

// The methods of Python's str that templates may call.
#include <algorithm>

#include "text/chat/jinja/filters.h"
#include "text/chat/jinja/text_functions.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

template <std::string (*kConvert)(std::string_view)>
Result<Value> convert(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this method", args, {}, 0));
  TT_TRY(in.reserve(self.as_string().size() * 3));
  TT_TRY(in.step(self.as_string().size() / 4));
  return in.string(kConvert(self.as_string()), self.is_safe());
}

template <bool kLeft, bool kRight>
Result<Value> strip_method(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("strip", args, {""}, 0));
  const bool has_set = bound.given(0) && !bound[0]->is_none();
  TT_ASSIGN(const std::string set,
            has_set ? in.string_argument(bound, 0, "") : Result<std::string>(std::string()));
  const std::string_view set_view = set;
  TT_TRY(in.reserve(self.as_string().size() + set.size() * 8));
  return in.string(std::string(strip(self.as_string(), has_set ? &set_view : nullptr, kLeft, kRight)),
                   self.is_safe());
}

Result<Value> pieces(Interpreter& in, std::vector<std::string_view> parts, bool reversed) {
  if (reversed) {
    std::reverse(parts.begin(), parts.end());
  }
  std::vector<Value> values;
  TT_TRY(in.reserve(parts.size() * (sizeof(Value) + sizeof(Text))));
  for (std::string_view part : parts) {
    TT_TRY(in.step(1 + part.size() / 64));
    values.push_back(in.string(std::string(part)));
  }
  return in.list(std::move(values));
}

std::vector<std::string_view> split_space(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, true, false);
  while (!text.empty()) {
    if (limit-- == 0) {
      parts.push_back(strip(text, nullptr, false, true));
      break;
    }
    size_t end = 0;
    while (end < text.size() && !is_space(character_at(text, end).code)) {
      end += character_at(text, end).num_bytes;
    }
    parts.push_back(text.substr(0, end));
    text = strip(text.substr(end), nullptr, true, false);
  }
  return parts;
}

/// From the right; the parts come back last first.
std::vector<std::string_view> split_space_right(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, false, true);
  std::vector<size_t> starts;  // of the characters, to walk back over
  for (size_t i = 0; i < text.size(); i += character_at(text, i).num_bytes) {
    starts.push_back(i);
  }
  while (!text.empty()) {
    if (limit-- == 0) {
      parts.push_back(strip(text, nullptr, true, false));
      break;
    }
    size_t start = text.size();
    while (!starts.empty() &&
           (starts.back() >= text.size() || !is_space(character_at(text, starts.back()).code))) {
      start = std::min(start, starts.back());
      starts.pop_back();
    }
    parts.push_back(text.substr(start));
    text = strip(text.substr(0, start), nullptr, false, true);
    while (!starts.empty() && starts.back() >= text.size()) {
      starts.pop_back();
    }
  }
  return parts;
}

Result<Value> split(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("split", args, {"sep", "maxsplit"}, 0));
  TT_ASSIGN(const int64_t limit, in.int_argument(bound, 1, -1));
  std::string_view text = self.as_string();
  TT_TRY(in.step(text.size() / 4));
  if (!bound.given(0) || bound[0]->is_none()) {
    return pieces(in, split_space(text, limit), false);
  }
  TT_ASSIGN(const std::string separator, in.string_argument(bound, 0, ""));
  if (separator.empty()) {
    return in.fail("the separator of split is empty");
  }
  std::vector<std::string_view> parts;
  for (int64_t left = limit; left != 0; --left) {
    const size_t at = find_text(text, separator);
    if (at == std::string_view::npos) {
      break;
    }
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return pieces(in, std::move(parts), false);
}

Result<Value> rsplit(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("rsplit", args, {"sep", "maxsplit"}, 0));
  TT_ASSIGN(const int64_t limit, in.int_argument(bound, 1, -1));
  std::string_view text = self.as_string();
  TT_TRY(in.step(text.size() / 4));
  if (!bound.given(0) || bound[0]->is_none()) {
    TT_TRY(in.reserve(text.size() * sizeof(size_t)));
    return pieces(in, split_space_right(text, limit), true);
  }
  TT_ASSIGN(const std::string separator, in.string_argument(bound, 0, ""));
  if (separator.empty()) {
    return in.fail("the separator of rsplit is empty");
  }
  TT_TRY(in.step(text.size() / 64 * separator.size()));  // the search from the right is quadratic at worst
  std::vector<std::string_view> parts;
  for (int64_t left = limit; left != 0; --left) {
    const size_t at = text.rfind(separator);
    if (at == std::string_view::npos) {
      break;
    }
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  return pieces(in, std::move(parts), true);
}

Result<Value> splitlines(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("splitlines", args, {"keepends"}, 0));
  TT_TRY(in.step(self.as_string().size() / 4));
  return pieces(in, split_lines(self.as_string(), in.bool_argument(bound, 0, false)), false);
}

template <bool kRight>
Result<Value> partition(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("partition", args, {""}, 1));
  TT_ASSIGN(const std::string separator, in.string_argument(bound, 0, ""));
  if (separator.empty()) {
    return in.fail("the separator of partition is empty");
  }
  const std::string& text = self.as_string();
  TT_TRY(in.step(kRight ? text.size() / 64 * separator.size() : text.size() / 16));
  TT_TRY(in.reserve(text.size()));
  const size_t at = kRight ? text.rfind(separator) : find_text(text, separator);
  if (at == std::string::npos) {
    return kRight ? in.tuple({in.string(""), in.string(""), self})
                  : in.tuple({self, in.string(""), in.string("")});
  }
  return in.tuple(
      {in.string(text.substr(0, at)), in.string(separator), in.string(text.substr(at + separator.size()))});
}

/// The bytes of text between character positions given as Python's optional start and end.
Result<bool> bounds(Interpreter& in, const Value& self, const Bound& bound, size_t first, size_t& from,
                    size_t& to, bool& empty) {
  const std::string& text = self.as_string();
  from = 0;
  to = text.size();
  empty = false;
  if (!bound.given(first) && !bound.given(first + 1)) {
    return true;
  }
  TT_TRY(in.step(text.size() / 16));
  TT_ASSIGN(const int64_t count, in.length(self));
  int64_t ends[2] = {0, count};
  for (size_t i = 0; i < 2; ++i) {
    if (bound.given(first + i) && !bound[first + i]->is_none()) {
      TT_ASSIGN(const int64_t at, in.to_int(*bound[first + i]));
      ends[i] = std::max<int64_t>(at < 0 ? at + count : at, 0);
    }
  }
  empty = ends[0] > count || ends[0] > ends[1];
  from = byte_position(text, static_cast<size_t>(std::min(ends[0], count)));
  to = byte_position(text, static_cast<size_t>(std::min(std::max(ends[1], ends[0]), count)));
  return true;
}

template <bool kSuffix>
Result<Value> has_affix(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("startswith", args, {"", "", ""}, 1));
  size_t from = 0, to = 0;
  bool empty = false;
  TT_TRY(bounds(in, self, bound, 1, from, to, empty));
  const std::string_view text = std::string_view(self.as_string()).substr(from, to - from);
  std::vector<Value> candidates{*bound[0]};
  if (bound[0]->is(Kind::tuple)) {
    candidates = bound[0]->list()->items;
  }
  for (const Value& candidate : candidates) {
    TT_TRY(in.step());
    if (!candidate.is_string()) {
      return in.fail_type("a string or a tuple of strings to look for", candidate);
    }
    if (!empty &&
        (kSuffix ? text.ends_with(candidate.as_string()) : text.starts_with(candidate.as_string()))) {
      return Value::boolean(true);
    }
  }
  return Value::boolean(false);
}

Result<int64_t> find_position(Interpreter& in, const Value& self, Args& args, bool right) {
  TT_ASSIGN(const Bound bound, in.bind("find", args, {"", "", ""}, 1));
  TT_ASSIGN(const std::string needle, in.string_argument(bound, 0, ""));
  size_t from = 0, to = 0;
  bool empty = false;
  TT_TRY(bounds(in, self, bound, 1, from, to, empty));
  const std::string_view text = std::string_view(self.as_string()).substr(0, to);
  TT_TRY(in.step(text.size() / 4 + (right ? text.size() / 64 * needle.size() : 0)));
  size_t at = empty ? std::string_view::npos : right ? text.rfind(needle) : find_text(text, needle, from);
  if (at == std::string_view::npos || at < from) {
    return -1;
  }
  return static_cast<int64_t>(count_characters(text.substr(0, at)));
}

template <bool kRight, bool kMustExist>
Result<Value> find_method(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const int64_t at, find_position(in, self, args, kRight));
  if (kMustExist && at < 0) {
    return in.fail("the text looked for is not there");
  }
  return Value::integer(at);
}

Result<Value> count(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("count", args, {"", "", ""}, 1));
  TT_ASSIGN(const std::string needle, in.string_argument(bound, 0, ""));
  size_t from = 0, to = 0;
  bool empty = false;
  TT_TRY(bounds(in, self, bound, 1, from, to, empty));
  TT_TRY(in.step(self.as_string().size() / 4));
  const std::string_view text = std::string_view(self.as_string()).substr(from, to - from);
  return Value::integer(empty ? 0 : static_cast<int64_t>(count_matches(text, needle)));
}

Result<Value> replace(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("replace", args, {"", "", ""}, 2));
  TT_ASSIGN(const std::string from, in.string_argument(bound, 0, ""));
  TT_ASSIGN(const std::string to, in.string_argument(bound, 1, ""));
  TT_ASSIGN(const int64_t limit, in.int_argument(bound, 2, -1));
  return replace_checked(in, self.as_string(), from, to, limit);
}

Result<Value> join(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("join", args, {""}, 1));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(*bound[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string()) {
      return in.fail_type("strings to join", items[i]);
    }
    const uint64_t more = items[i].as_string().size() + self.as_string().size();
    TT_TRY(in.step(1 + more / 64));
    if (out.capacity() < out.size() + more) {
      TT_TRY(in.reserve((out.size() + more) * 2));
    }
    out += i > 0 ? self.as_string() : "";
    out += items[i].as_string();
  }
  return in.string(std::move(out));
}

template <bool kSuffix>
Result<Value> remove_affix(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("removeprefix", args, {""}, 1));
  TT_ASSIGN(const std::string affix, in.string_argument(bound, 0, ""));
  std::string_view text = self.as_string();
  TT_TRY(in.reserve(text.size()));
  if (kSuffix ? text.ends_with(affix) : text.starts_with(affix)) {
    text = kSuffix ? text.substr(0, text.size() - affix.size()) : text.substr(affix.size());
  }
  return in.string(std::string(text));
}

template <char kAlign>
Result<Value> justify(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("this method", args, {"", ""}, 1));
  TT_ASSIGN(const int64_t width, in.to_int(*bound[0]));
  TT_ASSIGN(const std::string fill, in.string_argument(bound, 1, " "));
  if (count_characters(fill) != 1) {
    return in.fail("the fill must be one character");
  }
  const uint64_t wanted = static_cast<uint64_t>(std::max<int64_t>(width, 0));
  TT_TRY(in.reserve(wanted));
  TT_TRY(in.reserve(self.as_string().size() + wanted * fill.size()));
  return in.string(pad(self.as_string(), width, kAlign, fill));
}

Result<Value> zfill(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("zfill", args, {""}, 1));
  TT_ASSIGN(const int64_t width, in.to_int(*bound[0]));
  const std::string& text = self.as_string();
  TT_TRY(in.reserve(text.size() + static_cast<uint64_t>(std::max<int64_t>(width, 0))));
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  return in.string(text.substr(0, has_sign) +
                   pad(std::string_view(text).substr(has_sign), width - has_sign, '>', "0"));
}

template <bool (*kPredicate)(uint32_t)>
Result<Value> all_are(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this method", args, {}, 0));
  const std::string& text = self.as_string();
  TT_TRY(in.step(text.size() / 4));
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (!kPredicate(c.code)) {
      return Value::boolean(false);
    }
    i += c.num_bytes;
  }
  return Value::boolean(!text.empty());
}

bool is_alphanumeric(uint32_t code) {
  return is_alphabetic(code) || is_numeric(code);
}
bool is_ascii(uint32_t code) {
  return code < 128;
}

Result<Value> isascii(Interpreter& in, const Value& self, Args& args) {
  return self.as_string().empty() ? Value::boolean(true) : all_are<is_ascii>(in, self, args);
}
Result<Value> isprintable(Interpreter& in, const Value& self, Args& args) {
  return self.as_string().empty() ? Value::boolean(true) : all_are<is_printable>(in, self, args);
}

template <bool kUpper>
Result<Value> is_case(Interpreter& in, const Value& self, Args& args) {
  return find_test(kUpper ? "upper" : "lower")(in, self, args);
}

Result<Value> istitle(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("istitle", args, {}, 0));
  const std::string& text = self.as_string();
  TT_TRY(in.step(text.size() / 4));
  bool in_word = false;
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    i += c.num_bytes;
    const bool upper = is_uppercase(c.code) || is_titlecase(c.code);
    const bool lower = is_lowercase(c.code);
    if ((upper && in_word) || (lower && !in_word)) {
      return Value::boolean(false);
    }
    in_word = upper || lower;
    found = found || in_word;
  }
  return Value::boolean(found);
}

Result<Value> isidentifier(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("isidentifier", args, {}, 0));
  const std::string& text = self.as_string();
  TT_TRY(in.step(text.size() / 4));
  bool valid = !text.empty();
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    valid = valid && (c.code == '_' || is_alphabetic(c.code) || (i > 0 && is_decimal(c.code)));
    i += c.num_bytes;
  }
  return Value::boolean(valid);
}

Result<Value> expandtabs(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("expandtabs", args, {"tabsize"}, 0));
  TT_ASSIGN(const int64_t size, in.int_argument(bound, 0, 8));
  const std::string& text = self.as_string();
  const auto tabs = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\t'));
  const uint64_t width = static_cast<uint64_t>(std::max<int64_t>(size, 0));
  TT_TRY(in.reserve(width));
  TT_TRY(in.reserve(text.size() + tabs * width));
  std::string out;
  int64_t column = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (c.code == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
    } else {
      out.append(text, i, c.num_bytes);
      column = c.code == '\n' || c.code == '\r' ? 0 : column + 1;
    }
    i += c.num_bytes;
  }
  return in.string(std::move(out));
}

Result<Value> format(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(std::string text, in.brace_format(self.as_string(), args));
  return in.string(std::move(text));
}

}  // namespace

static constexpr BuiltinEntry kStringMethods[] = {
    {"capitalize", convert<capitalize>},
    {"casefold", convert<to_lower>},
    {"center", justify<'c'>},
    {"count", count},
    {"endswith", has_affix<true>},
    {"expandtabs", expandtabs},
    {"find", find_method<false, false>},
    {"format", format},
    {"index", find_method<false, true>},
    {"isalnum", all_are<is_alphanumeric>},
    {"isalpha", all_are<is_alphabetic>},
    {"isascii", isascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", isidentifier},
    {"islower", is_case<false>},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", isprintable},
    {"isspace", all_are<is_space>},
    {"istitle", istitle},
    {"isupper", is_case<true>},
    {"join", join},
    {"ljust", justify<'<'>},
    {"lower", convert<to_lower>},
    {"lstrip", strip_method<true, false>},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", find_method<true, false>},
    {"rindex", find_method<true, true>},
    {"rjust", justify<'>'>},
    {"rpartition", partition<true>},
    {"rsplit", rsplit},
    {"rstrip", strip_method<false, true>},
    {"split", split},
    {"splitlines", splitlines},
    {"startswith", has_affix<false>},
    {"strip", strip_method<true, true>},
    {"swapcase", convert<swap_case>},
    {"title", convert<to_title>},
    {"upper", convert<to_upper>},
    {"zfill", zfill},
};
const std::span<const BuiltinEntry> kStringMethodTable(kStringMethods);

}  // namespace tattletale::jinja

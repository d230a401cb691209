// Filters on text and numbers.
#include <cmath>

#include "text/chat/jinja/filters.h"
#include "text/chat/jinja/text_functions.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

/// A filter that maps the text of its input; the result may have up to three times the bytes.
template <std::string (*kConvert)(std::string_view)>
Result<Value> convert(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this filter", args, {}, 0));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.reserve(text.size() * 3));
  TT_TRY(in.step(text.size() / 4));
  return in.string(kConvert(text), self.is_safe());
}

/// Jinja's own title: a word starts after a space, "-", or an opening bracket.
std::string title_words(std::string_view text) {
  std::string out;
  size_t start = 0;
  bool at_start = true;
  const auto flush = [&](size_t end) {
    if (end > start) {
      const size_t first = character_at(text, start).num_bytes;
      out += to_upper(text.substr(start, first));
      out += to_lower(text.substr(start + first, end - start - first));
    }
  };
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const bool separates =
        is_space(c.code) || c.code == '-' || c.code == '(' || c.code == '{' || c.code == '[' || c.code == '<';
    if (separates != at_start && i > start) {
      flush(i);
      start = i;
    }
    at_start = separates;
    i += c.num_bytes;
  }
  flush(text.size());
  return out;
}

Result<Value> trim(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("trim", args, {"chars"}, 0));
  TT_ASSIGN(const std::string text, in.str(self));
  const bool has_set = bound.given(0) && !bound[0]->is_none();
  TT_ASSIGN(const std::string set,
            has_set ? in.string_argument(bound, 0, "") : Result<std::string>(std::string()));
  TT_TRY(in.reserve(text.size() + set.size() * 8));
  const std::string_view set_view = set;
  return in.string(std::string(strip(text, has_set ? &set_view : nullptr, true, true)), self.is_safe());
}

Result<Value> replace(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("replace", args, {"old", "new", "count"}, 2));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_ASSIGN(const std::string from, in.str(*bound[0]));
  TT_ASSIGN(const std::string to, in.str(*bound[1]));
  int64_t count = -1;
  if (bound.given(2) && !bound[2]->is_none()) {
    TT_ASSIGN(count, in.to_int(*bound[2]));
  }
  return replace_checked(in, text, from, to, count);
}

Result<Value> string_filter(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("string", args, {}, 0));
  if (self.is_string()) {
    return self;
  }
  TT_ASSIGN(std::string text, in.str(self));
  return in.string(std::move(text));
}

Result<Value> safe(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("safe", args, {}, 0));
  TT_ASSIGN(std::string text, in.str(self));
  TT_TRY(in.reserve(text.size()));
  return in.string(std::move(text), true);
}

Result<Value> escape(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("escape", args, {}, 0));
  if (self.is_safe()) {
    return self;
  }
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.reserve(text.size() * 5));
  return in.string(escape_html(text), true);
}

Result<Value> force_escape(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("forceescape", args, {}, 0));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.reserve(text.size() * 5));
  return in.string(escape_html(text), true);
}

Result<Value> indent(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("indent", args, {"width", "first", "blank"}, 0));
  if (!self.is_string()) {
    return self.is_undefined() ? in.fail_undefined(self) : in.fail_type("a string to indent", self);
  }
  std::string indention;
  if (bound.given(0) && bound[0]->is_string()) {
    indention = bound[0]->as_string();
  } else {
    TT_ASSIGN(const int64_t width, in.int_argument(bound, 0, 4));
    TT_TRY(in.reserve(static_cast<uint64_t>(std::max<int64_t>(width, 0))));
    indention.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const bool first = in.bool_argument(bound, 1, false);
  const bool blank = in.bool_argument(bound, 2, false);
  const std::string text = self.as_string() + "\n";
  TT_TRY(in.step(text.size() / 4));
  const std::vector<std::string_view> lines = split_lines(text, false);
  TT_TRY(in.reserve(text.size() + lines.size() * (indention.size() + sizeof(std::string_view))));
  std::string out = first ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    out += i == 0 ? "" : blank || !lines[i].empty() ? "\n" + indention : "\n";
    out += lines[i];
  }
  return in.string(std::move(out), self.is_safe());
}

Result<Value> wordcount(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("wordcount", args, {}, 0));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.step(text.size() / 4));
  int64_t count = 0;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const bool is_word = c.code == '_' || is_alphabetic(c.code) || is_numeric(c.code);
    count += is_word && !in_word;
    in_word = is_word;
    i += c.num_bytes;
  }
  return Value::integer(count);
}

Result<Value> truncate(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("truncate", args, {"length", "killwords", "end", "leeway"}, 0));
  TT_ASSIGN(const int64_t length, in.int_argument(bound, 0, 255));
  TT_ASSIGN(const std::string end, in.string_argument(bound, 2, "..."));
  TT_ASSIGN(const int64_t leeway,
            bound.given(3) && bound[3]->is_none() ? Result<int64_t>(5) : in.int_argument(bound, 3, 5));
  const auto end_length = static_cast<int64_t>(count_characters(end));
  if (!self.is_string()) {
    return self.is_undefined() ? Result<Value>(self) : in.fail_type("a string to truncate", self);
  }
  if (length < end_length || leeway < 0) {
    return in.fail("truncate needs a length of at least " + std::to_string(end_length) +
                   " and no negative leeway");
  }
  TT_ASSIGN(const int64_t count, in.length(self));
  if (count - length <= leeway) {
    return self;
  }
  const std::string& text = self.as_string();
  TT_TRY(in.reserve(text.size() + end.size()));
  std::string cut = text.substr(0, byte_position(text, static_cast<size_t>(length - end_length)));
  if (!in.bool_argument(bound, 1, false)) {
    cut = cut.substr(0, std::min(cut.rfind(' '), cut.size()));
  }
  return in.string(cut + end, self.is_safe());
}

Result<Value> center(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("center", args, {"width"}, 0));
  TT_ASSIGN(const int64_t width, in.int_argument(bound, 0, 80));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.reserve(text.size() + static_cast<uint64_t>(std::max<int64_t>(width, 0))));
  return in.string(pad(text, width, 'c', " "), self.is_safe());
}

Result<Value> format_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const std::string format, in.str(self));
  if (!args.positional.empty() && !args.named.empty()) {
    return in.fail("format takes positional or named values, not both");
  }
  Value values;
  if (args.named.empty()) {
    values = in.tuple(args.positional);
  } else {
    Dict* out = nullptr;
    values = in.dict(&out);
    for (auto& [name, value] : args.named) {
      TT_TRY(in.dict_set(*out, in.string(name), value));
    }
  }
  TT_ASSIGN(std::string text, in.printf_format(format, values));
  return in.string(std::move(text), self.is_safe());
}

Result<Value> tojson(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound,
            in.bind("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0));
  JsonStyle style;
  style.ensure_ascii = in.bool_argument(bound, 0, false);
  style.sort_keys = in.bool_argument(bound, 3, false);
  if (bound.given(1) && !bound[1]->is_none()) {
    style.has_indent = true;
    style.item_separator = ",";
    if (bound[1]->is_string()) {
      style.indent = bound[1]->as_string();
    } else {
      TT_ASSIGN(const int64_t width, in.to_int(*bound[1]));
      TT_TRY(in.reserve(static_cast<uint64_t>(std::max<int64_t>(width, 0))));
      style.indent.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (bound.given(2) && !bound[2]->is_none()) {
    TT_ASSIGN(const std::vector<Value> parts, in.iterate(*bound[2]));
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      return in.fail("the separators of tojson must be two strings");
    }
    style.item_separator = parts[0].as_string();
    style.key_separator = parts[1].as_string();
  }
  TT_ASSIGN(std::string text, in.to_json(self, style));
  return in.string(std::move(text));
}

Result<Value> int_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("int", args, {"default", "base"}, 0));
  const Value fallback = bound.given(0) ? *bound[0] : Value::integer(0);
  TT_ASSIGN(const int64_t base, in.int_argument(bound, 1, 10));
  std::optional<double> real;
  if (self.is_undefined()) {
    return in.fail_undefined(self);
  }
  if (self.is_integral()) {
    return Value::integer(self.as_int());
  }
  if (self.is_string()) {
    TT_TRY(in.step(self.as_string().size() / 16));
    if (base != 0 && (base < 2 || base > 36)) {
      real = parse_real(self.as_string());
    } else {
      bool overflow = false;
      const std::optional<int64_t> whole = parse_int(self.as_string(), static_cast<int>(base), overflow);
      if (whole) {
        return Value::integer(*whole);
      }
      if (overflow) {
        return in.fail("this integer does not fit in 64 bits", ErrorKind::limit_exceeded);
      }
      real = parse_real(self.as_string());
    }
  } else if (self.is(Kind::real)) {
    real = self.as_double();
    if (std::isinf(*real)) {
      return in.fail("infinity has no integer");
    }
  }
  if (!real || !std::isfinite(*real)) {
    return fallback;
  }
  if (std::fabs(*real) >= 9.2e18) {
    return in.fail("this number does not fit in 64 bits", ErrorKind::limit_exceeded);
  }
  return Value::integer(static_cast<int64_t>(*real));
}

Result<Value> float_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("float", args, {"default"}, 0));
  if (self.is_undefined()) {
    return in.fail_undefined(self);
  }
  if (self.is_number()) {
    return Value::real(self.as_double());
  }
  if (self.is_string()) {
    TT_TRY(in.step(self.as_string().size() / 16));
    if (const std::optional<double> real = parse_real(self.as_string())) {
      return Value::real(*real);
    }
  }
  return bound.given(0) ? *bound[0] : Value::real(0);
}

Result<Value> abs_filter(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("abs", args, {}, 0));
  if (self.is(Kind::real)) {
    return Value::real(std::fabs(self.as_double()));
  }
  if (!self.is_integral()) {
    return self.is_undefined() ? in.fail_undefined(self) : in.fail_type("a number", self);
  }
  return self.as_int() < 0 ? in.binary(Operator::subtract, Value::integer(0), self)
                           : Value::integer(self.as_int());
}

/// Python's round to `digits`, correct for the decimal value of the double.
double round_decimal(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 300) {
    return value;
  }
  if (digits < -308) {
    return std::copysign(0.0, value);
  }
  if (digits <= 0) {
    const double scale = std::pow(10.0, static_cast<double>(-digits));
    const double scaled = value / scale;
    double whole = std::nearbyint(scaled);
    return digits == 0 ? whole : whole * scale;
  }
  char buffer[720];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), value);
  return parse_real(buffer).value_or(value);
}

Result<Value> round_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("round", args, {"precision", "method"}, 0));
  TT_ASSIGN(const int64_t precision, in.int_argument(bound, 0, 0));
  TT_ASSIGN(const std::string method, in.string_argument(bound, 1, "common"));
  if (method != "common" && method != "ceil" && method != "floor") {
    return in.fail("the method of round must be common, ceil or floor, found \"" + method + "\"");
  }
  if (!self.is_number()) {
    return self.is_undefined() ? in.fail_undefined(self) : in.fail_type("a number to round", self);
  }
  if (method != "common") {
    if (precision < 0 || precision > 18) {
      return in.fail("round takes a precision from 0 to 18 with this method", ErrorKind::unsupported);
    }
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = self.as_double() * scale;
    return Value::real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
  }
  if (self.is_integral()) {
    if (precision >= 0) {
      return Value::integer(self.as_int());
    }
    if (precision < -18) {
      return Value::integer(0);
    }
    int64_t unit = 1;
    for (int64_t i = precision; i < 0; ++i) {
      unit *= 10;
    }
    const int64_t value = self.as_int();
    int64_t quotient = value / unit;
    const int64_t rest = std::abs(value % unit);
    const bool up = rest > unit - rest || (rest == unit - rest && quotient % 2 != 0);
    quotient += up ? (value < 0 ? -1 : 1) : 0;
    return in.binary(Operator::multiply, Value::integer(quotient), Value::integer(unit));
  }
  return Value::real(round_decimal(self.as_double(), precision));
}

}  // namespace

Result<Value> replace_checked(Interpreter& in, const std::string& text, const std::string& from,
                              const std::string& to, int64_t count) {
  TT_TRY(in.step(text.size() / 16));
  uint64_t matches = count_matches(text, from);
  matches = count < 0 ? matches : std::min(matches, static_cast<uint64_t>(count));
  TT_TRY(in.reserve(text.size() + matches * to.size()));
  return in.string(replace_text(text, from, to, count));
}

static constexpr BuiltinEntry kTextFilters[] = {
    {"abs", abs_filter},
    {"capitalize", convert<capitalize>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"float", float_filter},
    {"forceescape", force_escape},
    {"format", format_filter},
    {"indent", indent},
    {"int", int_filter},
    {"lower", convert<to_lower>},
    {"replace", replace},
    {"round", round_filter},
    {"safe", safe},
    {"string", string_filter},
    {"title", convert<title_words>},
    {"tojson", tojson},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", convert<to_upper>},
    {"wordcount", wordcount},
};
const std::span<const BuiltinEntry> kTextFilterTable(kTextFilters);

}  // namespace tattletale::jinja

// Python's two ways to format: "%s" % values, and "{}".format(values). Both share one number writer.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/text_functions.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

constexpr int64_t kMaxWidth = 1'000'000;
constexpr int64_t kMaxPrecision = 400;

struct Spec {
  std::string fill = " ";
  char align = 0;   // '<', '>', '^', '=' or none
  char sign = '-';  // '-', '+' or ' '
  bool alternate = false;
  bool comma = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

std::string printf_real(double value, int64_t precision, char type, bool alternate) {
  char pattern[16];
  std::snprintf(pattern, sizeof pattern, alternate ? "%%#.*%c" : "%%.*%c", type);
  const int digits = static_cast<int>(precision < 0 ? 6 : precision);
  const int size = std::snprintf(nullptr, 0, pattern, digits, value);
  std::string text(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), pattern, digits, value);
  text.pop_back();
  return text;
}

std::string group_thousands(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    out += digits[i];
    if ((whole - i - 1) % 3 == 0 && i + 1 < whole) {
      out += ',';
    }
  }
  return out + digits.substr(whole);
}

/// Sign, prefix, digits and padding of a number whose magnitude is written in `digits`.
std::string finish_number(bool negative, std::string prefix, std::string digits, const Spec& spec) {
  std::string head = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  head += prefix;
  if (spec.comma) {
    digits = group_thousands(digits);
  }
  if (spec.align == '=') {
    return head + pad(digits, spec.width - static_cast<int64_t>(head.size()), '>', spec.fill);
  }
  return pad(head + digits, spec.width, spec.align == 0 ? '>' : spec.align, spec.fill);
}

std::string write_integer(int64_t value, const Spec& spec) {
  const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const char type = static_cast<char>(spec.type | 0x20);
  const int base = type == 'x' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  char buffer[72];
  auto [end, fault] = std::to_chars(buffer, buffer + sizeof buffer, magnitude, base);
  std::string digits(buffer, end);
  std::string prefix = spec.alternate && base != 10 ? std::string("0") + spec.type : "";
  if (spec.type == 'X') {
    digits = to_upper(digits);
  }
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  return finish_number(value < 0, prefix, digits, spec);
}

std::string write_real(double value, const Spec& spec) {
  std::string text;
  if (spec.type == 0) {
    text = spec.precision < 0
               ? format_real(std::fabs(value))
               : printf_real(std::fabs(value), std::max<int64_t>(spec.precision, 1), 'g', false);
  } else if (spec.type == '%') {
    text = printf_real(std::fabs(value) * 100, spec.precision, 'f', spec.alternate) + "%";
  } else {
    text = printf_real(std::fabs(value), spec.precision, spec.type, spec.alternate);
  }
  return finish_number(std::signbit(value) && !std::isnan(value), "", std::move(text), spec);
}

std::string write_text(std::string text, const Spec& spec) {
  if (spec.precision >= 0) {
    text.resize(byte_position(text, static_cast<size_t>(spec.precision)));
  }
  return pad(text, spec.width, spec.align == 0 ? '<' : spec.align, spec.fill);
}

/// Reads "[[fill]align][sign][#][0][width][,][.precision][type]"; false where it is not of that form.
bool parse_spec(std::string_view text, Spec& spec) {
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const auto read_number = [&](int64_t& out) {
    out = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      out = std::min<int64_t>(out * 10 + (text[0] - '0'), kMaxWidth + 1);
      text.remove_prefix(1);
    }
  };
  if (!text.empty()) {
    const size_t first = character_at(text, 0).num_bytes;
    if (text.size() > first && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      text.remove_prefix(first + 1);
    } else if (is_align(text[0])) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
  }
  if (!text.empty() && (text[0] == '+' || text[0] == '-' || text[0] == ' ')) {
    spec.sign = text[0];
    text.remove_prefix(1);
  }
  if (text.starts_with('#')) {
    spec.alternate = true;
    text.remove_prefix(1);
  }
  if (text.starts_with('0')) {
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
    text.remove_prefix(1);
  }
  read_number(spec.width);
  if (text.starts_with(',')) {
    spec.comma = true;
    text.remove_prefix(1);
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (text.empty() || text[0] < '0' || text[0] > '9') {
      return false;
    }
    read_number(spec.precision);
  }
  if (!text.empty()) {
    spec.type = text[0];
    text.remove_prefix(1);
  }
  return text.empty();
}

}  // namespace

Result<std::string> Interpreter::printf_format(const std::string& format, const Value& arguments) {
  std::vector<Value> values;
  if (arguments.is(Kind::tuple)) {
    values = arguments.list()->items;
  } else {
    values.push_back(arguments);
  }
  const bool is_mapping = arguments.is(Kind::dict) || arguments.is(Kind::list) || arguments.is_undefined();
  size_t used = 0;
  bool named = false;
  std::string out;
  size_t i = 0;
  while (i < format.size()) {
    const size_t mark = std::min(format.find('%', i), format.size());
    TT_TRY(reserve(mark - i));
    out.append(format, i, mark - i);
    i = mark + 1;
    if (mark == format.size()) {
      break;
    }
    Spec spec;
    const Value* value = nullptr;
    if (i < format.size() && format[i] == '(') {
      const size_t close = format.find(')', i);
      if (close == std::string::npos || !arguments.is(Kind::dict)) {
        return fail("the format needs a dict for %(name) fields");
      }
      value = arguments.as<Dict>()->find(std::string_view(format).substr(i + 1, close - i - 1));
      if (value == nullptr) {
        return fail("the format's field \"" + format.substr(i + 1, close - i - 1) + "\" is not in the dict");
      }
      named = true;
      i = close + 1;
    }
    for (; i < format.size() && std::string_view("#0- +").find(format[i]) != std::string_view::npos; ++i) {
      switch (format[i]) {
        case '#': spec.alternate = true; break;
        case '0':
          spec.fill = spec.align == '<' ? " " : "0";
          spec.align = spec.align == '<' ? '<' : '=';
          break;
        case '-':
          spec.align = '<';
          spec.fill = " ";
          break;
        default: spec.sign = spec.sign == '+' ? '+' : format[i];
      }
    }
    const auto read_size = [&](int64_t& size) -> Result<bool> {
      if (i < format.size() && format[i] == '*') {
        if (used >= values.size()) {
          return fail("there are not enough values for the format");
        }
        TT_ASSIGN(size, to_int(values[used++]));
        ++i;
        if (size < 0) {
          spec.align = '<';
          spec.fill = " ";
          size = size < -kMaxWidth ? kMaxWidth + 1 : -size;
        }
        return true;
      }
      size = 0;
      for (; i < format.size() && format[i] >= '0' && format[i] <= '9'; ++i) {
        size = std::min<int64_t>(size * 10 + (format[i] - '0'), kMaxWidth + 1);
      }
      return true;
    };
    TT_TRY(read_size(spec.width));
    if (i < format.size() && format[i] == '.') {
      ++i;
      TT_TRY(read_size(spec.precision));
    }
    while (i < format.size() && (format[i] == 'l' || format[i] == 'h' || format[i] == 'L')) {
      ++i;
    }
    if (i >= format.size()) {
      return fail("the format ends inside a field");
    }
    const char type = format[i++];
    if (type == '%') {
      out += '%';
      continue;
    }
    if (spec.width > kMaxWidth ||
        (spec.precision > kMaxPrecision && type != 's' && type != 'r' && type != 'a')) {
      return fail("a width or precision of the format is too large", ErrorKind::limit_exceeded);
    }
    TT_TRY(reserve(static_cast<uint64_t>(spec.width) + 1024));
    if (value == nullptr) {
      if (used >= values.size()) {
        return fail("there are not enough values for the format");
      }
      value = &values[used++];
    }
    spec.type = type == 'i' || type == 'u' ? 'd' : type;
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      TT_ASSIGN(std::string text, type == 's' ? str(*value) : repr(*value));
      if (spec.align == '=') {
        spec.align = '>';
        spec.fill = " ";
      }
      spec.align = spec.align == 0 ? '>' : spec.align;
      TT_TRY(reserve(text.size() + out.size()));
      out += write_text(std::move(text), spec);
    } else if (spec.type == 'c') {
      if (value->is_string()) {
        TT_ASSIGN(const int64_t count, length(*value));
        if (count != 1) {
          return fail("%c needs one character");
        }
        out += write_text(value->as_string(), spec);
      } else {
        TT_ASSIGN(const int64_t code, to_int(*value));
        if (code < 0 || code > 0x10FFFF) {
          return fail("%c needs a character");
        }
        std::string text;
        append_character(text, static_cast<uint32_t>(code));
        out += write_text(std::move(text), spec);
      }
    } else if (!value->is_number()) {
      return value->is_undefined() ? fail_undefined(*value) : fail_type("a number for the format", *value);
    } else if (std::string_view("dxXo").find(spec.type) != std::string_view::npos) {
      if (value->is(Kind::real) && (spec.type != 'd' || !(std::fabs(value->as_double()) < 9.2e18))) {
        return fail_type("an integer for the format", *value);
      }
      out += write_integer(value->is(Kind::real) ? static_cast<int64_t>(value->as_double()) : value->as_int(),
                           spec);
    } else if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos) {
      out += write_real(value->as_double(), spec);
    } else {
      return fail(std::string("unknown format character \"") + type + "\"");
    }
  }
  if (!named && !is_mapping && used < values.size()) {
    return fail("the format does not use all its values");
  }
  return out;
}

Result<std::string> Interpreter::brace_format(const std::string& format, const Args& args) {
  std::string out;
  size_t automatic = 0;
  for (size_t i = 0; i < format.size();) {
    const char c = format[i];
    if (c != '{' && c != '}') {
      out += c;
      ++i;
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      i += 2;
      continue;
    }
    const size_t close = format.find('}', i);
    if (c == '}' || close == std::string::npos) {
      return fail(std::string("a single \"") + c + "\" in a format; write it twice to mean itself");
    }
    const std::string field = format.substr(i + 1, close - i - 1);
    i = close + 1;
    if (field.find('{') != std::string::npos) {
      return fail("nested fields in a format are not supported", ErrorKind::unsupported);
    }
    // Brackets may hold ':' and '!'.
    size_t name_end = 0;
    for (bool inside = false; name_end < field.size(); ++name_end) {
      inside = field[name_end] == '[' || (inside && field[name_end] != ']');
      if (!inside && (field[name_end] == ':' || field[name_end] == '!')) {
        break;
      }
    }
    const size_t first_end = std::min(field.find_first_of(".["), name_end);
    const std::string first = field.substr(0, first_end);
    Value value;
    const bool is_index = first.find_first_not_of("0123456789") == std::string::npos;
    if (is_index) {
      const size_t index = first.empty() ? automatic++ : first.size() > 9 ? SIZE_MAX : std::stoul(first);
      if (index >= args.positional.size()) {
        return fail("there are not enough values for the format");
      }
      value = args.positional[index];
    } else {
      const std::pair<std::string, Value>* found = nullptr;
      for (const auto& named : args.named) {
        found = named.first == first ? &named : found;
      }
      if (found == nullptr) {
        return fail("the format's field \"" + first + "\" is not given");
      }
      value = found->second;
    }
    for (size_t at = first_end; at < name_end;) {
      if (field[at] == '.') {
        const size_t end = std::min(field.find_first_of(".[", at + 1), name_end);
        TT_ASSIGN(value, get_attribute(value, field.substr(at + 1, end - at - 1)));
        at = end;
      } else {
        const size_t end = field.find(']', at);
        if (field[at] != '[' || end == std::string::npos || end > name_end) {
          return fail("a field of the format is broken");
        }
        const std::string key = field.substr(at + 1, end - at - 1);
        const bool numeric =
            !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
        TT_ASSIGN(value, get_item(value, numeric ? Value::integer(std::stol(key)) : string(key)));
        at = end + 1;
      }
    }
    size_t spec_start = name_end;
    if (spec_start < field.size() && field[spec_start] == '!') {
      const char conversion = spec_start + 1 < field.size() ? field[spec_start + 1] : '\0';
      if (conversion != 'r' && conversion != 's') {
        return fail("a conversion in a format must be !r or !s");
      }
      TT_ASSIGN(std::string text, conversion == 'r' ? repr(value) : str(value));
      value = string(std::move(text));
      spec_start += 2;
    }
    Spec spec;
    if (spec_start < field.size() &&
        (field[spec_start] != ':' || !parse_spec(std::string_view(field).substr(spec_start + 1), spec))) {
      return fail("the format \"" + field + "\" is not understood");
    }
    if (spec.width > kMaxWidth || (spec.precision > kMaxPrecision && !value.is_string())) {
      return fail("a width or precision of the format is too large", ErrorKind::limit_exceeded);
    }
    TT_TRY(reserve(out.size() + static_cast<uint64_t>(spec.width) * spec.fill.size() + 1024));
    const std::string_view integer_types("dxXobn");
    const std::string_view real_types("eEfFgG%");
    const bool wants_integer = spec.type != 0 && integer_types.find(spec.type) != std::string_view::npos;
    const bool wants_real = spec.type != 0 && real_types.find(spec.type) != std::string_view::npos;
    const bool has_spec = spec_start + 1 < field.size();
    if (value.is_number() && (wants_real || (value.is(Kind::real) && spec.type == 0 && has_spec))) {
      out += write_real(value.as_double(), spec);
    } else if (value.is_integral() && has_spec && (wants_integer || spec.type == 0) &&
               !(value.is(Kind::boolean) && spec.type == 0)) {
      out += write_integer(value.as_int(), spec);
    } else if (spec.type == 0 || (spec.type == 's' && value.is_string())) {
      if (has_spec && !value.is_string()) {
        return fail_type("a string or a number for this format", value);
      }
      TT_ASSIGN(std::string text, str(value));
      TT_TRY(reserve(out.size() + text.size()));
      if (spec.align == '=') {
        spec.align = '<';
      }
      out += write_text(std::move(text), spec);
    } else {
      return fail("the format \"" + field + "\" does not fit a " + std::string(type_name(value)));
    }
  }
  TT_TRY(reserve(out.size()));
  return out;
}

}  // namespace tattletale::jinja

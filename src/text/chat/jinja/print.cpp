// Values as text: str() and repr() as Python prints them, and json.dumps.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {

std::string format_real(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value < 0 ? "-inf" : "inf";
  }
  char buffer[40];
  auto [end, fault] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string text(buffer, end);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) {
    return text;  // to_chars writes at least two exponent digits, as Python does
  }
  std::string digits = text.substr(0, e);
  const bool negative = digits[0] == '-';
  std::erase_if(digits, [](char c) { return c == '-' || c == '.'; });
  if (exponent < 0) {
    digits = "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  } else {
    const size_t point = static_cast<size_t>(exponent) + 1;
    if (digits.size() < point) {
      digits.append(point - digits.size(), '0');
    }
    digits.insert(point, ".");
    if (digits.back() == '.') {
      digits += '0';
    }
  }
  return negative ? "-" + digits : digits;
}

void append_quoted(std::string& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    char buffer[16];
    if (c.code == static_cast<uint32_t>(quote) || c.code == '\\') {
      out += '\\';
      out += static_cast<char>(c.code);
    } else if (c.code == '\n') {
      out += "\\n";
    } else if (c.code == '\r') {
      out += "\\r";
    } else if (c.code == '\t') {
      out += "\\t";
    } else if (is_printable(c.code) || c.code > 0x10FFFF) {
      out += text.substr(i, c.num_bytes);
    } else {
      std::snprintf(buffer, sizeof buffer,
                    c.code < 0x100     ? "\\x%02x"
                    : c.code < 0x10000 ? "\\u%04x"
                                       : "\\U%08x",
                    c.code);
      out += buffer;
    }
    i += c.num_bytes;
  }
  out += quote;
}

Result<std::string> Interpreter::str(const Value& value) {
  if (value.is_string()) {
    TT_TRY(step(value.as_string().size() / 64));
    return value.as_string();
  }
  if (value.is_undefined()) {
    return std::string();
  }
  return repr(value);
}

Result<std::string> Interpreter::repr(const Value& value) {
  std::string out;
  TT_TRY(append_repr(out, value));
  return out;
}

Result<bool> Interpreter::append_items(std::string& out, std::span<const Value> items) {
  for (size_t i = 0; i < items.size(); ++i) {
    out += i > 0 ? ", " : "";
    TT_TRY(append_repr(out, items[i]));
  }
  return true;
}

Result<bool> Interpreter::append_repr(std::string& out, const Value& value) {
  const Level level(*this);
  TT_TRY(level.check());
  TT_TRY(step());
  TT_TRY(reserve(out.size() + (value.is_string() ? value.as_string().size() * 4 : 0)));
  steps_ -= out.size() / 64;  // reserve counted text that is already there
  switch (value.kind()) {
    case Kind::undefined: out += "Undefined"; return true;
    case Kind::none: out += "None"; return true;
    case Kind::boolean: out += value.as_bool() ? "True" : "False"; return true;
    case Kind::integer: out += std::to_string(value.as_int()); return true;
    case Kind::real: out += format_real(value.as_double()); return true;
    case Kind::string:
      out += value.is_safe() ? "Markup(" : "";
      append_quoted(out, value.as_string());
      out += value.is_safe() ? ")" : "";
      return true;
    case Kind::list:
      out += '[';
      TT_TRY(append_items(out, value.list()->items));
      out += ']';
      return true;
    case Kind::tuple:
      out += '(';
      TT_TRY(append_items(out, value.list()->items));
      out += value.list()->items.size() == 1 ? ",)" : ")";
      return true;
    case Kind::dict:
    case Kind::name_space: {
      const bool is_dict = value.is(Kind::dict);
      const Dict& dict = is_dict ? *value.as<Dict>() : value.as<Namespace>()->attributes;
      out += is_dict ? "{" : "<Namespace {";
      for (size_t i = 0; i < dict.entries.size(); ++i) {
        out += i > 0 ? ", " : "";
        TT_TRY(append_repr(out, dict.entries[i].key));
        out += ": ";
        TT_TRY(append_repr(out, dict.entries[i].value));
      }
      out += is_dict ? "}" : "}>";
      return true;
    }
    case Kind::dict_view: {
      TT_ASSIGN(const std::vector<Value> items, iterate(value));
      out += std::string(type_name(value)) + "([";
      TT_TRY(append_items(out, items));
      out += "])";
      return true;
    }
    case Kind::range: {
      const Range& range = *value.as<Range>();
      out += "range(" + std::to_string(range.start) + ", " + std::to_string(range.stop);
      out += range.step == 1 ? ")" : ", " + std::to_string(range.step) + ")";
      return true;
    }
    case Kind::macro:
      out += "<Macro ";
      append_quoted(out, program_.names[value.as<Macro>()->node->name]);
      out += '>';
      return true;
    case Kind::loop: {
      const Loop& loop = *value.as<Loop>();
      out += "<LoopContext " + std::to_string(loop.index0 + 1) + "/" + std::to_string(loop.length) + ">";
      return true;
    }
    default:
      // Python prints an address here, which no template can want.
      out += "<" + std::string(type_name(value)) + " object>";
      return true;
  }
}

namespace {

void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    char buffer[16];
    if (c.code == '"' || c.code == '\\') {
      out += '\\';
      out += static_cast<char>(c.code);
    } else if (c.code < 0x20) {
      static constexpr std::string_view kControls = "\n\r\t\b\f";
      const size_t known = kControls.find(static_cast<char>(c.code));
      if (known != std::string_view::npos) {
        out += '\\';
        out += "nrtbf"[known];
      } else {
        std::snprintf(buffer, sizeof buffer, "\\u%04x", c.code);
        out += buffer;
      }
    } else if (ensure_ascii && c.code >= 0x7F && c.code <= 0x10FFFF) {
      if (c.code == 0x7F) {
        out += '\x7F';
      } else if (c.code < 0x10000) {
        std::snprintf(buffer, sizeof buffer, "\\u%04x", c.code);
        out += buffer;
      } else {
        const uint32_t rest = c.code - 0x10000;
        std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xD800 + (rest >> 10),
                      0xDC00 + (rest & 0x3FF));
        out += buffer;
      }
    } else {
      out += text.substr(i, c.num_bytes);
    }
    i += c.num_bytes;
  }
  out += '"';
}

void append_json_break(std::string& out, const JsonStyle& style, int level) {
  if (style.has_indent) {
    out += '\n';
    for (int i = 0; i < level; ++i) {
      out += style.indent;
    }
  }
}

std::string json_real(double value) {
  return std::isnan(value)   ? "NaN"
         : std::isinf(value) ? (value < 0 ? "-Infinity" : "Infinity")
                             : format_real(value);
}

}  // namespace

Result<std::string> Interpreter::to_json(const Value& value, const JsonStyle& style) {
  std::string out;
  TT_TRY(append_json(out, value, style, 0));
  return out;
}

Result<bool> Interpreter::append_json(std::string& out, const Value& value, const JsonStyle& style,
                                      int depth) {
  const Level level(*this);
  TT_TRY(level.check());
  TT_TRY(step(1 + style.indent.size() * static_cast<size_t>(depth) / 64));
  TT_TRY(reserve(out.size() + style.indent.size() * static_cast<size_t>(depth + 1) +
                 style.item_separator.size() + style.key_separator.size() +
                 (value.is_string() ? value.as_string().size() * 6 : 0)));
  steps_ -= out.size() / 64;  // reserve counted text that is already there
  switch (value.kind()) {
    case Kind::none: out += "null"; return true;
    case Kind::boolean: out += value.as_bool() ? "true" : "false"; return true;
    case Kind::integer: out += std::to_string(value.as_int()); return true;
    case Kind::real: out += json_real(value.as_double()); return true;
    case Kind::string: append_json_string(out, value.as_string(), style.ensure_ascii); return true;
    case Kind::list:
    case Kind::tuple: {
      const auto& items = value.list()->items;
      if (items.empty()) {
        out += "[]";
        return true;
      }
      out += '[';
      for (size_t i = 0; i < items.size(); ++i) {
        out += i > 0 ? style.item_separator : "";
        append_json_break(out, style, depth + 1);
        TT_TRY(append_json(out, items[i], style, depth + 1));
      }
      append_json_break(out, style, depth);
      out += ']';
      return true;
    }
    case Kind::dict: return append_json_dict(out, *value.as<Dict>(), style, depth);
    default:
      return fail("a " + std::string(type_name(value)) + " cannot be written as JSON" +
                  (value.is_undefined() ? ": " + value.as_string() : ""));
  }
}

Result<bool> Interpreter::append_json_dict(std::string& out, const Dict& dict, const JsonStyle& style,
                                           int depth) {
  if (dict.entries.empty()) {
    out += "{}";
    return true;
  }
  std::vector<const Dict::Entry*> entries;
  for (const Dict::Entry& entry : dict.entries) {
    entries.push_back(&entry);
  }
  if (style.sort_keys) {
    std::vector<Value> keys;
    std::vector<Value> positions;
    for (size_t i = 0; i < entries.size(); ++i) {
      keys.push_back(entries[i]->key);
      positions.push_back(Value::integer(static_cast<int64_t>(i)));
    }
    TT_ASSIGN(positions, sort(std::move(positions), keys, false));
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i] = &dict.entries[static_cast<size_t>(positions[i].as_int())];
    }
  }
  out += '{';
  for (size_t i = 0; i < entries.size(); ++i) {
    const Value& key = entries[i]->key;
    out += i > 0 ? style.item_separator : "";
    append_json_break(out, style, depth + 1);
    switch (key.kind()) {
      case Kind::string: TT_TRY(append_json(out, key, style, depth + 1)); break;
      case Kind::none: out += "\"null\""; break;
      case Kind::boolean: out += key.as_bool() ? "\"true\"" : "\"false\""; break;
      case Kind::integer: out += '"' + std::to_string(key.as_int()) + '"'; break;
      case Kind::real: out += '"' + json_real(key.as_double()) + '"'; break;
      default: return fail_type("a string, a number, a boolean or none as a key of JSON", key);
    }
    out += style.key_separator;
    TT_TRY(append_json(out, entries[i]->value, style, depth + 1));
  }
  append_json_break(out, style, depth);
  out += '}';
  return true;
}

}  // namespace tattletale::jinja

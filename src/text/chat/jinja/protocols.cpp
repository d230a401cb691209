// Python's protocols: truth, length, iteration, hashing, equality, order, membership.
#include <cmath>

#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/text_functions.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {

bool Interpreter::truthy(const Value& value) const {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none: return false;
    case Kind::boolean:
    case Kind::integer: return value.as_int() != 0;
    case Kind::real: return value.as_double() != 0;
    case Kind::string: return !value.as_string().empty();
    case Kind::list:
    case Kind::tuple: return !value.list()->items.empty();
    case Kind::dict: return !value.as<Dict>()->entries.empty();
    case Kind::dict_view: return !value.as<DictView>()->dict->entries.empty();
    case Kind::range: return value.as<Range>()->length() != 0;
    default: return true;
  }
}

Result<int64_t> Interpreter::length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined: return 0;
    case Kind::string: {
      Text& text = *value.text();
      if (text.length < 0) {
        TT_TRY(step(text.bytes.size() / 16));
        text.length = static_cast<int64_t>(count_characters(text.bytes));
      }
      return text.length;
    }
    case Kind::list:
    case Kind::tuple: return static_cast<int64_t>(value.list()->items.size());
    case Kind::dict: return static_cast<int64_t>(value.as<Dict>()->entries.size());
    case Kind::dict_view: return static_cast<int64_t>(value.as<DictView>()->dict->entries.size());
    case Kind::range: return value.as<Range>()->length();
    case Kind::loop: return static_cast<int64_t>(value.as<Loop>()->length);
    default: return fail("a " + std::string(type_name(value)) + " has no length");
  }
}

bool Interpreter::is_iterable(const Value& value) const {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::dict_view:
    case Kind::range:
    case Kind::iterator:
    case Kind::loop: return true;
    default: return false;
  }
}

Result<std::vector<Value>> Interpreter::iterate(const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::undefined: return items;
    case Kind::list:
    case Kind::tuple: TT_TRY(reserve(value.list()->items.size() * sizeof(Value))); return value.list()->items;
    case Kind::string: {
      const std::string& text = value.as_string();
      TT_TRY(reserve(text.size() * (sizeof(Value) + sizeof(Text))));
      TT_TRY(step(text.size()));
      for (size_t i = 0; i < text.size();) {
        const Character c = character_at(text, i);
        items.push_back(string(text.substr(i, c.num_bytes)));
        i += c.num_bytes;
      }
      return items;
    }
    case Kind::dict:
    case Kind::dict_view: {
      const bool is_view = value.is(Kind::dict_view);
      const Dict& dict = is_view ? *value.as<DictView>()->dict : *value.as<Dict>();
      const DictView::What what = is_view ? value.as<DictView>()->what : DictView::keys;
      TT_TRY(reserve(dict.entries.size() * sizeof(Value)));
      TT_TRY(step(dict.entries.size()));
      for (const Dict::Entry& entry : dict.entries) {
        items.push_back(what == DictView::keys     ? entry.key
                        : what == DictView::values ? entry.value
                                                   : tuple({entry.key, entry.value}));
      }
      return items;
    }
    case Kind::range: {
      const Range& range = *value.as<Range>();
      const int64_t count = range.length();
      TT_TRY(reserve(static_cast<uint64_t>(count) * sizeof(Value)));
      TT_TRY(step(static_cast<uint64_t>(count)));
      for (int64_t i = 0; i < count; ++i) {
        items.push_back(Value::integer(range.start + i * range.step));
      }
      return items;
    }
    case Kind::iterator: {
      Iterator& source = *value.as<Iterator>();
      items.assign(source.items.begin() + static_cast<ptrdiff_t>(source.next), source.items.end());
      source.next = source.items.size();
      return items;
    }
    case Kind::loop: return fail("a loop cannot be iterated; iterate what it loops over");
    default: return fail("a " + std::string(type_name(value)) + " cannot be iterated");
  }
}

Result<uint64_t> Interpreter::hash(const Value& value) {
  TT_TRY(step(value.is_string() ? value.as_string().size() / 64 : 1));
  if (value.is(Kind::tuple)) {
    const Level level(*this);
    TT_TRY(level.check());
    uint64_t total = 0x345678;
    for (const Value& item : value.list()->items) {
      TT_ASSIGN(const uint64_t part, hash(item));
      total = (total ^ part) * 1000003;
    }
    return total;
  }
  if (value.is(Kind::list) || value.is(Kind::dict) || value.is(Kind::dict_view)) {
    return fail("a " + std::string(type_name(value)) + " cannot be a key: it is not hashable");
  }
  return hash_scalar(value);
}

Result<bool> Interpreter::equal(const Value& a, const Value& b) {
  if (a.is_sequence() && a.kind() == b.kind()) {
    const auto& left = a.list()->items;
    const auto& right = b.list()->items;
    if (left.size() != right.size()) {
      return false;
    }
    const Level level(*this);
    TT_TRY(level.check());
    for (size_t i = 0; i < left.size(); ++i) {
      TT_TRY(step());
      TT_ASSIGN(const bool same, equal(left[i], right[i]));
      if (!same) {
        return false;
      }
    }
    return true;
  }
  if (a.is(Kind::dict) && b.is(Kind::dict)) {
    const Dict& left = *a.as<Dict>();
    const Dict& right = *b.as<Dict>();
    if (left.entries.size() != right.entries.size()) {
      return false;
    }
    const Level level(*this);
    TT_TRY(level.check());
    for (const Dict::Entry& entry : left.entries) {
      TT_TRY(step());
      const Value* other = right.find(entry.key, entry.hash);
      if (other == nullptr) {
        return false;
      }
      TT_ASSIGN(const bool same, equal(entry.value, *other));
      if (!same) {
        return false;
      }
    }
    return true;
  }
  if (a.is(Kind::range) && b.is(Kind::range)) {
    const Range& left = *a.as<Range>();
    const Range& right = *b.as<Range>();
    const int64_t count = left.length();
    return count == right.length() &&
           (count == 0 || (left.start == right.start && (count == 1 || left.step == right.step)));
  }
  if (a.is_string() && b.is_string()) {
    TT_TRY(step(std::min(a.as_string().size(), b.as_string().size()) / 64));
  }
  return scalars_equal(a, b);
}

Result<bool> Interpreter::less(const Value& a, const Value& b, std::string_view op) {
  if (a.is_undefined() || b.is_undefined()) {
    return fail_undefined(a.is_undefined() ? a : b);
  }
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) {
      return a.as_int() < b.as_int();
    }
    if (a.is(Kind::real) == b.is(Kind::real)) {
      return a.as_double() < b.as_double();
    }
    // long double holds every int64 exactly where it is wider than double; else this is the nearest.
    return static_cast<long double>(a.is(Kind::real) ? a.as_double() : a.as_int()) <
           static_cast<long double>(b.is(Kind::real) ? b.as_double() : b.as_int());
  }
  if (a.is_string() && b.is_string()) {
    TT_TRY(step(std::min(a.as_string().size(), b.as_string().size()) / 64));
    return a.as_string() < b.as_string();  // UTF-8 order is code point order
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const Level level(*this);
    TT_TRY(level.check());
    const auto& left = a.list()->items;
    const auto& right = b.list()->items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      TT_TRY(step());
      TT_ASSIGN(const bool same, equal(left[i], right[i]));
      if (!same) {
        return less(left[i], right[i], op);
      }
    }
    return left.size() < right.size();
  }
  return fail("\"" + std::string(op) + "\" cannot compare a " + std::string(type_name(a)) + " with a " +
              std::string(type_name(b)));
}

Result<bool> Interpreter::compare(Operator op, const Value& a, const Value& b) {
  const auto is_nan = [](const Value& value) {
    return value.is(Kind::real) && std::isnan(value.as_double());
  };
  const bool unordered = a.is_number() && b.is_number() && (is_nan(a) || is_nan(b));
  const auto inverted = [](Result<bool> result) -> Result<bool> {
    if (!result) {
      return result;
    }
    return !*result;
  };
  switch (op) {
    case Operator::equal: return equal(a, b);
    case Operator::not_equal: return inverted(equal(a, b));
    case Operator::less: return less(a, b, "<");
    case Operator::greater: return less(b, a, ">");
    case Operator::less_equal: return unordered ? Result<bool>(false) : inverted(less(b, a, "<="));
    case Operator::greater_equal: return unordered ? Result<bool>(false) : inverted(less(a, b, ">="));
    case Operator::in: return contains(b, a);
    case Operator::not_in: return inverted(contains(b, a));
    default: return fail("not a comparison", ErrorKind::internal);
  }
}

Result<bool> Interpreter::contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::string:
      if (!item.is_string()) {
        return item.is_undefined() ? fail("'in <string>' requires a string on the left, found Undefined")
                                   : fail_type("a string on the left of \"in\" a string", item);
      }
      TT_TRY(step(container.as_string().size() / 16));
      return find_text(container.as_string(), item.as_string()) != std::string::npos;
    case Kind::dict: {
      TT_ASSIGN(const uint64_t key_hash, hash(item));
      return container.as<Dict>()->find(item, key_hash) != nullptr;
    }
    case Kind::range: {
      const Range& range = *container.as<Range>();
      if (!item.is_integral()) {
        return false;
      }
      const int64_t at = item.as_int();
      const bool inside =
          range.step > 0 ? at >= range.start && at < range.stop : at <= range.start && at > range.stop;
      return inside && (at - range.start) % range.step == 0;
    }
    case Kind::undefined:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict_view:
    case Kind::iterator: {
      TT_ASSIGN(const std::vector<Value> items, iterate(container));
      for (const Value& candidate : items) {
        TT_TRY(step());
        TT_ASSIGN(const bool same, equal(candidate, item));
        if (same) {
          return true;
        }
      }
      return false;
    }
    default: return fail("a " + std::string(type_name(container)) + " cannot be searched with \"in\"");
  }
}

/// Bottom-up merge sort: total even where the order is not consistent (NaN), and it stops at the first error.
Result<std::vector<Value>> Interpreter::sort(std::vector<Value> items, const std::vector<Value>& keys,
                                             bool reverse) {
  std::vector<uint32_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<uint32_t>(i);
  }
  std::vector<uint32_t> merged(order.size());
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t start = 0; start < order.size(); start += 2 * width) {
      const size_t middle = std::min(start + width, order.size());
      const size_t end = std::min(start + 2 * width, order.size());
      size_t left = start;
      size_t right = middle;
      for (size_t out = start; out < end; ++out) {
        bool take_right = left == middle;
        if (!take_right && right < end) {
          TT_TRY(step());
          const Value& a = keys[order[left]];
          const Value& b = keys[order[right]];
          TT_ASSIGN(take_right, reverse ? less(a, b) : less(b, a));
        }
        merged[out] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  std::vector<Value> sorted;
  sorted.reserve(items.size());
  for (uint32_t i : order) {
    sorted.push_back(std::move(items[i]));
  }
  return sorted;
}

}  // namespace tattletale::jinja

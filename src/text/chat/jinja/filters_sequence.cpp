// Filters on sequences and mappings. Where Jinja2 returns a generator, so do these, with the items made at
// once.
#include <algorithm>

#include "text/chat/jinja/filters.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

Result<Value> length_filter(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("length", args, {}, 0));
  TT_ASSIGN(const int64_t count, in.length(self));
  return Value::integer(count);
}

Result<Value> default_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("default", args, {"default_value", "boolean"}, 0));
  if (self.is_undefined() || (in.bool_argument(bound, 1, false) && !in.truthy(self))) {
    return bound.given(0) ? *bound[0] : in.string("");
  }
  return self;
}

Result<Value> join(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("join", args, {"d", "attribute"}, 0));
  TT_ASSIGN(const std::string separator,
            bound.given(0) ? in.str(*bound[0]) : Result<std::string>(std::string()));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (bound.given(1) && !bound[1]->is_none()) {
      TT_ASSIGN(item, in.get_path(item, *bound[1]));
    }
    TT_ASSIGN(const std::string text, in.str(item));
    TT_TRY(in.step(1 + (text.size() + separator.size()) / 64));
    if (out.capacity() < out.size() + text.size() + separator.size()) {
      TT_TRY(in.reserve((out.size() + text.size() + separator.size()) * 2));
    }
    out += i > 0 ? separator : "";
    out += text;
  }
  return in.string(std::move(out));
}

Result<Value> first(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("first", args, {}, 0));
  if (self.is_sequence() && !self.list()->items.empty()) {
    return self.list()->items[0];
  }
  if (self.is(Kind::iterator)) {
    Iterator& source = *self.as<Iterator>();
    return source.next < source.items.size() ? source.items[source.next++]
                                             : in.undefined("No first item, sequence was empty.");
  }
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  return items.empty() ? in.undefined("No first item, sequence was empty.") : items[0];
}

Result<Value> last(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("last", args, {}, 0));
  if (self.is_undefined()) {
    return in.fail("last needs a sequence, found an undefined value: " + self.as_string());
  }
  if (self.is(Kind::iterator)) {
    return in.fail("last needs a sequence, found a generator; make it a list first");
  }
  if (self.is_sequence() && !self.list()->items.empty()) {
    return self.list()->items.back();
  }
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  return items.empty() ? in.undefined("No last item, sequence was empty.") : items.back();
}

Result<Value> list_filter(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("list", args, {}, 0));
  TT_ASSIGN(std::vector<Value> items, in.iterate(self));
  return in.list(std::move(items));
}

Result<Value> items_filter(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("items", args, {}, 0));
  std::vector<Value> items;
  if (self.is(Kind::dict)) {
    const Dict& dict = *self.as<Dict>();
    TT_TRY(in.reserve(dict.entries.size() * sizeof(Value)));
    TT_TRY(in.step(dict.entries.size()));
    for (const Dict::Entry& entry : dict.entries) {
      items.push_back(in.tuple({entry.key, entry.value}));
    }
  } else if (!self.is_undefined()) {
    return in.fail_type("a mapping to take items from", self);
  }
  return in.iterator(std::move(items));
}

/// What a text sorts by when case does not matter; other values by themselves.
Result<Value> fold_case(Interpreter& in, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) {
    return value;
  }
  TT_TRY(in.reserve(value.as_string().size() * 3));
  return in.string(to_lower(value.as_string()));
}

/// The sort key of one item under "a,b.c" or an index: a list where there are several parts.
Result<Value> sort_key(Interpreter& in, const Value& item, const Value* attribute, bool case_sensitive) {
  if (attribute == nullptr || attribute->is_none()) {
    return fold_case(in, item, case_sensitive);
  }
  if (!attribute->is_string() || attribute->as_string().find(',') == std::string::npos) {
    TT_ASSIGN(const Value value, in.get_path(item, *attribute));
    return fold_case(in, value, case_sensitive);
  }
  std::vector<Value> parts;
  const std::string& paths = attribute->as_string();
  for (size_t start = 0; start <= paths.size();) {
    const size_t end = std::min(paths.find(',', start), paths.size());
    TT_ASSIGN(const Value value, in.get_path(item, in.string(paths.substr(start, end - start))));
    TT_ASSIGN(Value folded, fold_case(in, value, case_sensitive));
    parts.push_back(std::move(folded));
    start = end + 1;
  }
  return in.list(std::move(parts));
}

Result<std::vector<Value>> sort_keys(Interpreter& in, const std::vector<Value>& items, const Value* attribute,
                                     bool case_sensitive) {
  std::vector<Value> keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    TT_ASSIGN(Value key, sort_key(in, item, attribute, case_sensitive));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<Value> sort_filter(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("sort", args, {"reverse", "case_sensitive", "attribute"}, 0));
  TT_ASSIGN(std::vector<Value> items, in.iterate(self));
  TT_ASSIGN(const std::vector<Value> keys, sort_keys(in, items, bound[2], in.bool_argument(bound, 1, false)));
  TT_ASSIGN(std::vector<Value> sorted, in.sort(std::move(items), keys, in.bool_argument(bound, 0, false)));
  return in.list(std::move(sorted));
}

Result<Value> dictsort(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("dictsort", args, {"case_sensitive", "by", "reverse"}, 0));
  TT_ASSIGN(const std::string by, in.string_argument(bound, 1, "key"));
  if (by != "key" && by != "value") {
    return in.fail("dictsort sorts by \"key\" or \"value\", found \"" + by + "\"");
  }
  if (!self.is(Kind::dict)) {
    return self.is_undefined() ? in.fail_undefined(self) : in.fail_type("a mapping to sort", self);
  }
  std::vector<Value> items;
  std::vector<Value> keys;
  for (const Dict::Entry& entry : self.as<Dict>()->entries) {
    TT_TRY(in.step());
    TT_ASSIGN(Value key,
              fold_case(in, by == "key" ? entry.key : entry.value, in.bool_argument(bound, 0, false)));
    keys.push_back(std::move(key));
    items.push_back(in.tuple({entry.key, entry.value}));
  }
  TT_ASSIGN(std::vector<Value> sorted, in.sort(std::move(items), keys, in.bool_argument(bound, 2, false)));
  return in.list(std::move(sorted));
}

Result<Value> unique(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("unique", args, {"case_sensitive", "attribute"}, 0));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  Dict* seen = nullptr;
  const Value keep_alive = in.dict(&seen);
  std::vector<Value> kept;
  for (const Value& item : items) {
    Value key = item;
    if (bound.given(1) && !bound[1]->is_none()) {
      TT_ASSIGN(key, in.get_path(item, *bound[1]));
    }
    TT_ASSIGN(key, fold_case(in, key, in.bool_argument(bound, 0, false)));
    const size_t before = seen->entries.size();
    TT_TRY(in.dict_set(*seen, key, Value()));
    if (seen->entries.size() > before) {
      kept.push_back(item);
    }
  }
  return in.iterator(std::move(kept));
}

Result<Value> extreme(Interpreter& in, const Value& self, Args& args, bool want_max) {
  TT_ASSIGN(const Bound bound, in.bind(want_max ? "max" : "min", args, {"case_sensitive", "attribute"}, 0));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  if (items.empty()) {
    return in.undefined("No aggregated item, sequence was empty.");
  }
  size_t best = 0;
  Value best_key;
  for (size_t i = 0; i < items.size(); ++i) {
    Value key = items[i];
    if (bound.given(1) && !bound[1]->is_none()) {
      TT_ASSIGN(key, in.get_path(items[i], *bound[1]));
    }
    TT_ASSIGN(key, fold_case(in, key, in.bool_argument(bound, 0, false)));
    bool better = i == 0;
    if (!better) {
      TT_TRY(in.step());
      TT_ASSIGN(better, want_max ? in.less(best_key, key, ">") : in.less(key, best_key, "<"));
    }
    if (better) {
      best = i;
      best_key = key;
    }
  }
  return items[best];
}
Result<Value> min_filter(Interpreter& in, const Value& self, Args& args) {
  return extreme(in, self, args, false);
}
Result<Value> max_filter(Interpreter& in, const Value& self, Args& args) {
  return extreme(in, self, args, true);
}

Result<Value> sum(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("sum", args, {"attribute", "start"}, 0));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  Value total = bound.given(1) ? *bound[1] : Value::integer(0);
  if (total.is_string()) {
    return in.fail("sum cannot add texts; use join");
  }
  for (const Value& item : items) {
    Value value = item;
    if (bound.given(0) && !bound[0]->is_none()) {
      TT_ASSIGN(value, in.get_path(item, *bound[0]));
    }
    TT_TRY(in.step());
    TT_ASSIGN(total, in.binary(Operator::add, total, value));
  }
  return total;
}

Result<Value> reverse(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("reverse", args, {}, 0));
  if (self.is_string()) {
    return in.get_slice(self, Value(), Value(), Value::integer(-1));
  }
  if (!in.is_iterable(self)) {
    return in.fail_type("something to iterate in reverse", self);
  }
  TT_ASSIGN(std::vector<Value> items, in.iterate(self));
  std::reverse(items.begin(), items.end());
  if (self.is(Kind::iterator) || self.is_undefined()) {
    return in.list(std::move(items));
  }
  return in.iterator(std::move(items), self.is(Kind::list) ? "list_reverseiterator" : "reversed");
}

Result<Value> batch(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("batch", args, {"linecount", "fill_with"}, 1));
  TT_ASSIGN(const int64_t size, in.to_int(*bound[0]));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  std::vector<Value> out;
  std::vector<Value> row;
  for (const Value& item : items) {
    TT_TRY(in.step());
    if (static_cast<int64_t>(row.size()) == size) {
      out.push_back(in.list(std::move(row)));
      row.clear();
    }
    row.push_back(item);
  }
  if (!row.empty()) {
    if (bound.given(1) && !bound[1]->is_none() && static_cast<int64_t>(row.size()) < size) {
      if (static_cast<uint64_t>(size) > (uint64_t{1} << 40)) {
        return in.reserve(UINT64_MAX).take_error();
      }
      TT_TRY(in.reserve(static_cast<uint64_t>(size) * sizeof(Value)));
      row.resize(static_cast<size_t>(size), *bound[1]);
    }
    out.push_back(in.list(std::move(row)));
  }
  return in.iterator(std::move(out));
}

Result<Value> slice(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("slice", args, {"slices", "fill_with"}, 1));
  TT_ASSIGN(const int64_t slices, in.to_int(*bound[0]));
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  if (slices == 0) {
    return in.fail("slice needs at least one slice");
  }
  std::vector<Value> out;
  const int64_t count = static_cast<int64_t>(items.size());
  size_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    TT_TRY(in.step());
    const bool extra = i < count % slices;
    const size_t size = static_cast<size_t>(count / slices) + extra;
    std::vector<Value> row(items.begin() + static_cast<ptrdiff_t>(at),
                           items.begin() + static_cast<ptrdiff_t>(at + size));
    at += size;
    if (bound.given(1) && !bound[1]->is_none() && !extra) {
      row.push_back(*bound[1]);
    }
    out.push_back(in.list(std::move(row)));
  }
  return in.iterator(std::move(out));
}

Result<Value> groupby(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("groupby", args, {"attribute", "default", "case_sensitive"}, 1));
  const bool case_sensitive = in.bool_argument(bound, 2, false);
  TT_ASSIGN(std::vector<Value> items, in.iterate(self));
  std::vector<Value> positions;
  std::vector<Value> keys;
  std::vector<Value> groupers;
  for (size_t i = 0; i < items.size(); ++i) {
    TT_ASSIGN(Value key, in.get_path(items[i], *bound[0]));
    if (key.is_undefined() && bound.given(1) && !bound[1]->is_none()) {
      key = *bound[1];
    }
    groupers.push_back(key);
    TT_ASSIGN(key, fold_case(in, key, case_sensitive));
    keys.push_back(std::move(key));
    positions.push_back(Value::integer(static_cast<int64_t>(i)));
  }
  TT_ASSIGN(positions, in.sort(std::move(positions), keys, false));
  std::vector<Value> groups;
  for (size_t start = 0; start < positions.size();) {
    const auto first_item = static_cast<size_t>(positions[start].as_int());
    std::vector<Value> group;
    size_t end = start;
    for (bool same = true; end < positions.size(); ++end) {
      const auto item = static_cast<size_t>(positions[end].as_int());
      TT_ASSIGN(same, in.equal(keys[first_item], keys[item]));
      if (!same) {
        break;
      }
      group.push_back(items[item]);
    }
    if (end == start) {  // a key that is not equal to itself (NaN) is a group of one
      group.push_back(items[first_item]);
      ++end;
    }
    Value pair = in.tuple({groupers[first_item], in.list(std::move(group))});
    pair.list()->is_group = true;
    groups.push_back(std::move(pair));
    start = end;
  }
  return in.list(std::move(groups));
}

/// Removes and returns the first positional argument, which names a filter or test.
Result<std::string> take_name(Interpreter& in, Args& args, std::string_view what) {
  if (args.positional.empty() || !args.positional[0].is_string()) {
    return in.fail(std::string(what) + " needs the name of a " + (what == "map" ? "filter" : "test") +
                   " as text");
  }
  std::string name = args.positional[0].as_string();
  args.positional.erase(args.positional.begin());
  return name;
}

Result<Value> map_attribute(Interpreter& in, const std::vector<Value>& items, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("map", args, {"", "attribute", "default"}, 0));
  std::vector<Value> out;
  for (const Value& item : items) {
    TT_TRY(in.step());
    TT_ASSIGN(Value value, in.get_path(item, *bound[1]));
    const bool absent = value.is_undefined() && bound.given(2) && !bound[2]->is_none();
    out.push_back(absent ? *bound[2] : std::move(value));
  }
  return in.iterator(std::move(out));
}

Result<Value> map_filter(Interpreter& in, const Value& self, Args& args) {
  if (!in.truthy(self)) {
    return in.iterator({});
  }
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  const bool by_attribute =
      args.positional.empty() && std::any_of(args.named.begin(), args.named.end(),
                                             [](const auto& named) { return named.first == "attribute"; });
  if (by_attribute) {
    return map_attribute(in, items, args);
  }
  TT_ASSIGN(const std::string name, take_name(in, args, "map"));
  const Builtin filter = find_filter(name);
  if (filter == nullptr) {
    return in.fail("there is no filter named \"" + name + "\"", ErrorKind::unsupported);
  }
  std::vector<Value> out;
  for (const Value& item : items) {
    TT_TRY(in.step());
    const Interpreter::Level level(in);
    TT_TRY(level.check());
    TT_TRY(in.step(args.positional.size() + args.named.size()));
    Args copy = args;
    TT_ASSIGN(Value value, filter(in, item, copy));
    out.push_back(std::move(value));
  }
  return in.iterator(std::move(out));
}

Result<Value> choose(Interpreter& in, const Value& self, Args& args, bool keep, bool by_attribute) {
  if (!in.truthy(self)) {
    return in.iterator({});
  }
  TT_ASSIGN(const std::vector<Value> items, in.iterate(self));
  Value attribute;
  if (by_attribute) {
    if (args.positional.empty()) {
      return in.fail("selectattr and rejectattr need the name of an attribute");
    }
    attribute = args.positional[0];
    args.positional.erase(args.positional.begin());
  }
  Builtin test = nullptr;
  if (!args.positional.empty()) {
    TT_ASSIGN(const std::string name, take_name(in, args, "select"));
    test = find_test(name);
    if (test == nullptr) {
      return in.fail("there is no test named \"" + name + "\"", ErrorKind::unsupported);
    }
  }
  std::vector<Value> out;
  for (const Value& item : items) {
    TT_TRY(in.step());
    Value value = item;
    if (by_attribute) {
      TT_ASSIGN(value, in.get_path(item, attribute));
    }
    bool holds = in.truthy(value);
    if (test != nullptr) {
      TT_TRY(in.step(args.positional.size() + args.named.size()));
      Args copy = args;
      TT_ASSIGN(const Value result, test(in, value, copy));
      holds = in.truthy(result);
    }
    if (holds == keep) {
      out.push_back(item);
    }
  }
  return in.iterator(std::move(out));
}
Result<Value> select(Interpreter& in, const Value& self, Args& args) {
  return choose(in, self, args, true, false);
}
Result<Value> reject(Interpreter& in, const Value& self, Args& args) {
  return choose(in, self, args, false, false);
}
Result<Value> selectattr(Interpreter& in, const Value& self, Args& args) {
  return choose(in, self, args, true, true);
}
Result<Value> rejectattr(Interpreter& in, const Value& self, Args& args) {
  return choose(in, self, args, false, true);
}

Result<Value> attr(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("attr", args, {"name"}, 1));
  TT_ASSIGN(const std::string name, in.string_argument(bound, 0, ""));
  if (self.is(Kind::dict) && find_dict_method(name) == nullptr) {
    return in.undefined("'dict object' has no attribute '" + name + "'");
  }
  return in.get_attribute(self, name);
}

}  // namespace

static constexpr BuiltinEntry kSequenceFilters[] = {
    {"attr", attr},
    {"batch", batch},
    {"count", length_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"dictsort", dictsort},
    {"first", first},
    {"groupby", groupby},
    {"items", items_filter},
    {"join", join},
    {"last", last},
    {"length", length_filter},
    {"list", list_filter},
    {"map", map_filter},
    {"max", max_filter},
    {"min", min_filter},
    {"reject", reject},
    {"rejectattr", rejectattr},
    {"reverse", reverse},
    {"select", select},
    {"selectattr", selectattr},
    {"slice", slice},
    {"sort", sort_filter},
    {"sum", sum},
    {"unique", unique},
};
const std::span<const BuiltinEntry> kSequenceFilterTable(kSequenceFilters);

}  // namespace tattletale::jinja

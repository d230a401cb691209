// Attributes, items and slices, with the sandbox's rules: nothing that starts with an underscore, nothing
// that changes a list or dict.
#include <algorithm>

#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Names of methods that Python has and the immutable sandbox hides.
bool is_mutator(const Value& object, std::string_view name) {
  if (object.is(Kind::dict)) {
    return one_of(name, {"clear", "pop", "popitem", "setdefault", "update"});
  }
  return object.is(Kind::list) &&
         one_of(name, {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});
}

std::string object_text(const Value& object) {
  return object.is_none() ? "None" : std::string(type_name(object)) + " object";
}

Builtin find_method(const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::string: return find_string_method(name);
    case Kind::dict: return find_dict_method(name);
    case Kind::list: return find_list_method(name);
    case Kind::tuple: return find_tuple_method(name);
    default: return nullptr;
  }
}

Result<Value> loop_cycle(Interpreter& interpreter, const Value& self, Args& args) {
  if (args.positional.empty()) {
    return interpreter.fail("loop.cycle needs at least one value");
  }
  return args.positional[self.as<Loop>()->index0 % args.positional.size()];
}

Result<Value> loop_changed(Interpreter& interpreter, const Value& self, Args& args) {
  Loop& loop = *self.as<Loop>();
  bool same = loop.has_changed_values && loop.changed_values.size() == args.positional.size();
  for (size_t i = 0; same && i < args.positional.size(); ++i) {
    TT_ASSIGN(same, interpreter.equal(loop.changed_values[i], args.positional[i]));
  }
  loop.has_changed_values = true;
  loop.changed_values = args.positional;
  return Value::boolean(!same);
}

Result<Value> cycler_next(Interpreter&, const Value& self, Args&) {
  Cycler& cycler = *self.as<Cycler>();
  Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Result<Value> cycler_reset(Interpreter&, const Value& self, Args&) {
  self.as<Cycler>()->position = 0;
  return Value();
}

}  // namespace

Result<Value> Interpreter::loop_attribute(const Value& object, std::string_view name) {
  const Loop& loop = *object.as<Loop>();
  const auto count = static_cast<int64_t>(loop.length);
  const auto index0 = static_cast<int64_t>(loop.index0);
  if (name == "index") return Value::integer(index0 + 1);
  if (name == "index0") return Value::integer(index0);
  if (name == "revindex") return Value::integer(count - index0);
  if (name == "revindex0") return Value::integer(count - index0 - 1);
  if (name == "first") return Value::boolean(index0 == 0);
  if (name == "last") return Value::boolean(index0 + 1 == count);
  if (name == "length") return Value::integer(count);
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem") {
    return index0 == 0 || loop.items == nullptr ? undefined("there is no previous item")
                                                : (*loop.items)[static_cast<size_t>(index0 - 1)];
  }
  if (name == "nextitem") {
    return index0 + 1 >= count || loop.items == nullptr ? undefined("there is no next item")
                                                        : (*loop.items)[static_cast<size_t>(index0 + 1)];
  }
  if (name == "cycle") return method(loop_cycle, object, "cycle");
  if (name == "changed") return method(loop_changed, object, "changed");
  return undefined("'LoopContext object' has no attribute '" + std::string(name) + "'");
}

Result<Value> Interpreter::get_attribute(const Value& object, std::string_view name) {
  TT_TRY(step());
  if (object.is_undefined()) {
    return fail_undefined(object);
  }
  if (object.is(Kind::name_space)) {
    const Value* found = object.as<Namespace>()->attributes.find(name);
    if (found != nullptr && !name.starts_with("_")) {
      return *found;
    }
    return undefined("'Namespace object' has no attribute '" + std::string(name) + "'");
  }
  if (object.is(Kind::loop)) {
    return loop_attribute(object, name);
  }
  if (Builtin found = find_method(object, name)) {
    return method(found, object, name);
  }
  const bool is_dunder = name.size() > 4 && name.starts_with("__") && name.ends_with("__");
  if (is_mutator(object, name) || is_dunder) {
    return undefined("access to attribute '" + std::string(name) + "' of '" + std::string(type_name(object)) +
                     "' object is unsafe.");
  }
  if (object.is(Kind::dict)) {
    if (const Value* found = object.as<Dict>()->find(name)) {
      return *found;
    }
  } else if (object.is(Kind::tuple) && object.list()->is_group && (name == "grouper" || name == "list")) {
    return object.list()->items[name == "list"];
  } else if (object.is(Kind::macro) && name == "name") {
    return string(program_.names[object.as<Macro>()->node->name]);
  } else if (object.is(Kind::macro) && name == "caller") {
    return Value::boolean(object.as<Macro>()->node->catch_caller);
  } else if (object.is(Kind::cycler)) {
    if (name == "current") return object.as<Cycler>()->items[object.as<Cycler>()->position];
    if (name == "next") return method(cycler_next, object, "next");
    if (name == "reset") return method(cycler_reset, object, "reset");
  } else if (object.is(Kind::range)) {
    const Range& range = *object.as<Range>();
    if (name == "start") return Value::integer(range.start);
    if (name == "stop") return Value::integer(range.stop);
    if (name == "step") return Value::integer(range.step);
  }
  return undefined("'" + object_text(object) + "' has no attribute '" + std::string(name) + "'");
}

Result<Value> Interpreter::get_item(const Value& object, const Value& key) {
  TT_TRY(step());
  if (object.is_undefined()) {
    return fail_undefined(object);
  }
  if (object.is(Kind::dict)) {
    if (!key.is(Kind::list) && !key.is(Kind::dict) && !key.is(Kind::dict_view)) {
      TT_ASSIGN(const uint64_t key_hash, hash(key));
      if (const Value* found = object.as<Dict>()->find(key, key_hash)) {
        return *found;
      }
    }
  } else if (key.is_integral()) {
    int64_t at = key.as_int();
    if (object.is_sequence()) {
      const auto& items = object.list()->items;
      at += at < 0 ? static_cast<int64_t>(items.size()) : 0;
      if (at >= 0 && at < static_cast<int64_t>(items.size())) {
        return items[static_cast<size_t>(at)];
      }
    } else if (object.is_string()) {
      TT_ASSIGN(const int64_t count, length(object));
      at += at < 0 ? count : 0;
      if (at >= 0 && at < count) {
        const std::string& text = object.as_string();
        const bool ascii = static_cast<size_t>(count) == text.size();
        TT_TRY(step(ascii ? 1 : text.size() / 16));
        const size_t start = ascii ? static_cast<size_t>(at) : byte_position(text, static_cast<size_t>(at));
        return string(text.substr(start, character_at(text, start).num_bytes));
      }
    } else if (object.is(Kind::range)) {
      const Range& range = *object.as<Range>();
      const int64_t count = range.length();
      at += at < 0 ? count : 0;
      if (at >= 0 && at < count) {
        return Value::integer(range.start + at * range.step);
      }
    }
  }
  if (key.is_string()) {
    return get_attribute(object, key.as_string());
  }
  TT_ASSIGN(const std::string key_text, repr(key));
  return undefined(object_text(object) + " has no element " + key_text);
}

Result<Value> Interpreter::get_slice(const Value& object, const Value& start, const Value& stop,
                                     const Value& step_value) {
  if (object.is_undefined()) {
    return fail_undefined(object);
  }
  if (!object.is_string() && !object.is_sequence() && !object.is(Kind::range)) {
    return fail("a " + std::string(type_name(object)) + " cannot be sliced");
  }
  TT_ASSIGN(const int64_t count, length(object));
  for (const Value* bound : {&start, &stop, &step_value}) {
    if (!bound->is_none() && !bound->is_integral()) {
      return fail_type("an integer or none as a bound of a slice", *bound);
    }
  }
  const int64_t stride = step_value.is_none() ? 1 : step_value.as_int();
  if (stride == 0) {
    return fail("the step of a slice cannot be zero");
  }
  const int64_t lowest = stride > 0 ? 0 : -1;
  const int64_t highest = stride > 0 ? count : count - 1;
  const auto clamp = [&](const Value& bound, int64_t fallback) {
    if (bound.is_none()) {
      return fallback;
    }
    const int64_t at = bound.as_int();
    return std::clamp(at < 0 ? at + count : at, lowest, highest);
  };
  const int64_t from = clamp(start, stride > 0 ? lowest : highest);
  const int64_t to = clamp(stop, stride > 0 ? highest : lowest);
  Range picked;
  picked.start = from;
  picked.stop = to;
  picked.step = stride;
  const int64_t num_picked = picked.length();
  if (object.is_string()) {
    const std::string& text = object.as_string();
    TT_TRY(reserve(text.size()));
    if (stride == 1) {
      const size_t begin = byte_position(text, static_cast<size_t>(from));
      const size_t length_chars = static_cast<size_t>(num_picked);
      const std::string_view rest = std::string_view(text).substr(begin);
      return string(std::string(rest.substr(0, byte_position(rest, length_chars))), object.is_safe());
    }
    TT_TRY(reserve(text.size() * sizeof(uint32_t)));
    TT_TRY(step(text.size() / 8));
    std::vector<uint32_t> codes;
    for (size_t i = 0; i < text.size();) {
      const Character c = character_at(text, i);
      codes.push_back(c.code);
      i += c.num_bytes;
    }
    std::string out;
    for (int64_t i = 0; i < num_picked; ++i) {
      append_character(out, codes[static_cast<size_t>(from + i * stride)]);
    }
    return string(std::move(out), object.is_safe());
  }
  if (object.is(Kind::range)) {
    const Range& source = *object.as<Range>();
    Range* result = make<Range>();
    result->start = source.start + from * source.step;
    result->stop = source.start + to * source.step;
    if (__builtin_mul_overflow(source.step, stride, &result->step)) {
      return fail("the step of the slice does not fit in 64 bits", ErrorKind::limit_exceeded);
    }
    return Value::object(Kind::range, result);
  }
  TT_TRY(reserve(static_cast<uint64_t>(num_picked) * sizeof(Value)));
  TT_TRY(step(static_cast<uint64_t>(num_picked)));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(num_picked));
  for (int64_t i = 0; i < num_picked; ++i) {
    items.push_back(object.list()->items[static_cast<size_t>(from + i * stride)]);
  }
  return object.is(Kind::list) ? list(std::move(items)) : tuple(std::move(items));
}

Result<Value> Interpreter::get_path(const Value& object, const Value& path) {
  if (!path.is_string()) {
    return path.is_none() ? Result<Value>(object) : get_item(object, path);
  }
  Value value = object;
  const std::string text = path.as_string();
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('.', start), text.size());
    const std::string part = text.substr(start, end - start);
    const bool is_index =
        !part.empty() && part.size() < 19 && part.find_first_not_of("0123456789") == std::string::npos;
    TT_ASSIGN(value, get_item(value, is_index ? Value::integer(std::stoll(part)) : string(part)));
    start = end + 1;
  }
  return value;
}

}  // namespace tattletale::jinja

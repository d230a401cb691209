// Global functions: Jinja2's range, dict, namespace, cycler and joiner; transformers' raise_exception and
// strftime_now.
#include <chrono>

#include "text/chat/jinja/filters.h"

namespace tattletale::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as in Jinja2's sandbox

Result<Value> raise_exception(Interpreter& in, const Value&, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("raise_exception", args, {"message"}, 1));
  TT_ASSIGN(std::string message, in.str(*bound[0]));
  return in.fail("the template refuses: " + message);
}

Result<Value> range(Interpreter& in, const Value&, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("range", args, {"", "", ""}, 1));
  int64_t numbers[3] = {0, 0, 1};
  if (bound.given(1)) {
    for (size_t i = 0; i < 3 && bound.given(i); ++i) {
      TT_ASSIGN(numbers[i], in.to_int(*bound[i]));
    }
  } else {
    TT_ASSIGN(numbers[1], in.to_int(*bound[0]));
  }
  if (numbers[2] == 0) {
    return in.fail("the step of range cannot be zero");
  }
  Range* object = in.make<Range>();
  object->start = numbers[0];
  object->stop = numbers[1];
  object->step = numbers[2];
  const int64_t length = object->length();
  if (length < 0 || length > kMaxRange) {
    return in.fail("a range may have at most " + std::to_string(kMaxRange) + " numbers",
                   ErrorKind::limit_exceeded);
  }
  return Value::object(Kind::range, object);
}

/// Fills a dict as Python's dict(mapping_or_pairs, **named) does.
Result<bool> fill_dict(Interpreter& in, Dict& out, Args& args, std::string_view function) {
  if (args.positional.size() > 1) {
    return in.fail(std::string(function) + " takes one positional argument");
  }
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is_undefined()) {
      return in.fail_undefined(source);
    }
    if (source.is(Kind::dict)) {
      for (const Dict::Entry& entry : source.as<Dict>()->entries) {
        TT_TRY(in.dict_set(out, entry.key, entry.value));
      }
    } else {
      TT_ASSIGN(const std::vector<Value> pairs, in.iterate(source));
      for (const Value& pair : pairs) {
        TT_ASSIGN(const std::vector<Value> parts, in.iterate(pair));
        if (parts.size() != 2) {
          return in.fail(std::string(function) + " needs pairs, found " + std::to_string(parts.size()) +
                         " items");
        }
        TT_TRY(in.dict_set(out, parts[0], parts[1]));
      }
    }
  }
  for (auto& [name, value] : args.named) {
    TT_TRY(in.dict_set(out, in.string(name), value));
  }
  return true;
}

Result<Value> dict(Interpreter& in, const Value&, Args& args) {
  Dict* out = nullptr;
  Value result = in.dict(&out);
  TT_TRY(fill_dict(in, *out, args, "dict"));
  return result;
}

Result<Value> name_space(Interpreter& in, const Value&, Args& args) {
  Namespace* object = in.make<Namespace>();
  TT_TRY(fill_dict(in, object->attributes, args, "namespace"));
  return Value::object(Kind::name_space, object);
}

Result<Value> cycler(Interpreter& in, const Value&, Args& args) {
  if (args.positional.empty() || !args.named.empty()) {
    return in.fail("cycler needs at least one value");
  }
  Cycler* object = in.make<Cycler>();
  object->items = args.positional;
  return Value::object(Kind::cycler, object);
}

Result<Value> joiner(Interpreter& in, const Value&, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("joiner", args, {"sep"}, 0));
  Joiner* object = in.make<Joiner>();
  object->separator = bound.given(0) ? *bound[0] : in.string(", ");
  return Value::object(Kind::joiner, object);
}

Result<Value> strftime_now(Interpreter& in, const Value&, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("strftime_now", args, {"format"}, 1));
  TT_ASSIGN(const std::string format, in.string_argument(bound, 0, ""));
  TT_TRY(in.reserve(format.size() * 16));
  int64_t seconds = 0;
  if (in.clock().unix_seconds) {
    seconds = *in.clock().unix_seconds;
    if (seconds < -62'000'000'000 || seconds > 250'000'000'000) {
      return in.fail("the clock given to the template is outside the years 1 to 9999");
    }
    seconds += in.clock().utc_offset_seconds;
  } else {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm local{};
    localtime_r(&now, &local);
    seconds = static_cast<int64_t>(now) + local.tm_gmtoff;
  }
  return in.string(format_time(format, seconds));
}

}  // namespace

static constexpr BuiltinEntry kGlobals[] = {
    {"cycler", cycler},
    {"dict", dict},
    {"joiner", joiner},
    {"namespace", name_space},
    {"raise_exception", raise_exception},
    {"range", range},
    {"strftime_now", strftime_now},
};
const std::span<const BuiltinEntry> kGlobalTable(kGlobals);

}  // namespace tattletale::jinja

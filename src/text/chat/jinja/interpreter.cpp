// The interpreter's start and end, its limits, errors, and the making of values.
#include "text/chat/jinja/interpreter.h"

#include <algorithm>
#include <cmath>

#include "text/chat/jinja/token.h"

namespace tattletale::jinja {
namespace {

constexpr int kMaxLevels = 400;  // native recursion; one level takes at most about 2.5 KiB of stack

}  // namespace

Interpreter::Interpreter(const Program& program, const RenderLimits& limits, const Clock& clock)
    : program_(program), limits_(limits), clock_(clock) {
  limits_.max_depth = std::clamp(limits.max_depth, 1, kMaxLevels);
  root_set_.resize(program.names.size());
  root_.resize(program.names.size());
  constants_.resize(program.strings.size());
  constant_made_.resize(program.strings.size());
}

Interpreter::~Interpreter() = default;

Result<std::string> Interpreter::render(const Json& context) {
  if (!context.is_object()) {
    return make_error(
        ErrorKind::invalid_argument, program_.name,
        std::string("the context of a template must be an object, found ") + context.type_name());
  }
  for (const auto& [key, json] : context.items()) {
    auto id = program_.name_ids.find(key);
    if (id == program_.name_ids.end()) {
      continue;  // the template never names it
    }
    TT_ASSIGN(root_[id->second], from_json(json));
    root_set_[id->second] = true;
  }
  std::string output;
  out_ = &output;
  auto flow = execute(program_.body);
  out_ = nullptr;
  if (!flow) {
    return flow.take_error();
  }
  return output;
}

Error Interpreter::fail(std::string what, ErrorKind kind) const {
  return make_error(kind, place_of(program_.name, program_.source, at_), std::move(what));
}

Error Interpreter::fail_undefined(const Value& undefined) const {
  return fail(undefined.as_string());
}

Error Interpreter::fail_type(std::string_view expected, const Value& found) const {
  return fail("expected " + std::string(expected) + ", found " + std::string(type_name(found)));
}

Result<bool> Interpreter::step(uint64_t count) {
  steps_ += count;
  if (steps_ > limits_.max_steps) [[unlikely]] {
    return fail("the template takes more than " + std::to_string(limits_.max_steps) +
                    " steps; is there an endless loop?",
                ErrorKind::limit_exceeded);
  }
  if (account_.live_bytes + container_bytes_ + captured_bytes_ > limits_.max_value_bytes) [[unlikely]] {
    return reserve(0);
  }
  return true;
}

Result<bool> Interpreter::reserve(uint64_t bytes) {
  const uint64_t used = account_.live_bytes + container_bytes_ + captured_bytes_;
  if (bytes > limits_.max_value_bytes || used + bytes > limits_.max_value_bytes) {
    return fail(
        "the values of the template take more than " + std::to_string(limits_.max_value_bytes) + " bytes",
        ErrorKind::limit_exceeded);
  }
  steps_ += bytes / 64;
  if (steps_ > limits_.max_steps) {
    return step(0);
  }
  return true;
}

Result<bool> Interpreter::Level::check() const {
  if (interpreter_.depth_ > interpreter_.limits_.max_depth) [[unlikely]] {
    return interpreter_.fail("calls, blocks or values are nested deeper than " +
                                 std::to_string(interpreter_.limits_.max_depth) + " levels",
                             ErrorKind::limit_exceeded);
  }
  return true;
}

Value Interpreter::string(std::string text, bool safe) {
  Text* object = new Text{.bytes = std::move(text), .account = &account_};
  object->safe = safe;
  account_.live_bytes += object->bytes.capacity() + sizeof(Text);
  return Value::text(Kind::string, object);
}

Value Interpreter::undefined(std::string message) {
  Text* object = new Text{.bytes = std::move(message), .account = &account_};
  account_.live_bytes += object->bytes.capacity() + sizeof(Text);
  return Value::text(Kind::undefined, object);
}

Value Interpreter::undefined_name(std::string_view name) {
  return undefined("'" + std::string(name) + "' is undefined");
}

Value Interpreter::list(std::vector<Value> items) {
  List* object = make<List>();
  container_bytes_ += items.capacity() * sizeof(Value);
  object->items = std::move(items);
  return Value::object(Kind::list, object);
}

Value Interpreter::tuple(std::vector<Value> items) {
  List* object = make<List>();
  container_bytes_ += items.capacity() * sizeof(Value);
  object->items = std::move(items);
  return Value::object(Kind::tuple, object);
}

Value Interpreter::iterator(std::vector<Value> items, const char* python_type) {
  Iterator* object = make<Iterator>();
  container_bytes_ += items.capacity() * sizeof(Value);
  object->items = std::move(items);
  object->python_type = python_type;
  return Value::object(Kind::iterator, object);
}

Value Interpreter::dict(Dict** out) {
  *out = make<Dict>();
  return Value::object(Kind::dict, *out);
}

Value Interpreter::method(Builtin function, const Value& self, std::string_view name) {
  Method* object = make<Method>();
  object->function = function;
  object->self = self;
  object->name = name;
  return Value::object(Kind::method, object);
}

Result<bool> Interpreter::dict_set(Dict& dict, Value key, Value value) {
  TT_ASSIGN(const uint64_t key_hash, hash(key));
  container_bytes_ += sizeof(Dict::Entry) + 16;
  dict.set(std::move(key), key_hash, std::move(value));
  return step();
}

Result<Value> Interpreter::from_json(const Json& json, int depth) {
  if (depth > kMaxJsonDepth) {
    return make_error(ErrorKind::limit_exceeded, program_.name,
                      "a variable is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
  }
  switch (json.type()) {
    case Json::value_t::boolean: return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer: return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const uint64_t number = json.get<uint64_t>();
      if (number > static_cast<uint64_t>(INT64_MAX)) {
        return Value::real(static_cast<double>(number));
      }
      return Value::integer(static_cast<int64_t>(number));
    }
    case Json::value_t::number_float: return Value::real(json.get<double>());
    case Json::value_t::string: return string(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) {
        TT_ASSIGN(Value value, from_json(item, depth + 1));
        items.push_back(std::move(value));
      }
      return list(std::move(items));
    }
    case Json::value_t::object: {
      Dict* out = nullptr;
      Value result = dict(&out);
      for (const auto& [key, item] : json.items()) {
        TT_ASSIGN(Value value, from_json(item, depth + 1));
        TT_TRY(dict_set(*out, string(key), std::move(value)));
      }
      return result;
    }
    default: return Value();
  }
}

}  // namespace tattletale::jinja

// Calling macros, functions and methods, and sorting out the arguments of builtins.
#include <cmath>

#include "text/chat/jinja/interpreter.h"

namespace tattletale::jinja {

bool Interpreter::is_callable(const Value& value) const {
  switch (value.kind()) {
    case Kind::macro:
    case Kind::function:
    case Kind::method:
    case Kind::loop:
    case Kind::undefined:  // Python's callable() finds Undefined.__call__
    case Kind::joiner: return true;
    default: return false;
  }
}

Result<Value> Interpreter::call(const Value& callee, Args args) {
  const Level level(*this);
  TT_TRY(level.check());
  TT_TRY(step(1 + args.positional.size()));
  switch (callee.kind()) {
    case Kind::macro: return call_macro(*callee.as<Macro>(), args);
    case Kind::function: return callee.as<Function>()->function(*this, Value(), args);
    case Kind::method: {
      const Method& method = *callee.as<Method>();
      return method.function(*this, method.self, args);
    }
    case Kind::loop: {
      TT_ASSIGN(const Bound bound, bind("loop", args, {"iterable"}, 1));
      return call_loop(*callee.as<Loop>(), *bound[0]);
    }
    case Kind::joiner: {
      Joiner& joiner = *callee.as<Joiner>();
      return std::exchange(joiner.used, true) ? joiner.separator : string("");
    }
    case Kind::undefined: return fail_undefined(callee);
    default: return fail("a " + std::string(type_name(callee)) + " cannot be called");
  }
}

Result<Value> Interpreter::call_macro(const Macro& macro, Args& args) {
  Scope* outer = scope_;
  Scope* scope = push_scope(macro.closure);
  const uint32_t call_at = at_;
  auto bound = bind_macro(macro, args, *scope);
  Result<std::string> text = std::string();
  if (bound) {
    text = capture(macro.node->a->list);
  } else {
    text = bound.take_error();
  }
  pop_scope(scope);
  scope_ = outer;
  TT_ASSIGN(std::string result, std::move(text));
  at_ = call_at;
  return string(std::move(result));
}

Result<bool> Interpreter::bind_macro(const Macro& macro, Args& args, Scope& scope) {
  const Node& node = *macro.node;
  const std::string& name = program_.names[node.name];
  const size_t num_parameters = node.list.size();
  const auto take_named = [&](std::string_view wanted, Value& out) {
    for (size_t i = 0; i < args.named.size(); ++i) {
      if (args.named[i].first == wanted) {
        out = std::move(args.named[i].second);
        args.named.erase(args.named.begin() + static_cast<ptrdiff_t>(i));
        return true;
      }
    }
    return false;
  };
  for (size_t i = 0; i < num_parameters; ++i) {
    const NameId id = node.list[i]->name;
    Value value;
    if (i < args.positional.size()) {
      value = args.positional[i];
    } else if (!take_named(program_.names[id], value)) {
      const size_t first_default = num_parameters - node.list2.size();
      if (i >= first_default) {
        TT_ASSIGN(value, evaluate(*node.list2[i - first_default]));
      } else {
        value = undefined("parameter '" + program_.names[id] + "' was not provided");
      }
    }
    scope.variables.push_back({id, std::move(value)});
  }
  at_ = node.offset;
  if (node.catch_caller) {
    Value caller;
    if (!take_named("caller", caller) || caller.is_none()) {
      caller = undefined("No caller defined");
    }
    scope.variables.push_back({program_.caller_name, std::move(caller)});
  }
  if (node.catch_kwargs) {
    Dict* rest = nullptr;
    Value kwargs = dict(&rest);
    for (auto& [key, value] : args.named) {
      rest->set(string(key), value);
    }
    scope.variables.push_back({program_.kwargs_name, kwargs});
  } else if (!args.named.empty()) {
    return fail("the macro \"" + name + "\" has no parameter \"" + args.named[0].first + "\" left to fill");
  }
  if (node.catch_varargs) {
    std::vector<Value> rest;
    for (size_t i = num_parameters; i < args.positional.size(); ++i) {
      rest.push_back(args.positional[i]);
    }
    scope.variables.push_back({program_.varargs_name, tuple(std::move(rest))});
  } else if (args.positional.size() > num_parameters) {
    return fail("the macro \"" + name + "\" takes at most " + std::to_string(num_parameters) +
                " arguments, found " + std::to_string(args.positional.size()));
  }
  return true;
}

Result<Bound> Interpreter::bind(std::string_view function, const Args& args,
                                std::initializer_list<std::string_view> parameters, size_t num_required) {
  Bound bound;
  if (args.positional.size() > parameters.size()) {
    return fail(std::string(function) + " takes at most " + std::to_string(parameters.size()) +
                " arguments, found " + std::to_string(args.positional.size()));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) {
    bound.values_[i] = &args.positional[i];
  }
  for (const auto& [name, value] : args.named) {
    size_t i = 0;
    for (std::string_view parameter : parameters) {
      if (parameter == name && !name.empty()) {
        break;
      }
      ++i;
    }
    if (i == parameters.size()) {
      return fail(std::string(function) + " has no parameter \"" + name + "\"");
    }
    if (bound.values_[i] != nullptr) {
      return fail(std::string(function) + " got its parameter \"" + name + "\" twice");
    }
    bound.values_[i] = &value;
  }
  for (size_t i = 0; i < num_required; ++i) {
    if (bound.values_[i] == nullptr) {
      return fail(std::string(function) + " needs its argument " + std::to_string(i + 1) + " \"" +
                  std::string(*(parameters.begin() + i)) + "\"");
    }
  }
  return bound;
}

Result<int64_t> Interpreter::to_int(const Value& value) {
  if (value.is_integral()) {
    return value.as_int();
  }
  return value.is_undefined() ? fail_undefined(value) : fail_type("an integer", value);
}

Result<int64_t> Interpreter::int_argument(const Bound& bound, size_t i, int64_t fallback) {
  return bound.given(i) ? to_int(*bound[i]) : fallback;
}

Result<std::string> Interpreter::string_argument(const Bound& bound, size_t i, std::string_view fallback) {
  if (!bound.given(i)) {
    return std::string(fallback);
  }
  if (!bound[i]->is_string()) {
    return bound[i]->is_undefined() ? fail_undefined(*bound[i]) : fail_type("a string", *bound[i]);
  }
  return bound[i]->as_string();
}

bool Interpreter::bool_argument(const Bound& bound, size_t i, bool fallback) const {
  return bound.given(i) ? truthy(*bound[i]) : fallback;
}

}  // namespace tattletale::jinja

// Expressions.
#include "text/chat/jinja/interpreter.h"

namespace tattletale::jinja {

Result<Value> Interpreter::constant_string(uint32_t index) {
  if (!constant_made_[index]) {
    TT_TRY(reserve(program_.strings[index].size()));
    constants_[index] = string(program_.strings[index]);
    constant_made_[index] = true;
  }
  return constants_[index];
}

Result<Value> Interpreter::evaluate(const Node& node) {
  const Level level(*this);
  at_ = node.offset;
  TT_TRY(level.check());
  TT_TRY(step());
  switch (node.kind) {
    case NodeKind::constant_none: return Value();
    case NodeKind::constant_bool: return Value::boolean(node.flag);
    case NodeKind::constant_int: return Value::integer(node.integer);
    case NodeKind::constant_float: return Value::real(node.real);
    case NodeKind::constant_string: return constant_string(node.constant);
    case NodeKind::name: return lookup(node.name);
    default: return evaluate_inner(node);
  }
}

Result<Value> Interpreter::evaluate_inner(const Node& node) {
  switch (node.kind) {
    case NodeKind::list:
    case NodeKind::tuple: {
      TT_ASSIGN(std::vector<Value> items, evaluate_list(node.list));
      return node.kind == NodeKind::list ? list(std::move(items)) : tuple(std::move(items));
    }
    case NodeKind::dict: return evaluate_dict(node);
    case NodeKind::get_attribute: {
      TT_ASSIGN(const Value object, evaluate(*node.a));
      at_ = node.offset;
      return get_attribute(object, program_.strings[node.constant]);
    }
    case NodeKind::get_item: return evaluate_item(node);
    case NodeKind::call: return evaluate_call(node, nullptr);
    case NodeKind::filter: return evaluate_filter_chain(node, Value());
    case NodeKind::test: {
      TT_ASSIGN(const Value value, evaluate(*node.a));
      return evaluate_builtin(node, value);
    }
    case NodeKind::negate:
    case NodeKind::plus: {
      TT_ASSIGN(const Value value, evaluate(*node.a));
      at_ = node.offset;
      if (!value.is_number()) {
        return value.is_undefined() ? fail_undefined(value) : fail_type("a number", value);
      }
      if (value.is(Kind::real)) {
        return node.kind == NodeKind::negate ? Value::real(-value.as_double()) : value;
      }
      return node.kind == NodeKind::negate ? binary(Operator::subtract, Value::integer(0), value)
                                           : Result<Value>(Value::integer(value.as_int()));
    }
    case NodeKind::logical_not: {
      TT_ASSIGN(const Value value, evaluate(*node.a));
      return Value::boolean(!truthy(value));
    }
    case NodeKind::logical_and:
    case NodeKind::logical_or: {
      TT_ASSIGN(Value left, evaluate(*node.a));
      if (truthy(left) == (node.kind == NodeKind::logical_or)) {
        return left;
      }
      return evaluate(*node.b);
    }
    case NodeKind::compare: return evaluate_compare(node);
    case NodeKind::binary: return evaluate_binary(node);
    case NodeKind::concat: return evaluate_concat(node);
    case NodeKind::conditional: {
      TT_ASSIGN(const Value test, evaluate(*node.a));
      if (truthy(test)) {
        return evaluate(*node.b);
      }
      if (node.c == nullptr) {
        return undefined("the condition of this expression is false and it has no else part");
      }
      return evaluate(*node.c);
    }
    default: return fail("not an expression", ErrorKind::internal);
  }
}

/// A chain such as a + b + c leans to the left; it is walked, not recursed into, so that its length is free.
Result<Value> Interpreter::evaluate_binary(const Node& node) {
  std::vector<const Node*> chain;
  const Node* first = &node;
  for (; first->kind == NodeKind::binary; first = first->a) {
    chain.push_back(first);
  }
  TT_ASSIGN(Value value, evaluate(*first));
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    TT_TRY(step());
    TT_ASSIGN(const Value right, evaluate(*(*it)->b));
    at_ = (*it)->offset;
    TT_ASSIGN(value, binary((*it)->op, value, right));
  }
  return value;
}

Result<std::vector<Value>> Interpreter::evaluate_list(const std::vector<const Node*>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const Node* node : nodes) {
    TT_ASSIGN(Value value, evaluate(*node));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Value> Interpreter::evaluate_dict(const Node& node) {
  Dict* out = nullptr;
  Value result = dict(&out);
  for (size_t i = 0; i < node.list.size(); ++i) {
    TT_ASSIGN(Value key, evaluate(*node.list[i]));
    TT_ASSIGN(Value value, evaluate(*node.list2[i]));
    at_ = node.list[i]->offset;
    TT_TRY(dict_set(*out, std::move(key), std::move(value)));
  }
  return result;
}

Result<Value> Interpreter::evaluate_compare(const Node& node) {
  TT_ASSIGN(Value left, evaluate(*node.a));
  for (size_t i = 0; i < node.list.size(); ++i) {
    TT_ASSIGN(Value right, evaluate(*node.list[i]));
    at_ = node.list[i]->offset;
    TT_ASSIGN(const bool holds, compare(node.ops[i], left, right));
    if (!holds) {
      return Value::boolean(false);
    }
    left = std::move(right);
  }
  return Value::boolean(true);
}

Result<Value> Interpreter::evaluate_concat(const Node& node) {
  std::string text;
  for (const Node* part : node.list) {
    TT_ASSIGN(const Value value, evaluate(*part));
    at_ = part->offset;
    TT_ASSIGN(const std::string piece, str(value));
    TT_TRY(reserve(text.size() + piece.size()));
    text += piece;
  }
  return string(std::move(text));
}

Result<Value> Interpreter::evaluate_item(const Node& node) {
  TT_ASSIGN(const Value object, evaluate(*node.a));
  if (node.b->kind != NodeKind::slice) {
    TT_ASSIGN(const Value key, evaluate(*node.b));
    at_ = node.offset;
    return get_item(object, key);
  }
  Value bounds[3];
  const Node* parts[3] = {node.b->a, node.b->b, node.b->c};
  for (int i = 0; i < 3; ++i) {
    if (parts[i] != nullptr) {
      TT_ASSIGN(bounds[i], evaluate(*parts[i]));
    }
  }
  at_ = node.offset;
  return get_slice(object, bounds[0], bounds[1], bounds[2]);
}

/// Filters chained on each other, the innermost first, without recursion; `input` feeds a chain over null.
Result<Value> Interpreter::evaluate_filter_chain(const Node& node, const Value& input) {
  std::vector<const Node*> chain;
  const Node* first = &node;
  for (; first != nullptr && first->kind == NodeKind::filter; first = first->a) {
    chain.push_back(first);
  }
  Value value = input;
  if (first != nullptr) {
    TT_ASSIGN(value, evaluate(*first));
  }
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    TT_ASSIGN(value, evaluate_builtin(**it, value));
  }
  return value;
}

Result<Value> Interpreter::evaluate_builtin(const Node& node, const Value& self) {
  TT_ASSIGN(Args args, evaluate_arguments(node));
  at_ = node.offset;
  TT_TRY(step());
  if (node.builtin == nullptr) {
    return fail(std::string("there is no ") + (node.kind == NodeKind::filter ? "filter" : "test") +
                    " named \"" + program_.names[node.name] + "\"",
                ErrorKind::unsupported);
  }
  return node.builtin(*this, self, args);
}

Result<Args> Interpreter::evaluate_arguments(const Node& node) {
  Args args;
  TT_ASSIGN(args.positional, evaluate_list(node.list));
  for (const Keyword& keyword : node.keywords) {
    TT_ASSIGN(Value value, evaluate(*keyword.value));
    args.named.emplace_back(program_.names[keyword.name], std::move(value));
  }
  if (node.dyn_args != nullptr) {
    TT_ASSIGN(const Value more, evaluate(*node.dyn_args));
    TT_ASSIGN(std::vector<Value> items, iterate(more));
    args.positional.insert(args.positional.end(), items.begin(), items.end());
  }
  if (node.dyn_kwargs != nullptr) {
    TT_ASSIGN(const Value more, evaluate(*node.dyn_kwargs));
    at_ = node.dyn_kwargs->offset;
    if (!more.is(Kind::dict)) {
      return fail_type("a dict after **", more);
    }
    for (const Dict::Entry& entry : more.as<Dict>()->entries) {
      if (!entry.key.is_string()) {
        return fail_type("a string as the name of an argument", entry.key);
      }
      for (const auto& [name, value] : args.named) {
        TT_TRY(step());
        if (name == entry.key.as_string()) {
          return fail("the argument \"" + name + "\" is given twice");
        }
      }
      args.named.emplace_back(entry.key.as_string(), entry.value);
    }
  }
  return args;
}

Result<Value> Interpreter::evaluate_call(const Node& node, const Value* caller) {
  TT_ASSIGN(const Value callee, evaluate(*node.a));
  TT_ASSIGN(Args args, evaluate_arguments(node));
  if (caller != nullptr) {
    args.named.emplace_back("caller", *caller);
  }
  at_ = node.offset;
  return call(callee, std::move(args));
}

}  // namespace tattletale::jinja

// Statements, scopes and output.
#include "text/chat/jinja/interpreter.h"

namespace tattletale::jinja {

Scope* Interpreter::push_scope(Scope* parent) {
  Scope* scope = nullptr;
  if (!free_scopes_.empty()) {
    scope = free_scopes_.back();
    free_scopes_.pop_back();
  } else {
    scopes_.push_back(std::make_unique<Scope>());
    scope = scopes_.back().get();
    container_bytes_ += sizeof(Scope) + 64;
  }
  scope->parent = parent;
  scope->captured = false;
  scope_ = scope;
  return scope;
}

void Interpreter::pop_scope(Scope* scope) {
  scope_ = scope->parent;
  if (!scope->captured) {
    scope->variables.clear();
    free_scopes_.push_back(scope);
  }
}

void Interpreter::capture_scopes() {
  for (Scope* scope = scope_; scope != nullptr && !scope->captured; scope = scope->parent) {
    scope->captured = true;
  }
}

Result<Value> Interpreter::lookup(NameId name) {
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (const Variable& variable : scope->variables) {
      if (variable.name == name) {
        return variable.value;
      }
    }
    TT_TRY(step(1 + scope->variables.size() / 16));
  }
  return root_set_[name] ? root_[name] : resolve_global(name);
}

Value Interpreter::resolve_global(NameId name) {
  const std::string& text = program_.names[name];
  Builtin function = find_global(text);
  if (function == nullptr) {
    return undefined_name(text);
  }
  Function* object = make<Function>();
  object->function = function;
  object->name = text;
  root_[name] = Value::object(Kind::function, object);
  root_set_[name] = true;
  return root_[name];
}

void Interpreter::assign(NameId name, Value value) {
  if (scope_ == nullptr) {
    root_[name] = std::move(value);
    root_set_[name] = true;
    return;
  }
  for (Variable& variable : scope_->variables) {
    if (variable.name == name) {
      variable.value = std::move(value);
      return;
    }
  }
  scope_->variables.push_back({name, std::move(value)});
  container_bytes_ += sizeof(Variable);
}

Result<bool> Interpreter::assign_target(const Node& target, const Value& value) {
  if (target.kind == NodeKind::name) {
    assign(target.name, value);
    return true;
  }
  at_ = target.offset;
  if (target.kind == NodeKind::namespace_target) {
    TT_ASSIGN(const Value object, lookup(target.name));
    if (!object.is(Kind::name_space)) {
      return fail("cannot assign an attribute of \"" + program_.names[target.name] + "\", a " +
                  std::string(type_name(object)) + "; only a namespace() has attributes to set");
    }
    TT_ASSIGN(const Value key, constant_string(target.constant));
    container_bytes_ += sizeof(Dict::Entry);
    object.as<Namespace>()->attributes.set(key, value);
    return true;
  }
  TT_ASSIGN(const std::vector<Value> items, iterate(value));
  if (items.size() != target.list.size()) {
    return fail("cannot unpack " + std::to_string(items.size()) + " values into " +
                std::to_string(target.list.size()) + " names");
  }
  for (size_t i = 0; i < items.size(); ++i) {
    TT_TRY(assign_target(*target.list[i], items[i]));
  }
  return true;
}

Result<bool> Interpreter::write(std::string_view text) {
  if (capturing_) {
    captured_bytes_ += text.size();
  }
  if (out_->size() + text.size() > limits_.max_output_bytes) {
    return fail("the output is larger than " + std::to_string(limits_.max_output_bytes) + " bytes",
                ErrorKind::limit_exceeded);
  }
  out_->append(text);
  return step(1 + text.size() / 64);
}

Result<std::string> Interpreter::capture(std::span<const Node* const> body) {
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  const bool outer_capturing = std::exchange(capturing_, true);
  const uint64_t outer_bytes = captured_bytes_;
  auto flow = execute(body);
  out_ = outer;
  capturing_ = outer_capturing;
  captured_bytes_ = outer_bytes;
  if (!flow) {
    return flow.take_error();
  }
  return text;
}

Result<Flow> Interpreter::execute(std::span<const Node* const> body) {
  for (const Node* node : body) {
    TT_ASSIGN(const Flow flow, execute_node(*node));
    if (flow != Flow::next) {
      return flow;
    }
  }
  return Flow::next;
}

Result<Flow> Interpreter::execute_node(const Node& node) {
  const Level level(*this);
  at_ = node.offset;
  TT_TRY(level.check());
  TT_TRY(step());
  switch (node.kind) {
    case NodeKind::text: TT_TRY(write(program_.strings[node.constant])); return Flow::next;
    case NodeKind::output: {
      TT_ASSIGN(const Value value, evaluate(*node.a));
      if (value.is_string()) {
        TT_TRY(write(value.as_string()));
        return Flow::next;
      }
      TT_ASSIGN(const std::string text, str(value));
      TT_TRY(write(text));
      return Flow::next;
    }
    case NodeKind::if_: {
      // An elif chain is walked here, not by recursion.
      for (const Node* branch = &node;;) {
        bool taken = true;
        if (branch->a != nullptr) {
          TT_ASSIGN(const Value test, evaluate(*branch->a));
          taken = truthy(test);
        }
        if (taken) {
          return execute(branch->list);
        }
        if (branch->list2.size() != 1 || branch->list2[0]->kind != NodeKind::if_) {
          return execute(branch->list2);
        }
        branch = branch->list2[0];
      }
    }
    case NodeKind::for_: return execute_for(node);
    case NodeKind::set:
    case NodeKind::set_block: return execute_set(node);
    case NodeKind::macro: assign(node.name, make_macro(node)); return Flow::next;
    case NodeKind::call_block: TT_TRY(execute_call_block(node)); return Flow::next;
    case NodeKind::filter_block: {
      Scope* scope = push_scope(scope_);
      auto text = capture(node.list);
      pop_scope(scope);
      TT_ASSIGN(std::string body, std::move(text));
      TT_ASSIGN(const Value filtered, evaluate_filter_chain(*node.b, string(std::move(body))));
      TT_ASSIGN(const std::string result, str(filtered));
      TT_TRY(write(result));
      return Flow::next;
    }
    case NodeKind::with_: return execute_with(node);
    case NodeKind::scope: return execute_scope(node);
    case NodeKind::break_: return Flow::break_loop;
    case NodeKind::continue_: return Flow::continue_loop;
    default: return fail("not a statement", ErrorKind::internal);
  }
}

Result<Flow> Interpreter::execute_scope(const Node& node) {
  Scope* scope = push_scope(scope_);
  auto flow = execute(node.list);
  pop_scope(scope);
  return flow;
}

Result<Flow> Interpreter::execute_with(const Node& node) {
  TT_ASSIGN(const std::vector<Value> values, evaluate_list(node.list2));
  Scope* scope = push_scope(scope_);
  Result<bool> assigned = true;
  for (size_t i = 0; i < values.size() && assigned; ++i) {
    assigned = assign_target(*node.list[i], values[i]);
  }
  Result<Flow> flow = Flow::next;
  if (assigned) {
    flow = execute(node.a->list);
  } else {
    flow = assigned.take_error();
  }
  pop_scope(scope);
  return flow;
}

Result<Flow> Interpreter::execute_set(const Node& node) {
  if (node.kind == NodeKind::set) {
    TT_ASSIGN(const Value value, evaluate(*node.b));
    TT_TRY(assign_target(*node.a, value));
    return Flow::next;
  }
  Scope* scope = push_scope(scope_);
  auto text = capture(node.list);
  Result<Value> value = Value();
  if (!text) {
    value = text.take_error();
  } else {
    value = string(std::move(*text));
    if (node.b != nullptr) {
      value = evaluate_filter_chain(*node.b, *value);
    }
  }
  pop_scope(scope);
  TT_ASSIGN(const Value result, std::move(value));
  TT_TRY(assign_target(*node.a, result));
  return Flow::next;
}

Result<Flow> Interpreter::execute_for(const Node& node) {
  TT_ASSIGN(const Value iterable, evaluate(*node.b));
  at_ = node.b->offset;
  if (!node.flag) {
    return run_loop(node, iterable, 0);
  }
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  const bool outer_capturing = std::exchange(capturing_, true);
  const uint64_t outer_bytes = captured_bytes_;
  auto done = run_loop(node, iterable, 0);
  out_ = outer;
  capturing_ = outer_capturing;
  captured_bytes_ = outer_bytes;
  if (!done) {
    return done.take_error();
  }
  TT_TRY(write(text));
  return Flow::next;
}

/// The items for which the loop's own filter holds; the filter sees the target but not `loop`.
Result<std::vector<Value>> Interpreter::filter_items(const Node& node, std::vector<Value> items) {
  if (node.c == nullptr) {
    return items;
  }
  std::vector<Value> kept;
  Scope* scope = push_scope(scope_);
  Result<bool> done = true;
  for (Value& item : items) {
    done = assign_target(*node.a, item);
    if (!done) {
      break;
    }
    Result<Value> test = evaluate(*node.c);
    if (!test) {
      done = test.take_error();
      break;
    }
    if (truthy(*test)) {
      kept.push_back(std::move(item));
    }
  }
  pop_scope(scope);
  TT_TRY(std::move(done));
  return kept;
}

Result<Flow> Interpreter::run_loop(const Node& node, const Value& iterable, int64_t depth0) {
  TT_ASSIGN(std::vector<Value> all, iterate(iterable));
  TT_ASSIGN(std::vector<Value> items, filter_items(node, std::move(all)));
  if (items.empty()) {
    Scope* scope = push_scope(scope_);
    auto flow = execute(node.list2);
    pop_scope(scope);
    return flow;
  }
  Loop* loop = nullptr;
  if (node.uses_loop) {
    loop = make<Loop>();
    loop->length = items.size();
    loop->depth0 = depth0;
    loop->node = node.flag ? &node : nullptr;
    loop->closure = scope_;
    loop->items = &items;
  }
  if (node.flag) {
    capture_scopes();
  }
  const uint64_t items_bytes = items.size() * sizeof(Value);
  container_bytes_ += items_bytes;
  Scope* scope = push_scope(scope_);
  auto done = run_iterations(node, items, loop, *scope);
  pop_scope(scope);
  container_bytes_ -= items_bytes;
  if (loop != nullptr) {
    loop->items = nullptr;  // the object may outlive its loop, the items do not
  }
  TT_TRY(std::move(done));
  return Flow::next;
}

Result<bool> Interpreter::run_iterations(const Node& node, const std::vector<Value>& items, Loop* loop,
                                         Scope& scope) {
  for (size_t i = 0; i < items.size(); ++i) {
    scope.variables.clear();
    if (loop != nullptr) {
      loop->index0 = i;
      scope.variables.push_back({program_.loop_name, Value::object(Kind::loop, loop)});
    }
    TT_TRY(assign_target(*node.a, items[i]));
    TT_ASSIGN(const Flow flow, execute(node.list));
    if (flow == Flow::break_loop) {
      break;
    }
    TT_TRY(step());
  }
  return true;
}

Result<Value> Interpreter::call_loop(const Loop& loop, const Value& items) {
  if (loop.node == nullptr) {
    return fail("only a loop marked \"recursive\" can be called");
  }
  Scope* outer_scope = std::exchange(scope_, loop.closure);
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  const bool outer_capturing = std::exchange(capturing_, true);
  const uint64_t outer_bytes = captured_bytes_;
  auto flow = run_loop(*loop.node, items, loop.depth0 + 1);
  scope_ = outer_scope;
  out_ = outer;
  capturing_ = outer_capturing;
  captured_bytes_ = outer_bytes;
  if (!flow) {
    return flow.take_error();
  }
  return string(std::move(text));
}

Value Interpreter::make_macro(const Node& node) {
  Macro* macro = make<Macro>();
  macro->node = &node;
  macro->closure = scope_;
  capture_scopes();
  return Value::object(Kind::macro, macro);
}

Result<bool> Interpreter::execute_call_block(const Node& node) {
  const Value caller = make_macro(*node.c);
  TT_ASSIGN(const Value result, evaluate_call(*node.b, &caller));
  TT_ASSIGN(const std::string text, str(result));
  return write(text);
}

}  // namespace tattletale::jinja

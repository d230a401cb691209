// Expressions, lowest precedence first. Comments name the Node fields each one fills.
#include "text/chat/jinja/parser.h"

namespace tattletale::jinja {

/// An expression, or a tuple where commas follow. tuple: list items.
NodeResult Parser::parse_tuple(bool with_condition, std::string_view end_name, bool parentheses) {
  const uint32_t offset = current().offset;
  std::vector<const Node*> items;
  bool is_tuple = false;
  while (true) {
    if (current().kind == TokenKind::variable_end || current().kind == TokenKind::block_end || at_op(")") ||
        (!end_name.empty() && at_name(end_name))) {
      break;
    }
    TT_ASSIGN(Node * item, parse_expression(with_condition));
    items.push_back(item);
    if (!skip_op(",")) {
      break;
    }
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) {
      return const_cast<Node*>(items[0]);
    }
    if (!parentheses) {
      return unexpected("an expression");
    }
  }
  TT_ASSIGN(Node * tuple, make(NodeKind::tuple, offset));
  tuple->list = std::move(items);
  return tuple;
}

NodeResult Parser::parse_expression(bool with_condition) {
  const DepthGuard guard(*this);
  if (guard.too_deep()) {
    return error(current(),
                 "expressions are nested deeper than " + std::to_string(kMaxSyntaxDepth) + " levels",
                 ErrorKind::limit_exceeded);
  }
  return with_condition ? parse_conditional() : parse_or();
}

/// conditional: a test, b value, c other value or null.
NodeResult Parser::parse_conditional() {
  const uint32_t offset = current().offset;
  // Whether an "if" follows is known only afterwards, so filters in the first part are bound leniently too.
  const size_t start = position_;
  const bool outer_branch = optional_branch_;
  NodeResult first = parse_or();
  if (!first && !outer_branch && first.error().kind == ErrorKind::unsupported) {
    position_ = start;
    optional_branch_ = true;
    NodeResult again = parse_or();
    optional_branch_ = outer_branch;
    if (!again || !at_name("if")) {
      return first;
    }
    first = std::move(again);
  }
  if (!first) {
    return first;
  }
  Node* value = *first;
  while (skip_name("if")) {
    TT_ASSIGN(Node * node, make(NodeKind::conditional, offset));
    node->b = value;
    optional_branch_ = true;
    NodeResult test = parse_or();
    NodeResult other = nullptr;
    if (test && skip_name("else")) {
      other = parse_expression();
    }
    optional_branch_ = outer_branch;
    TT_ASSIGN(node->a, std::move(test));
    TT_ASSIGN(node->c, std::move(other));
    value = node;
  }
  return value;
}

/// logical_or, logical_and: a, b.
NodeResult Parser::parse_or() {
  const uint32_t offset = current().offset;
  TT_ASSIGN(Node * left, parse_and());
  while (skip_name("or")) {
    TT_ASSIGN(Node * right, parse_and());
    TT_ASSIGN(Node * node, make(NodeKind::logical_or, offset));
    node->a = left;
    node->b = right;
    left = node;
  }
  return left;
}

NodeResult Parser::parse_and() {
  const uint32_t offset = current().offset;
  TT_ASSIGN(Node * left, parse_not());
  while (skip_name("and")) {
    TT_ASSIGN(Node * right, parse_not());
    TT_ASSIGN(Node * node, make(NodeKind::logical_and, offset));
    node->a = left;
    node->b = right;
    left = node;
  }
  return left;
}

/// logical_not: a.
NodeResult Parser::parse_not() {
  if (!at_name("not")) {
    return parse_compare();
  }
  const DepthGuard guard(*this);
  if (guard.too_deep()) {
    return error(current(), "expressions are nested too deeply", ErrorKind::limit_exceeded);
  }
  TT_ASSIGN(Node * node, make(NodeKind::logical_not, next().offset));
  TT_ASSIGN(node->a, parse_not());
  return node;
}

/// compare: a first operand, list the others, ops one for each of them.
NodeResult Parser::parse_compare() {
  const uint32_t offset = current().offset;
  TT_ASSIGN(Node * first, parse_sum());
  Node* node = nullptr;
  while (true) {
    static constexpr std::pair<std::string_view, Operator> kOperators[] = {
        {"==", Operator::equal},      {"!=", Operator::not_equal}, {"<", Operator::less},
        {"<=", Operator::less_equal}, {">", Operator::greater},    {">=", Operator::greater_equal}};
    bool found = false;
    Operator op = Operator::in;
    for (const auto& [text, candidate] : kOperators) {
      if (!found && skip_op(text)) {
        op = candidate;
        found = true;
      }
    }
    if (!found && skip_name("in")) {
      found = true;
    } else if (!found && at_name("not") && look().kind == TokenKind::name && look().view == "in") {
      next();
      next();
      op = Operator::not_in;
      found = true;
    }
    if (!found) {
      return node == nullptr ? first : node;
    }
    if (node == nullptr) {
      TT_ASSIGN(node, make(NodeKind::compare, offset));
      node->a = first;
    }
    TT_ASSIGN(Node * operand, parse_sum());
    node->list.push_back(operand);
    node->ops.push_back(op);
  }
}

/// binary: op, a, b.
NodeResult Parser::make_binary(Operator op, Node* left, Node* right, uint32_t offset) {
  TT_ASSIGN(Node * node, make(NodeKind::binary, offset));
  node->op = op;
  node->a = left;
  node->b = right;
  return node;
}

NodeResult Parser::parse_sum() {
  TT_ASSIGN(Node * left, parse_concat());
  while (at_op("+") || at_op("-")) {
    const Token& token = next();
    TT_ASSIGN(Node * right, parse_concat());
    TT_ASSIGN(left,
              make_binary(token.view == "+" ? Operator::add : Operator::subtract, left, right, token.offset));
  }
  return left;
}

/// concat: list.
NodeResult Parser::parse_concat() {
  const uint32_t offset = current().offset;
  TT_ASSIGN(Node * first, parse_product());
  if (!at_op("~")) {
    return first;
  }
  TT_ASSIGN(Node * node, make(NodeKind::concat, offset));
  node->list.push_back(first);
  while (skip_op("~")) {
    TT_ASSIGN(Node * part, parse_product());
    node->list.push_back(part);
  }
  return node;
}

NodeResult Parser::parse_product() {
  TT_ASSIGN(Node * left, parse_power());
  while (at_op("*") || at_op("/") || at_op("//") || at_op("%")) {
    const Token& token = next();
    TT_ASSIGN(Node * right, parse_power());
    const Operator op = token.view == "*"    ? Operator::multiply
                        : token.view == "/"  ? Operator::divide
                        : token.view == "//" ? Operator::floor_divide
                                             : Operator::modulo;
    TT_ASSIGN(left, make_binary(op, left, right, token.offset));
  }
  return left;
}

/// Groups to the left, unlike Python: Jinja2 does so too.
NodeResult Parser::parse_power() {
  TT_ASSIGN(Node * left, parse_unary());
  while (at_op("**")) {
    const Token& token = next();
    TT_ASSIGN(Node * right, parse_unary());
    TT_ASSIGN(left, make_binary(Operator::power, left, right, token.offset));
  }
  return left;
}

/// negate, plus: a.
NodeResult Parser::parse_unary(bool with_filter) {
  const DepthGuard guard(*this);
  if (guard.too_deep()) {
    return error(current(), "expressions are nested too deeply", ErrorKind::limit_exceeded);
  }
  Node* node = nullptr;
  if (at_op("-") || at_op("+")) {
    const Token& token = next();
    TT_ASSIGN(node, make(token.view == "-" ? NodeKind::negate : NodeKind::plus, token.offset));
    TT_ASSIGN(node->a, parse_unary(false));
  } else {
    TT_ASSIGN(node, parse_primary());
  }
  TT_ASSIGN(node, parse_postfix(node));
  return with_filter ? parse_filters_and_tests(node) : NodeResult(node);
}

/// constant_*: flag, integer, real, constant.  name: name.  namespace_target: name of the variable, constant
/// as a name id of the attribute.
NodeResult Parser::parse_primary(bool allow_namespace) {
  const Token& token = current();
  if (token.kind == TokenKind::name) {
    next();
    if (token.view == "true" || token.view == "True" || token.view == "false" || token.view == "False") {
      TT_ASSIGN(Node * node, make(NodeKind::constant_bool, token.offset));
      node->flag = token.view == "true" || token.view == "True";
      return node;
    }
    if (token.view == "none" || token.view == "None") {
      return make(NodeKind::constant_none, token.offset);
    }
    if (allow_namespace && skip_op(".")) {
      TT_ASSIGN(const std::string_view attribute, expect_identifier());
      TT_ASSIGN(Node * node, make(NodeKind::namespace_target, token.offset));
      node->name = program_.intern(token.view);
      node->constant = add_string(std::string(attribute));
      return node;
    }
    return read_name(token.view, token.offset);
  }
  if (token.kind == TokenKind::string) {
    TT_ASSIGN(Node * node, make(NodeKind::constant_string, token.offset));
    std::string text;
    while (current().kind == TokenKind::string) {
      text += next().text;
    }
    node->constant = add_string(std::move(text));
    return node;
  }
  if (token.kind == TokenKind::integer || token.kind == TokenKind::real) {
    next();
    const bool is_int = token.kind == TokenKind::integer;
    TT_ASSIGN(Node * node, make(is_int ? NodeKind::constant_int : NodeKind::constant_float, token.offset));
    if (is_int) {
      node->integer = token.integer;
    } else {
      node->real = token.real;
    }
    return node;
  }
  const DepthGuard guard(*this);
  if (guard.too_deep()) {
    return error(token, "expressions are nested too deeply", ErrorKind::limit_exceeded);
  }
  if (skip_op("(")) {
    TT_ASSIGN(Node * node, parse_tuple(true, "", true));
    TT_TRY(expect_op(")"));
    return node;
  }
  if (at_op("[")) {
    return parse_list();
  }
  if (at_op("{")) {
    return parse_dict();
  }
  return unexpected("an expression");
}

/// list: list.
NodeResult Parser::parse_list() {
  TT_ASSIGN(Node * node, make(NodeKind::list, next().offset));
  while (!at_op("]")) {
    if (!node->list.empty()) {
      TT_TRY(expect_op(","));
      if (at_op("]")) {
        break;
      }
    }
    TT_ASSIGN(Node * item, parse_expression());
    node->list.push_back(item);
  }
  next();
  return node;
}

/// dict: list keys, list2 values.
NodeResult Parser::parse_dict() {
  TT_ASSIGN(Node * node, make(NodeKind::dict, next().offset));
  while (!at_op("}")) {
    if (!node->list.empty()) {
      TT_TRY(expect_op(","));
      if (at_op("}")) {
        break;
      }
    }
    TT_ASSIGN(Node * key, parse_expression());
    TT_TRY(expect_op(":"));
    TT_ASSIGN(Node * value, parse_expression());
    node->list.push_back(key);
    node->list2.push_back(value);
  }
  next();
  return node;
}

NodeResult Parser::parse_postfix(Node* node) {
  while (true) {
    if (at_op(".") || at_op("[")) {
      TT_ASSIGN(node, parse_subscript(node));
    } else if (at_op("(")) {
      TT_ASSIGN(node, parse_call(node));
    } else {
      return node;
    }
  }
}

NodeResult Parser::parse_filters_and_tests(Node* node) {
  while (true) {
    if (at_op("|")) {
      TT_ASSIGN(node, parse_filter(node, false));
    } else if (at_name("is")) {
      TT_ASSIGN(node, parse_test(node));
    } else if (at_op("(")) {
      TT_ASSIGN(node, parse_call(node));
    } else {
      return node;
    }
  }
}

/// get_attribute: a object, name, constant.  get_item: a object, b key.
NodeResult Parser::parse_subscript(Node* object) {
  const Token& token = next();
  if (token.view == ".") {
    const Token& attribute = next();
    if (attribute.kind == TokenKind::name) {
      TT_ASSIGN(Node * node, make(NodeKind::get_attribute, attribute.offset));
      node->a = object;
      node->constant = add_string(std::string(attribute.view));
      return node;
    }
    if (attribute.kind != TokenKind::integer) {
      return error(attribute, "expected a name or an integer after \".\"");
    }
    TT_ASSIGN(Node * key, make(NodeKind::constant_int, attribute.offset));
    key->integer = attribute.integer;
    TT_ASSIGN(Node * node, make(NodeKind::get_item, attribute.offset));
    node->a = object;
    node->b = key;
    return node;
  }
  std::vector<const Node*> parts;
  while (!at_op("]")) {
    if (!parts.empty()) {
      TT_TRY(expect_op(","));
    }
    TT_ASSIGN(Node * part, parse_subscript_part());
    parts.push_back(part);
  }
  next();
  TT_ASSIGN(Node * node, make(NodeKind::get_item, token.offset));
  node->a = object;
  if (parts.size() == 1) {
    node->b = parts[0];
    return node;
  }
  TT_ASSIGN(Node * tuple, make(NodeKind::tuple, token.offset));
  tuple->list = std::move(parts);
  node->b = tuple;
  return node;
}

/// slice: a start, b stop, c step, each may be null.
NodeResult Parser::parse_subscript_part() {
  const uint32_t offset = current().offset;
  Node* start = nullptr;
  if (!at_op(":")) {
    TT_ASSIGN(start, parse_expression());
    if (!at_op(":")) {
      return start;
    }
  }
  next();
  TT_ASSIGN(Node * node, make(NodeKind::slice, offset));
  node->a = start;
  if (!at_op(":") && !at_op("]") && !at_op(",")) {
    TT_ASSIGN(node->b, parse_expression());
  }
  if (skip_op(":") && !at_op("]") && !at_op(",")) {
    TT_ASSIGN(node->c, parse_expression());
  }
  return node;
}

/// call: a callee, and the arguments as parse_arguments leaves them.
NodeResult Parser::parse_call(Node* callee) {
  TT_ASSIGN(Node * node, make(NodeKind::call, current().offset));
  node->a = callee;
  TT_TRY(parse_arguments(*node));
  return node;
}

/// list positional, keywords, dyn_args, dyn_kwargs.
Result<bool> Parser::parse_arguments(Node& call) {
  TT_TRY(expect_op("("));
  bool first = true;
  while (!at_op(")")) {
    if (!first) {
      TT_TRY(expect_op(","));
      if (at_op(")")) {
        break;
      }
    }
    first = false;
    const Token& token = current();
    const bool is_keyword =
        token.kind == TokenKind::name && look().kind == TokenKind::op && look().view == "=";
    bool allowed = call.dyn_kwargs == nullptr;
    if (skip_op("*")) {
      allowed = allowed && call.dyn_args == nullptr;
      TT_ASSIGN(call.dyn_args, parse_expression());
    } else if (skip_op("**")) {
      TT_ASSIGN(call.dyn_kwargs, parse_expression());
    } else if (is_keyword) {
      next();
      next();
      const NameId name = program_.intern(token.view);
      for (const Keyword& other : call.keywords) {
        allowed = allowed && other.name != name;
      }
      TT_ASSIGN(Node * value, parse_expression());
      call.keywords.push_back({name, value});
    } else {
      allowed = allowed && call.dyn_args == nullptr && call.keywords.empty();
      TT_ASSIGN(Node * value, parse_expression());
      call.list.push_back(value);
    }
    if (!allowed) {
      return error(token,
                   "this argument may not stand here: positional, named, *list and **dict arguments come in "
                   "that order, each name once");
    }
  }
  next();
  return true;
}

/// filter: a value (null in filter blocks), name, builtin, arguments. Chains nest through a.
NodeResult Parser::parse_filter(Node* value, bool inline_start) {
  while (inline_start || at_op("|")) {
    if (!inline_start) {
      next();
    }
    inline_start = false;
    const Token& token = current();
    TT_ASSIGN(const std::string_view first, expect_identifier());
    std::string name(first);
    while (skip_op(".")) {
      TT_ASSIGN(const std::string_view more, expect_identifier());
      name += "." + std::string(more);
    }
    TT_ASSIGN(Node * node, make(NodeKind::filter, token.offset));
    node->a = value;
    TT_TRY(bind_builtin(*node, name, true, token));
    if (at_op("(")) {
      TT_TRY(parse_arguments(*node));
    }
    value = node;
  }
  return value;
}

/// test: a value, name, builtin, arguments; under logical_not for "is not".
NodeResult Parser::parse_test(Node* value) {
  const uint32_t offset = next().offset;
  const bool negated = skip_name("not");
  const Token& token = current();
  TT_ASSIGN(const std::string_view first, expect_identifier());
  std::string name(first);
  while (skip_op(".")) {
    TT_ASSIGN(const std::string_view more, expect_identifier());
    name += "." + std::string(more);
  }
  TT_ASSIGN(Node * node, make(NodeKind::test, token.offset));
  node->a = value;
  TT_TRY(bind_builtin(*node, name, false, token));
  const TokenKind kind = current().kind;
  if (at_op("(")) {
    TT_TRY(parse_arguments(*node));
  } else if ((kind == TokenKind::name || kind == TokenKind::string || kind == TokenKind::integer ||
              kind == TokenKind::real || at_op("[") || at_op("{")) &&
             !at_name("else") && !at_name("or") && !at_name("and")) {
    if (at_name("is")) {
      return error(current(), "tests cannot be chained with \"is\"");
    }
    TT_ASSIGN(Node * argument, parse_primary());
    TT_ASSIGN(argument, parse_postfix(argument));
    node->list.push_back(argument);
  }
  if (!negated) {
    return node;
  }
  TT_ASSIGN(Node * inverted, make(NodeKind::logical_not, offset));
  inverted->a = node;
  return inverted;
}

}  // namespace tattletale::jinja

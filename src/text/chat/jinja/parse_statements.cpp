// Statements. Comments name the Node fields each one fills.
#include <algorithm>

#include "text/chat/jinja/parser.h"

namespace tattletale::jinja {

Result<std::vector<const Node*>> Parser::parse_template() {
  return parse_until({});
}

/// Nodes up to a block tag named in end_tags, which stays current; without end tags, to the end of the
/// template.
Result<std::vector<const Node*>> Parser::parse_until(EndTags end_tags) {
  std::vector<const Node*> body;
  while (current().kind != TokenKind::end) {
    const Token& token = next();
    if (token.kind == TokenKind::data) {
      TT_ASSIGN(Node * text, make(NodeKind::text, token.offset));
      text->constant = add_string(std::string(token.view));
      body.push_back(text);
    } else if (token.kind == TokenKind::variable_begin) {
      TT_ASSIGN(Node * output, make(NodeKind::output, token.offset));
      TT_ASSIGN(output->a, parse_tuple(true, "", false));
      TT_TRY(expect_kind(TokenKind::variable_end));
      body.push_back(output);
    } else {
      if (std::any_of(end_tags.begin(), end_tags.end(), [&](std::string_view tag) { return at_name(tag); })) {
        return body;
      }
      TT_ASSIGN(Node * statement, parse_statement());
      body.push_back(statement);
      TT_TRY(expect_kind(TokenKind::block_end));
    }
  }
  if (end_tags.size() > 0) {
    return unexpected("\"{% " + std::string(*(end_tags.end() - 1)) + " %}\"");
  }
  return body;
}

Result<std::vector<const Node*>> Parser::parse_body(EndTags end_tags) {
  skip_op(":");
  TT_TRY(expect_kind(TokenKind::block_end));
  return parse_until(end_tags);
}

Result<std::vector<const Node*>> Parser::parse_closed_body(std::string_view end_tag) {
  TT_ASSIGN(std::vector<const Node*> body, parse_body({end_tag}));
  next();
  return body;
}

NodeResult Parser::parse_statement() {
  const DepthGuard guard(*this);
  if (guard.too_deep()) {
    return error(current(),
                 "statements are nested deeper than " + std::to_string(kMaxSyntaxDepth) + " levels",
                 ErrorKind::limit_exceeded);
  }
  if (current().kind != TokenKind::name) {
    return unexpected("the name of a statement");
  }
  const bool outer_branch = optional_branch_;
  const std::string_view tag = current().view;
  if (tag != "if") {
    optional_branch_ = optional_branch_ && (tag == "set" || tag == "print");
  }
  NodeResult statement = parse_known_statement(tag);
  optional_branch_ = outer_branch;
  return statement;
}

NodeResult Parser::parse_known_statement(std::string_view tag) {
  if (tag == "for") return parse_for();
  if (tag == "if") return parse_if();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "print") return parse_print();
  if (tag == "with") return parse_with();
  if (tag == "generation") return parse_scope("endgeneration", false);
  if (tag == "autoescape") return parse_scope("endautoescape", true);
  if (tag == "break") return parse_loop_control(NodeKind::break_);
  if (tag == "continue") return parse_loop_control(NodeKind::continue_);
  for (std::string_view other : {"include", "import", "from", "extends", "block"}) {
    if (tag == other) {
      return error(current(), "{% " + std::string(tag) + " %} is not supported: a chat template is one file",
                   ErrorKind::unsupported);
    }
  }
  return error(current(), "there is no statement \"" + std::string(tag) + "\" here");
}

/// for_: a target, b iterable, c filter or null, list body, list2 else, flag recursive.
NodeResult Parser::parse_for() {
  TT_ASSIGN(Node * node, make(NodeKind::for_, next().offset));
  const Token& target_token = current();
  TT_ASSIGN(Node * target, parse_target(false, "in"));
  bool writes_loop = false;
  forbid_loop_name(*target, writes_loop);
  if (writes_loop) {
    return error(target_token, "cannot assign to the special variable \"loop\" here");
  }
  node->a = target;
  TT_TRY(expect_name("in"));
  TT_ASSIGN(node->b, parse_tuple(false, "recursive", false));
  if (skip_name("if")) {
    TT_ASSIGN(node->c, parse_expression());
  }
  node->flag = skip_name("recursive");
  ++loop_depth_;
  const size_t loop_reads = num_loop_reads_;
  auto body = parse_body({"else", "endfor"});
  node->uses_loop = node->flag || num_loop_reads_ > loop_reads;
  --loop_depth_;
  TT_ASSIGN(node->list, std::move(body));
  if (next().view == "else") {
    TT_ASSIGN(node->list2, parse_closed_body("endfor"));
  }
  return node;
}

/// if_: a test, list body, list2 else; an elif is an if_ in the list2 of the one before.
NodeResult Parser::parse_if() {
  TT_ASSIGN(Node * first, make(NodeKind::if_, next().offset));
  optional_branch_ = true;
  for (Node* node = first;;) {
    TT_ASSIGN(node->a, parse_tuple(false, "", false));
    TT_ASSIGN(node->list, parse_body({"elif", "else", "endif"}));
    const Token& token = next();
    if (token.view == "elif") {
      TT_ASSIGN(Node * inner, make(NodeKind::if_, token.offset));
      node->list2.push_back(inner);
      node = inner;
      continue;
    }
    if (token.view == "else") {
      TT_ASSIGN(node->list2, parse_closed_body("endif"));
    }
    return first;
  }
}

/// set: a target, b value.  set_block: a target, b filter chain over null or null, list body.
NodeResult Parser::parse_set() {
  const uint32_t offset = next().offset;
  TT_ASSIGN(Node * target, parse_target(true, ""));
  if (skip_op("=")) {
    TT_ASSIGN(Node * node, make(NodeKind::set, offset));
    node->a = target;
    TT_ASSIGN(node->b, parse_tuple(true, "", false));
    return node;
  }
  TT_ASSIGN(Node * node, make(NodeKind::set_block, offset));
  node->a = target;
  TT_ASSIGN(node->b, parse_filter(nullptr, false));
  TT_ASSIGN(node->list, parse_closed_body("endset"));
  return node;
}

/// with_: list targets, list2 values, then the body as a scope node in a.
NodeResult Parser::parse_with() {
  TT_ASSIGN(Node * node, make(NodeKind::with_, next().offset));
  while (current().kind != TokenKind::block_end) {
    if (!node->list.empty()) {
      TT_TRY(expect_op(","));
    }
    TT_ASSIGN(Node * target, parse_target(false, ""));
    TT_TRY(expect_op("="));
    TT_ASSIGN(Node * value, parse_expression());
    node->list.push_back(target);
    node->list2.push_back(value);
  }
  TT_ASSIGN(Node * scope, make(NodeKind::scope, node->offset));
  TT_ASSIGN(scope->list, parse_closed_body("endwith"));
  node->a = scope;
  return node;
}

/// macro: name, list parameters (name nodes), list2 defaults of the last of them, body as a scope node in a.
NodeResult Parser::parse_macro() {
  TT_ASSIGN(Node * node, make(NodeKind::macro, next().offset));
  TT_ASSIGN(const std::string_view name, expect_identifier());
  node->name = program_.intern(name);
  TT_TRY(parse_signature(*node));
  TT_TRY(parse_macro_body(*node, "endmacro"));
  return node;
}

Result<bool> Parser::parse_macro_body(Node& macro, std::string_view end_tag) {
  const size_t callers = num_caller_reads_;
  const size_t varargs = num_varargs_reads_;
  const size_t kwargs = num_kwargs_reads_;
  const int outer_loops = std::exchange(loop_depth_, 0);
  TT_ASSIGN(Node * scope, make(NodeKind::scope, macro.offset));
  auto body = parse_closed_body(end_tag);
  loop_depth_ = outer_loops;
  TT_ASSIGN(scope->list, std::move(body));
  macro.a = scope;
  macro.catch_caller = num_caller_reads_ > callers;
  macro.catch_varargs = num_varargs_reads_ > varargs;
  macro.catch_kwargs = num_kwargs_reads_ > kwargs;
  for (size_t i = 0; i < macro.list.size(); ++i) {
    const std::string& parameter = program_.names[macro.list[i]->name];
    macro.catch_varargs = macro.catch_varargs && parameter != "varargs";
    macro.catch_kwargs = macro.catch_kwargs && parameter != "kwargs";
    if (parameter == "caller" && macro.catch_caller) {
      if (i + macro.list2.size() < macro.list.size()) {
        return make_error(ErrorKind::invalid_argument, place_of(program_.name, program_.source, macro.offset),
                          "a macro parameter named \"caller\" needs a default");
      }
      macro.catch_caller = false;
    }
  }
  return true;
}

Result<bool> Parser::parse_signature(Node& macro) {
  TT_TRY(expect_op("("));
  while (!at_op(")")) {
    if (!macro.list.empty()) {
      TT_TRY(expect_op(","));
    }
    const Token& token = current();
    TT_ASSIGN(const std::string_view name, expect_identifier());
    TT_ASSIGN(Node * parameter, make(NodeKind::name, token.offset));
    parameter->name = program_.intern(name);
    TT_TRY(check_target(*parameter, token));
    for (const Node* other : macro.list) {
      if (other->name == parameter->name) {
        return error(token, "the parameter \"" + std::string(name) + "\" is there twice");
      }
    }
    if (skip_op("=")) {
      TT_ASSIGN(const Node* value, parse_expression());
      macro.list2.push_back(value);
    } else if (!macro.list2.empty()) {
      return error(token, "a parameter without a default follows one with a default");
    }
    macro.list.push_back(parameter);
  }
  next();
  return true;
}

/// call_block: b the call node, c the macro node that is the caller.
NodeResult Parser::parse_call_block() {
  TT_ASSIGN(Node * node, make(NodeKind::call_block, next().offset));
  TT_ASSIGN(Node * caller, make(NodeKind::macro, node->offset));
  caller->name = program_.intern("caller");
  if (at_op("(")) {
    TT_TRY(parse_signature(*caller));
  }
  const Token& call_token = current();
  TT_ASSIGN(node->b, parse_expression());
  if (node->b->kind != NodeKind::call) {
    return error(call_token, "expected a call of a macro here");
  }
  TT_TRY(parse_macro_body(*caller, "endcall"));
  node->c = caller;
  return node;
}

/// filter_block: b filter chain over null, list body.
NodeResult Parser::parse_filter_block() {
  TT_ASSIGN(Node * node, make(NodeKind::filter_block, next().offset));
  TT_ASSIGN(node->b, parse_filter(nullptr, true));
  TT_ASSIGN(node->list, parse_closed_body("endfilter"));
  return node;
}

/// print: a scope-less list of outputs, kept as an if_ whose test is absent.
NodeResult Parser::parse_print() {
  TT_ASSIGN(Node * node, make(NodeKind::if_, next().offset));
  while (current().kind != TokenKind::block_end) {
    if (!node->list.empty()) {
      TT_TRY(expect_op(","));
    }
    TT_ASSIGN(Node * output, make(NodeKind::output, current().offset));
    TT_ASSIGN(output->a, parse_expression());
    node->list.push_back(output);
  }
  return node;
}

/// scope: list body. {% generation %} marks what the model wrote; {% autoescape %} takes only a false value.
NodeResult Parser::parse_scope(std::string_view end_tag, bool has_expression) {
  TT_ASSIGN(Node * node, make(NodeKind::scope, next().offset));
  if (has_expression) {
    const Token& token = current();
    TT_ASSIGN(const Node* value, parse_expression());
    if (value->kind != NodeKind::constant_bool || value->flag) {
      return error(token, "only {% autoescape false %} is supported", ErrorKind::unsupported);
    }
  }
  const int outer_loops = has_expression ? loop_depth_ : std::exchange(loop_depth_, 0);
  auto body = parse_closed_body(end_tag);
  loop_depth_ = outer_loops;
  TT_ASSIGN(node->list, std::move(body));
  return node;
}

NodeResult Parser::parse_loop_control(NodeKind kind) {
  const Token& token = next();
  if (loop_depth_ == 0) {
    return error(token, "\"" + std::string(token.view) + "\" stands outside a loop");
  }
  return make(kind, token.offset);
}

NodeResult Parser::parse_target(bool allow_namespace, std::string_view end_name) {
  const Token& first = current();
  std::vector<const Node*> parts;
  bool is_tuple = false;
  while (!(is_tuple && (current().kind == TokenKind::block_end || at_op(")") || at_op("=") ||
                        (!end_name.empty() && at_name(end_name))))) {
    const Token& token = current();
    TT_ASSIGN(Node * part, parse_primary(allow_namespace));
    TT_TRY(check_target(*part, token));
    parts.push_back(part);
    if (!skip_op(",")) {
      break;
    }
    is_tuple = true;
  }
  if (!is_tuple) {
    return const_cast<Node*>(parts[0]);
  }
  TT_ASSIGN(Node * tuple, make(NodeKind::tuple, first.offset));
  tuple->list = std::move(parts);
  return tuple;
}

Result<bool> Parser::check_target(const Node& target, const Token& at) const {
  if (target.kind == NodeKind::tuple) {
    for (const Node* part : target.list) {
      TT_TRY(check_target(*part, at));
    }
    return true;
  }
  if (target.kind == NodeKind::name) {
    const std::string& name = program_.names[target.name];
    for (std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
      if (name == constant) {
        return error(at, "cannot assign to \"" + name + "\"");
      }
    }
    return true;
  }
  if (target.kind == NodeKind::namespace_target) {
    return true;
  }
  return error(at, "cannot assign to this expression; expected a name or a list of names");
}

void Parser::forbid_loop_name(const Node& target, bool& found) const {
  found = found || (target.kind == NodeKind::name && program_.names[target.name] == "loop");
  for (const Node* part : target.list) {
    forbid_loop_name(*part, found);
  }
}

}  // namespace tattletale::jinja

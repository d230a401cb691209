// Recursive descent from tokens to the syntax tree; statements in parse_statements.cpp, expressions in
// parse_expressions.cpp. The grammar is Jinja2's, with its precedences; nesting is capped at kMaxSyntaxDepth.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/jinja/ast.h"
#include "text/chat/jinja/token.h"

namespace tattletale::jinja {

using NodeResult = Result<Node*>;

class Parser {
 public:
  Parser(Program& program, std::vector<Token> tokens) : program_(program), tokens_(std::move(tokens)) {}

  Result<std::vector<const Node*>> parse_template();

 private:
  using EndTags = std::initializer_list<std::string_view>;

  // Tokens
  const Token& current() const { return tokens_[position_]; }
  const Token& look() const { return tokens_[position_ + 1 < tokens_.size() ? position_ + 1 : position_]; }
  const Token& next();
  bool at_op(std::string_view op) const { return current().kind == TokenKind::op && current().view == op; }
  bool at_name(std::string_view name) const {
    return current().kind == TokenKind::name && current().view == name;
  }
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  Result<bool> expect_op(std::string_view op);
  Result<bool> expect_name(std::string_view name);
  Result<bool> expect_kind(TokenKind kind);
  Result<std::string_view> expect_identifier();
  Error error(const Token& token, std::string what, ErrorKind kind = ErrorKind::invalid_argument) const;
  Error unexpected(std::string_view expected) const;

  // Nodes
  NodeResult make(NodeKind kind, uint32_t offset);
  uint32_t add_string(std::string text);
  NodeResult read_name(std::string_view name, uint32_t offset);

  // Statements
  Result<std::vector<const Node*>> parse_until(EndTags end_tags);
  Result<std::vector<const Node*>> parse_body(EndTags end_tags);
  Result<std::vector<const Node*>> parse_closed_body(std::string_view end_tag);
  NodeResult parse_statement();
  NodeResult parse_known_statement(std::string_view tag);
  NodeResult parse_for();
  NodeResult parse_if();
  NodeResult parse_set();
  NodeResult parse_with();
  NodeResult parse_macro();
  NodeResult parse_call_block();
  NodeResult parse_filter_block();
  NodeResult parse_print();
  NodeResult parse_scope(std::string_view end_tag, bool has_expression);
  NodeResult parse_loop_control(NodeKind kind);
  Result<bool> parse_signature(Node& macro);
  Result<bool> parse_macro_body(Node& macro, std::string_view end_tag);
  NodeResult parse_target(bool allow_namespace, std::string_view end_name);
  Result<bool> check_target(const Node& target, const Token& at) const;
  void forbid_loop_name(const Node& target, bool& found) const;

  // Expressions, by rising precedence
  NodeResult parse_tuple(bool with_condition, std::string_view end_name, bool parentheses);
  NodeResult parse_expression(bool with_condition = true);
  NodeResult parse_conditional();
  NodeResult parse_or();
  NodeResult parse_and();
  NodeResult parse_not();
  NodeResult parse_compare();
  NodeResult parse_sum();
  NodeResult parse_concat();
  NodeResult parse_product();
  NodeResult parse_power();
  NodeResult parse_unary(bool with_filter = true);
  NodeResult parse_primary(bool allow_namespace = false);
  NodeResult parse_list();
  NodeResult parse_dict();
  NodeResult parse_postfix(Node* node);
  NodeResult parse_filters_and_tests(Node* node);
  NodeResult parse_subscript(Node* object);
  NodeResult parse_subscript_part();
  NodeResult parse_call(Node* callee);
  NodeResult parse_filter(Node* value, bool inline_start);
  NodeResult parse_test(Node* value);
  Result<bool> parse_arguments(Node& call);
  NodeResult make_binary(Operator op, Node* left, Node* right, uint32_t offset);
  Result<bool> bind_builtin(Node& node, std::string_view name, bool is_filter, const Token& at);

  Program& program_;
  std::vector<Token> tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  int loop_depth_ = 0;
  /// Inside if or a conditional expression an unknown filter fails only when it runs, as in Jinja2.
  bool optional_branch_ = false;
  size_t num_caller_reads_ = 0, num_varargs_reads_ = 0, num_kwargs_reads_ = 0, num_loop_reads_ = 0;

  friend class DepthGuard;
};

/// Counts one level of syntax while it lives.
class DepthGuard {
 public:
  explicit DepthGuard(Parser& parser) : parser_(parser) { ++parser_.depth_; }
  ~DepthGuard() { --parser_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  bool too_deep() const { return parser_.depth_ > kMaxSyntaxDepth; }

 private:
  Parser& parser_;
};

}  // namespace tattletale::jinja

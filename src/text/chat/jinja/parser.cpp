// The parser's dealings with tokens and nodes, and the entry point.
#include "text/chat/jinja/parser.h"

namespace tattletale::jinja {
namespace {

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::data: return "text";
    case TokenKind::variable_begin: return "\"{{\"";
    case TokenKind::variable_end: return "\"}}\"";
    case TokenKind::block_begin: return "\"{%\"";
    case TokenKind::block_end: return "\"%}\"";
    case TokenKind::string: return "a string";
    case TokenKind::end: return "the end of the template";
    default: return "\"" + std::string(token.view) + "\"";
  }
}

}  // namespace

const Token& Parser::next() {
  const Token& token = tokens_[position_];
  if (position_ + 1 < tokens_.size()) {
    ++position_;
  }
  return token;
}

bool Parser::skip_op(std::string_view op) {
  const bool found = at_op(op);
  if (found) {
    next();
  }
  return found;
}

bool Parser::skip_name(std::string_view name) {
  const bool found = at_name(name);
  if (found) {
    next();
  }
  return found;
}

Error Parser::error(const Token& token, std::string what, ErrorKind kind) const {
  return make_error(kind, place_of(program_.name, program_.source, token.offset), std::move(what));
}

Error Parser::unexpected(std::string_view expected) const {
  return error(current(), "found " + describe(current()) + ", expected " + std::string(expected));
}

Result<bool> Parser::expect_op(std::string_view op) {
  if (!skip_op(op)) {
    return unexpected("\"" + std::string(op) + "\"");
  }
  return true;
}

Result<bool> Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) {
    return unexpected("\"" + std::string(name) + "\"");
  }
  return true;
}

Result<bool> Parser::expect_kind(TokenKind kind) {
  if (current().kind != kind) {
    return unexpected(describe(Token{.kind = kind}));
  }
  next();
  return true;
}

Result<std::string_view> Parser::expect_identifier() {
  if (current().kind != TokenKind::name) {
    return unexpected("a name");
  }
  return next().view;
}

NodeResult Parser::make(NodeKind kind, uint32_t offset) {
  if (program_.nodes.size() >= kMaxNodes) {
    return make_error(ErrorKind::limit_exceeded, place_of(program_.name, program_.source, offset),
                      "the template has more than " + std::to_string(kMaxNodes) + " syntax nodes");
  }
  Node& node = program_.nodes.emplace_back();
  node.kind = kind;
  node.offset = offset;
  return &node;
}

uint32_t Parser::add_string(std::string text) {
  program_.strings.push_back(std::move(text));
  return static_cast<uint32_t>(program_.strings.size() - 1);
}

NodeResult Parser::read_name(std::string_view name, uint32_t offset) {
  TT_ASSIGN(Node * node, make(NodeKind::name, offset));
  node->name = program_.intern(name);
  program_.name_is_read[node->name] = true;
  num_caller_reads_ += name == "caller";
  num_varargs_reads_ += name == "varargs";
  num_kwargs_reads_ += name == "kwargs";
  num_loop_reads_ += name == "loop";
  return node;
}

Result<bool> Parser::bind_builtin(Node& node, std::string_view name, bool is_filter, const Token& at) {
  node.name = program_.intern(name);
  node.builtin = is_filter ? find_filter(name) : find_test(name);
  if (node.builtin == nullptr && !optional_branch_) {
    return error(at,
                 std::string("there is no ") + (is_filter ? "filter" : "test") + " named \"" +
                     std::string(name) + "\"",
                 ErrorKind::unsupported);
  }
  return true;
}

Result<std::shared_ptr<const Program>> parse_program(std::string_view source, std::string_view name) {
  if (source.size() > kMaxSourceBytes) {
    return make_error(ErrorKind::limit_exceeded, std::string(name),
                      "the template has " + std::to_string(source.size()) + " bytes; at most " +
                          std::to_string(kMaxSourceBytes) + " are read");
  }
  auto program = std::make_shared<Program>();
  program->name = name;
  program->original = source;
  program->source = normalize_source(source);
  program->loop_name = program->intern("loop");
  program->caller_name = program->intern("caller");
  program->varargs_name = program->intern("varargs");
  program->kwargs_name = program->intern("kwargs");
  TT_ASSIGN(std::vector<Token> tokens, lex(program->source, program->name));
  TT_ASSIGN(program->body, Parser(*program, std::move(tokens)).parse_template());
  return std::shared_ptr<const Program>(std::move(program));
}

}  // namespace tattletale::jinja

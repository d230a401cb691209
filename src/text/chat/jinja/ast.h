// The syntax tree: plain nodes owned by one arena (Program), linked by pointers, never changed after parsing.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/chat/jinja/builtins.h"

namespace tattletale::jinja {

enum class NodeKind : uint8_t {
  // expressions
  constant_none,
  constant_bool,
  constant_int,
  constant_float,
  constant_string,
  name,
  list,
  tuple,
  dict,
  get_attribute,
  get_item,
  slice,
  call,
  filter,
  test,
  negate,
  plus,
  logical_not,
  logical_and,
  logical_or,
  compare,
  binary,
  concat,
  conditional,
  // statements
  text,
  output,
  if_,
  for_,
  set,
  set_block,
  macro,
  call_block,
  filter_block,
  with_,
  scope,
  break_,
  continue_,
  // assignment targets besides name and tuple
  namespace_target,
};

enum class Operator : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

using NameId = uint32_t;

struct Node;

struct Keyword {
  NameId name;
  const Node* value;
};

/// What each kind keeps where is said beside the parser function that makes it.
struct Node {
  NodeKind kind;
  Operator op = Operator::add;
  bool flag = false;           // constant_bool; for_: recursive; macro: see MacroInfo
  bool uses_loop = false;      // for_: the body reads `loop`
  bool catch_caller = false;   // macro: the body reads `caller`
  bool catch_varargs = false;  // macro: the body reads `varargs`
  bool catch_kwargs = false;   // macro: the body reads `kwargs`
  uint32_t offset = 0;         // bytes into the source, for errors
  NameId name = 0;             // name, attribute, filter, test, macro, namespace_target
  uint32_t constant = 0;       // constant_string, text: index into Program::strings
  union {
    int64_t integer = 0;  // constant_int
    double real;          // constant_float
    Builtin builtin;      // filter, test; null when the name is not known
  };
  const Node* a = nullptr;
  const Node* b = nullptr;
  const Node* c = nullptr;
  const Node* dyn_args = nullptr;    // call: *expression
  const Node* dyn_kwargs = nullptr;  // call: **expression
  std::vector<const Node*> list;
  std::vector<const Node*> list2;
  std::vector<Keyword> keywords;
  std::vector<Operator> ops;
};

struct Program {
  std::string name;
  std::string original;    // as given
  std::string source;      // normalized; tokens and texts view into it
  std::deque<Node> nodes;  // the arena
  std::vector<std::string> names;
  std::unordered_map<std::string, NameId> name_ids;
  std::vector<bool> name_is_read;
  std::vector<std::string> strings;
  std::vector<const Node*> body;
  NameId loop_name = 0, caller_name = 0, varargs_name = 0, kwargs_name = 0;

  NameId intern(std::string_view text) {
    auto [it, fresh] = name_ids.try_emplace(std::string(text), static_cast<NameId>(names.size()));
    if (fresh) {
      names.emplace_back(text);
      name_is_read.push_back(false);
    }
    return it->second;
  }
};

/// The nesting of expressions and statements one template may have; bounds the parser's native stack.
inline constexpr int kMaxSyntaxDepth = 150;
inline constexpr size_t kMaxSourceBytes = 1u << 20;
inline constexpr size_t kMaxNodes = 400'000;

/// Parses a whole template. Errors as Template::parse.
Result<std::shared_ptr<const Program>> parse_program(std::string_view source, std::string_view name);

}  // namespace tattletale::jinja

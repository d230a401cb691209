// One render: walks the syntax tree, keeps scopes, the value heap and the limits.
// Statements are in execute.cpp, expressions in evaluate.cpp, calls in calls.cpp, operators in operators.cpp,
// attributes and items in access.cpp, text of values in print.cpp. Lives for one render on one thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/chat/jinja/ast.h"
#include "text/chat/jinja/template.h"
#include "text/chat/jinja/value.h"

namespace tattletale::jinja {

struct Variable {
  NameId name;
  Value value;
};

/// The variables of one frame (loop body, macro call, with block). The template's own frame is
/// Interpreter::root_.
struct Scope {
  std::vector<Variable> variables;
  Scope* parent = nullptr;
  bool captured = false;  // a macro refers to it, so it must outlive its frame
};

enum class Flow : uint8_t { next, break_loop, continue_loop };

/// The values given for a builtin's parameters, by position; null where absent.
class Bound {
 public:
  const Value* operator[](size_t i) const { return values_[i]; }
  bool given(size_t i) const { return values_[i] != nullptr; }

 private:
  friend class Interpreter;
  static constexpr size_t kMaxParameters = 6;
  const Value* values_[kMaxParameters] = {};
};

struct JsonStyle {
  bool ensure_ascii = false;
  bool has_indent = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

class Interpreter {
 public:
  Interpreter(const Program& program, const RenderLimits& limits, const Clock& clock);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Result<std::string> render(const Json& context);

  // Errors and limits. Errors carry the place of the node at work.
  Error fail(std::string what, ErrorKind kind = ErrorKind::invalid_argument) const;
  Error fail_undefined(const Value& undefined) const;
  Error fail_type(std::string_view expected, const Value& found) const;
  /// Counts work; limit_exceeded past max_steps or max_value_bytes.
  Result<bool> step(uint64_t count = 1);
  /// To be called before building `bytes` of text or items.
  Result<bool> reserve(uint64_t bytes);
  /// Counts one level of native recursion while it lives.
  class Level {
   public:
    explicit Level(Interpreter& interpreter) : interpreter_(interpreter) { ++interpreter_.depth_; }
    ~Level() { --interpreter_.depth_; }
    Level(const Level&) = delete;
    Result<bool> check() const;

   private:
    Interpreter& interpreter_;
  };

  // Making values
  Value string(std::string text, bool safe = false);
  Value undefined(std::string message);
  Value undefined_name(std::string_view name);
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value iterator(std::vector<Value> items, const char* python_type = "generator");
  Value dict(Dict** out);
  Value method(Builtin function, const Value& self, std::string_view name);
  template <class T>
  T* make() {
    auto owned = std::make_unique<T>();
    T* object = owned.get();
    objects_.push_back(std::move(owned));
    container_bytes_ += sizeof(T) + 16;
    return object;
  }
  Result<Value> from_json(const Json& json, int depth = 0);
  Result<bool> dict_set(Dict& dict, Value key, Value value);

  // Text
  Result<std::string> str(const Value& value);
  Result<std::string> repr(const Value& value);
  Result<std::string> to_json(const Value& value, const JsonStyle& style);

  // Python protocols
  bool truthy(const Value& value) const;
  Result<uint64_t> hash(const Value& value);
  Result<bool> equal(const Value& a, const Value& b);
  Result<bool> less(const Value& a, const Value& b, std::string_view op = "<");
  Result<bool> compare(Operator op, const Value& a, const Value& b);
  Result<bool> contains(const Value& container, const Value& item);
  Result<int64_t> length(const Value& value);
  Result<std::vector<Value>> iterate(const Value& value);
  bool is_iterable(const Value& value) const;
  bool is_callable(const Value& value) const;
  Result<Value> binary(Operator op, const Value& a, const Value& b);
  Result<Value> get_attribute(const Value& object, std::string_view name);
  Result<Value> get_item(const Value& object, const Value& key);
  Result<Value> get_slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  Result<Value> call(const Value& callee, Args args);
  /// Stable; `keys` are compared, `items` come back in their order.
  Result<std::vector<Value>> sort(std::vector<Value> items, const std::vector<Value>& keys, bool reverse);

  // Arguments of builtins
  /// Sorts args into named parameters (at most 6); the first `num_required` must be there.
  Result<Bound> bind(std::string_view function, const Args& args,
                     std::initializer_list<std::string_view> parameters, size_t num_required);
  Result<int64_t> to_int(const Value& value);
  Result<int64_t> int_argument(const Bound& bound, size_t i, int64_t fallback);
  Result<std::string> string_argument(const Bound& bound, size_t i, std::string_view fallback);
  bool bool_argument(const Bound& bound, size_t i, bool fallback) const;
  /// A dotted path ("a.b.0") or an integer, looked up with the rules of item access.
  Result<Value> get_path(const Value& object, const Value& path);

  // What some builtins need of the render
  Result<std::string> printf_format(const std::string& format, const Value& arguments);
  Result<std::string> brace_format(const std::string& format, const Args& args);
  const Clock& clock() const { return clock_; }
  /// The caller's position in a recursive loop: renders its body for other items.
  Result<Value> call_loop(const Loop& loop, const Value& items);

 private:
  // Scopes
  Scope* push_scope(Scope* parent);
  void pop_scope(Scope* scope);
  Result<Value> lookup(NameId name);
  void assign(NameId name, Value value);
  Result<bool> assign_target(const Node& target, const Value& value);
  Value resolve_global(NameId name);
  void capture_scopes();

  // Statements
  Result<Flow> execute(std::span<const Node* const> body);
  Result<Flow> execute_node(const Node& node);
  Result<Flow> execute_scope(const Node& node);
  Result<Flow> execute_with(const Node& node);
  Result<Flow> execute_set(const Node& node);
  Result<Flow> execute_for(const Node& node);
  Result<Flow> run_loop(const Node& node, const Value& iterable, int64_t depth0);
  Result<bool> run_iterations(const Node& node, const std::vector<Value>& items, Loop* loop, Scope& scope);
  Result<std::vector<Value>> filter_items(const Node& node, std::vector<Value> items);
  Result<bool> execute_call_block(const Node& node);
  Result<std::string> capture(std::span<const Node* const> body);
  Result<bool> write(std::string_view text);
  Value make_macro(const Node& node);

  // Expressions
  Result<Value> evaluate(const Node& node);
  Result<Value> evaluate_inner(const Node& node);
  Result<Value> evaluate_binary(const Node& node);
  Result<Value> evaluate_dict(const Node& node);
  Result<Value> evaluate_compare(const Node& node);
  Result<Value> evaluate_concat(const Node& node);
  Result<Value> evaluate_item(const Node& node);
  Result<Value> evaluate_call(const Node& node, const Value* caller);
  Result<Value> evaluate_builtin(const Node& node, const Value& self);
  Result<Value> evaluate_filter_chain(const Node& node, const Value& input);
  Result<std::vector<Value>> evaluate_list(const std::vector<const Node*>& nodes);
  Result<Args> evaluate_arguments(const Node& node);
  Result<Value> constant_string(uint32_t index);

  // Calls and printing
  Result<Value> call_macro(const Macro& macro, Args& args);
  Result<bool> bind_macro(const Macro& macro, Args& args, Scope& scope);
  Result<bool> append_repr(std::string& out, const Value& value);
  Result<bool> append_items(std::string& out, std::span<const Value> items);
  Result<bool> append_json(std::string& out, const Value& value, const JsonStyle& style, int level);
  Result<bool> append_json_dict(std::string& out, const Dict& dict, const JsonStyle& style, int level);
  Result<bool> sequences_equal(std::span<const Value> a, std::span<const Value> b, bool& equal);
  Result<Value> add(const Value& a, const Value& b);
  Result<Value> multiply(const Value& a, const Value& b);
  Result<Value> arithmetic(Operator op, const Value& a, const Value& b);
  Result<Value> integer_arithmetic(Operator op, int64_t a, int64_t b);
  Result<Value> real_arithmetic(Operator op, double a, double b);
  Result<Value> loop_attribute(const Value& object, std::string_view name);

  const Program& program_;
  RenderLimits limits_;
  Clock clock_;
  uint64_t steps_ = 0;
  int depth_ = 0;
  uint32_t at_ = 0;  // source offset of the node at work
  Account account_;
  uint64_t container_bytes_ = 0;
  uint64_t captured_bytes_ = 0;
  std::string* out_ = nullptr;
  bool capturing_ = false;
  Scope* scope_ = nullptr;        // null: the root frame
  std::vector<bool> root_set_;    // by NameId
  std::vector<Value> root_;       // by NameId
  std::vector<Value> constants_;  // by string index, made when first used
  std::vector<bool> constant_made_;
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::vector<Scope*> free_scopes_;
};

/// Python's repr of a float and of a text.
std::string format_real(double value);
void append_quoted(std::string& out, std::string_view text);

}  // namespace tattletale::jinja

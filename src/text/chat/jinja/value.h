// The values a template computes with: Python's, as far as templates see them. Strings are counted by
// reference and freed early; everything else lives in the Heap of one render and is freed with it, so that a
// namespace holding itself or a macro holding its scope cannot leak. Not thread-safe: one render, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/jinja/builtins.h"

namespace tattletale::jinja {

struct Node;
struct Scope;

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  dict_view,
  range,
  iterator,
  name_space,
  macro,
  function,
  method,
  loop,
  cycler,
  joiner,
};

/// Bytes that the values of a render hold at this moment.
struct Account {
  uint64_t live_bytes = 0;
};

struct Text {
  std::string bytes;  // UTF-8; broken bytes count as one character each
  Account* account;
  uint32_t refs = 1;
  bool safe = false;    // Markup: made by |safe or |escape
  int64_t length = -1;  // characters, once counted
};

struct Object {
  virtual ~Object() = default;
};

struct List;
struct Dict;
struct DictView;
struct Range;
struct Iterator;
struct Namespace;
struct Macro;
struct Function;
struct Method;
struct Loop;
struct Cycler;
struct Joiner;

class Value {
 public:
  Value() : kind_(Kind::none), integer_(0) {}
  Value(const Value& other) : kind_(other.kind_), integer_(other.integer_) { retain(); }
  Value(Value&& other) noexcept : kind_(other.kind_), integer_(other.integer_) { other.kind_ = Kind::none; }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(integer_, other.integer_);
    return *this;
  }
  ~Value() { release(); }

  static Value boolean(bool value) {
    Value v;
    v.kind_ = Kind::boolean;
    v.integer_ = value;
    return v;
  }
  static Value integer(int64_t value) {
    Value v;
    v.kind_ = Kind::integer;
    v.integer_ = value;
    return v;
  }
  static Value real(double value) {
    Value v;
    v.kind_ = Kind::real;
    v.real_ = value;
    return v;
  }
  /// Takes over one reference. An undefined value's text is its error message.
  static Value text(Kind kind, Text* text) {
    Value v;
    v.kind_ = kind;
    v.text_ = text;
    return v;
  }
  static Value object(Kind kind, Object* object) {
    Value v;
    v.kind_ = kind;
    v.object_ = object;
    return v;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_number() const { return kind_ == Kind::boolean || kind_ == Kind::integer || kind_ == Kind::real; }
  /// bool is an int, as in Python.
  bool is_integral() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }
  bool is_sequence() const { return kind_ == Kind::list || kind_ == Kind::tuple; }

  bool as_bool() const { return integer_ != 0; }
  int64_t as_int() const { return integer_; }
  double as_double() const { return kind_ == Kind::real ? real_ : static_cast<double>(integer_); }
  const std::string& as_string() const { return text_->bytes; }
  Text* text() const { return text_; }
  bool is_safe() const { return kind_ == Kind::string && text_->safe; }
  template <class T>
  T* as() const {
    return static_cast<T*>(object_);
  }
  List* list() const { return reinterpret_cast<List*>(object_); }
  const void* identity() const { return object_; }

 private:
  bool counted() const { return kind_ == Kind::string || kind_ == Kind::undefined; }
  void retain() {
    if (counted()) {
      ++text_->refs;
    }
  }
  void release() {
    if (counted() && --text_->refs == 0) {
      text_->account->live_bytes -= text_->bytes.capacity() + sizeof(Text);
      delete text_;
    }
  }

  Kind kind_;
  union {
    int64_t integer_;
    double real_;
    Text* text_;
    Object* object_;
  };
};

/// list and tuple.
struct List : Object {
  std::vector<Value> items;
  bool is_group = false;  // a tuple of groupby: has .grouper and .list
};

/// Insertion-ordered; keys are hashable values, 1, 1.0 and true being one key as in Python.
struct Dict : Object {
  struct Entry {
    Value key;
    Value value;
    uint64_t hash;
  };
  std::vector<Entry> entries;
  std::vector<uint32_t> index;  // open addressing, built past a few entries; 0 = free, else entry + 1

  const Value* find(const Value& key, uint64_t hash) const;
  const Value* find(std::string_view key) const;
  void set(Value key, uint64_t hash, Value value);
  void set(const Value& string_key, Value value);

 private:
  int64_t position(const Value& key, uint64_t hash) const;
  void rebuild_index();
};

struct DictView : Object {
  enum What : uint8_t { keys, values, items };
  const Dict* dict = nullptr;
  What what = keys;
};

struct Range : Object {
  int64_t start = 0, stop = 0, step = 1;
  int64_t length() const;
};

/// A generator: yields each item once, and prints as one.
struct Iterator : Object {
  std::vector<Value> items;
  size_t next = 0;
  const char* python_type = "generator";
};

struct Namespace : Object {
  Dict attributes;
};

struct Macro : Object {
  const Node* node = nullptr;
  Scope* closure = nullptr;
};

struct Function : Object {
  Builtin function = nullptr;
  std::string_view name;
};

struct Method : Object {
  Builtin function = nullptr;
  Value self;
  std::string_view name;
};

struct Loop : Object {
  const std::vector<Value>* items = nullptr;  // null once the loop has ended
  size_t length = 0;
  size_t index0 = 0;
  int64_t depth0 = 0;
  const Node* node = nullptr;  // the recursive loop, else null
  Scope* closure = nullptr;
  bool has_changed_values = false;
  std::vector<Value> changed_values;
};

struct Cycler : Object {
  std::vector<Value> items;
  size_t position = 0;
};

struct Joiner : Object {
  Value separator;
  bool used = false;
};

struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// The hash of a string key; equal strings hash equally within one process.
uint64_t hash_string(std::string_view text);
/// The hash of a scalar; tuples are hashed by the interpreter, which bounds their depth.
uint64_t hash_scalar(const Value& value);
/// Equality of values that are not containers (containers: Interpreter::equal).
bool scalars_equal(const Value& a, const Value& b);
/// Key equality; tuples compare item by item. Depth is bounded by what hashing admitted.
bool keys_equal(const Value& a, const Value& b);

/// Python's type name: "str", "dict", "NoneType".
std::string_view type_name(const Value& value);

}  // namespace tattletale::jinja

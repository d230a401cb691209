// Filters, tests, methods and global functions share one signature and are found by name in these tables.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tattletale::jinja {

class Interpreter;
class Value;
struct Args;

/// `self` is the filtered or tested value, or the object of a method; none for global functions.
using Builtin = Result<Value> (*)(Interpreter& interpreter, const Value& self, Args& args);

/// Null when there is none of that name.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);
Builtin find_global(std::string_view name);
Builtin find_string_method(std::string_view name);
Builtin find_dict_method(std::string_view name);
Builtin find_list_method(std::string_view name);
Builtin find_tuple_method(std::string_view name);

struct BuiltinEntry {
  std::string_view name;
  Builtin function;
};

}  // namespace tattletale::jinja

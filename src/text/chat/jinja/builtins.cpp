// Looks builtins up by name in the tables of their files.
#include "text/chat/jinja/builtins.h"

#include "text/chat/jinja/filters.h"

namespace tattletale::jinja {
namespace {

Builtin find_in(std::span<const BuiltinEntry> table, std::string_view name) {
  for (const BuiltinEntry& entry : table) {
    if (entry.name == name) {
      return entry.function;
    }
  }
  return nullptr;
}

}  // namespace

Builtin find_filter(std::string_view name) {
  const Builtin found = find_in(kTextFilterTable, name);
  return found != nullptr ? found : find_in(kSequenceFilterTable, name);
}
Builtin find_test(std::string_view name) {
  return find_in(kTestTable, name);
}
Builtin find_global(std::string_view name) {
  return find_in(kGlobalTable, name);
}
Builtin find_string_method(std::string_view name) {
  return find_in(kStringMethodTable, name);
}
Builtin find_dict_method(std::string_view name) {
  return find_in(kDictMethodTable, name);
}
Builtin find_list_method(std::string_view name) {
  return find_in(kListMethodTable, name);
}
Builtin find_tuple_method(std::string_view name) {
  return find_in(kTupleMethodTable, name);
}

}  // namespace tattletale::jinja

// What the files of builtins share. Each defines a table; builtins.cpp joins the tables.
#pragma once

#include <span>
#include <string>

#include "text/chat/jinja/interpreter.h"

namespace tattletale::jinja {

extern const std::span<const BuiltinEntry> kTextFilterTable;      // filters_text.cpp
extern const std::span<const BuiltinEntry> kSequenceFilterTable;  // filters_sequence.cpp
extern const std::span<const BuiltinEntry> kTestTable;            // tests.cpp
extern const std::span<const BuiltinEntry> kStringMethodTable;    // methods_string.cpp
extern const std::span<const BuiltinEntry> kDictMethodTable;      // methods_container.cpp
extern const std::span<const BuiltinEntry> kListMethodTable;      // methods_container.cpp
extern const std::span<const BuiltinEntry> kTupleMethodTable;     // methods_container.cpp
extern const std::span<const BuiltinEntry> kGlobalTable;          // globals.cpp

/// str.replace with the size of the result checked first.
Result<Value> replace_checked(Interpreter& interpreter, const std::string& text, const std::string& from,
                              const std::string& to, int64_t count);

/// Python's strftime of a time given as seconds since 1970, already shifted to the wanted zone.
std::string format_time(std::string_view format, int64_t local_seconds);

}  // namespace tattletale::jinja

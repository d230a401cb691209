// JSON in and out. Object keys keep their order, since chat templates print dictionaries.
// Parsing never throws and bounds nesting, so a hostile document cannot exhaust the stack.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tattletale {

using Json = nlohmann::ordered_json;

inline constexpr int kMaxJsonDepth = 128;

/// Parses one document. `where` names the source in errors (a path, "request body").
/// Errors: bad_file with the byte offset of the fault; limit_exceeded past kMaxJsonDepth levels.
Result<Json> parse_json(std::string_view text, std::string_view where);

}  // namespace tattletale

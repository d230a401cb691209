#include "base/json.h"

namespace tattletale {
namespace {

/// The deepest nesting of brackets outside strings; linear, without recursion.
int bracket_depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where) {
  if (bracket_depth(text) > kMaxJsonDepth) {
    return make_error(ErrorKind::limit_exceeded, std::string(where),
                      "JSON is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& fault) {
    return make_error(ErrorKind::bad_file, std::string(where),
                      "not valid JSON at byte " + std::to_string(fault.byte) + ": " + fault.what());
  } catch (const nlohmann::json::exception& fault) {
    return make_error(ErrorKind::bad_file, std::string(where),
                      std::string("not valid JSON: ") + fault.what());
  }
}

}  // namespace tattletale

// Fuzzes the template engine: the input is a template, optionally followed by a NUL and a JSON context.
// Any outcome is fine but a crash, a leak, a sanitizer report or a hang.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/chat/jinja/template.h"

using namespace tattletale;

static const Json& default_context() {
  static const Json context = *parse_json(
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":" h\u00e9\n"},)"
      R"({"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"a":[1,2.5]}}}]}],)"
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],)"
      R"("n":7,"s":"Hello World","l":[3,1,2],"d":{"b":1,"a":"x"},"add_generation_prompt":true})",
      "context");
  return context;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Json given;
  const size_t end = text.find('\0');
  if (end != std::string_view::npos) {
    auto parsed = parse_json(text.substr(end + 1), "context");
    if (parsed && parsed->is_object()) {
      given = std::move(*parsed);
    }
    text = text.substr(0, end);
  }
  auto parsed = jinja::Template::parse(text, "fuzz");
  if (!parsed) {
    return 0;
  }
  jinja::RenderLimits limits;
  limits.max_steps = 200'000;
  limits.max_output_bytes = 1 << 20;
  limits.max_value_bytes = 16 << 20;
  jinja::Clock clock;
  clock.unix_seconds = 1'700'000'000;
  (void)parsed->render(given.is_object() ? given : default_context(), limits, clock);
  return 0;
}

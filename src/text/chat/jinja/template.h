// A sandboxed Jinja template: parsed once, rendered many times in bounded time and memory.
// Speaks the language of Jinja2 3.1 as Hugging Face transformers sets it up for chat templates:
// ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, {% generation %}, tojson.
// Does not load other templates (include, import, extends are refused) and reaches nothing outside its
// context.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace tattletale::jinja {

/// What one render may use. Passing a limit is limit_exceeded with template name, line and column.
struct RenderLimits {
  uint64_t max_output_bytes = 64ull << 20;  // text produced
  uint64_t max_steps = 50'000'000;  // evaluated nodes plus elements and bytes (in 64s) touched by operations
  uint64_t max_value_bytes = 256ull << 20;  // bytes of all values made during the render, freed or not
  int max_depth = 400;  // nested macro calls, blocks, expressions and values; at most 400 count
};

/// What strftime_now reads. Unset means the system's clock in local time.
struct Clock {
  std::optional<int64_t> unix_seconds;  // seconds since 1970-01-01T00:00:00Z
  int32_t utc_offset_seconds = 0;       // used only with unix_seconds
};

struct Program;  // the syntax tree (ast.h)

/// Parsing and rendering need up to about 1 MiB of the calling thread's stack.
/// Immutable; copies share the tree; render may run on many threads at once.
class Template {
 public:
  /// Parses `source`. `name` stands in errors as "name:line:column".
  /// Errors: invalid_argument (syntax), unsupported (include, import, extends, block, unknown filter or
  /// test), limit_exceeded (source above 1 MiB, nesting too deep).
  static Result<Template> parse(std::string_view source, std::string_view name);

  /// Renders with the members of `context` (an object) as variables.
  /// Errors: invalid_argument (raise_exception, type errors, undefined attributes), limit_exceeded,
  /// unsupported.
  Result<std::string> render(const Json& context, const RenderLimits& limits = {},
                             const Clock& clock = {}) const;

  /// True where the template reads a variable of that name.
  bool mentions(std::string_view variable) const;

  const std::string& source() const;
  const std::string& name() const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace tattletale::jinja

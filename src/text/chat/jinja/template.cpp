#include "text/chat/jinja/template.h"

#include "text/chat/jinja/interpreter.h"

namespace tattletale::jinja {

Result<Template> Template::parse(std::string_view source, std::string_view name) {
  TT_ASSIGN(std::shared_ptr<const Program> program, parse_program(source, name));
  return Template(std::move(program));
}

Result<std::string> Template::render(const Json& context, const RenderLimits& limits,
                                     const Clock& clock) const {
  return Interpreter(*program_, limits, clock).render(context);
}

bool Template::mentions(std::string_view variable) const {
  auto id = program_->name_ids.find(std::string(variable));
  return id != program_->name_ids.end() && program_->name_is_read[id->second];
}

const std::string& Template::source() const {
  return program_->original;
}
const std::string& Template::name() const {
  return program_->name;
}

}  // namespace tattletale::jinja

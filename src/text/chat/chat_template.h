// A model's chat template: from messages and tools to the prompt text its tokenizer reads.
// Does not tokenize, and does not parse what the model answers (tool calls, reasoning).
// The template language lives in jinja/; the behaviour follows Hugging Face's apply_chat_template.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/chat/jinja/template.h"

namespace tattletale {

/// One turn. `content` is a string, null, or a list of parts ({"type": "text", "text": ...}).
struct ChatMessage {
  std::string role;
  Json content;
  std::string name;               // empty: absent
  std::string tool_call_id;       // empty: absent
  std::string reasoning_content;  // empty: absent
  Json tool_calls;                // null, or a list as in the OpenAI API
  Json extra;                     // null, or an object of further keys, passed to the template as they are
};

/// The object a template sees. Keys that are absent stay undefined in the template.
Json chat_message_to_json(const ChatMessage& message);

/// Reads an OpenAI-style message. Arguments of tool calls given as JSON text become objects, as templates
/// want. Errors: invalid_argument naming the field, what was found and what was expected.
Result<ChatMessage> chat_message_from_json(const Json& json);

struct ChatRenderOptions {
  bool add_generation_prompt = true;
  Json tools;      // null, or a list of tool definitions ({"type": "function", "function": {...}})
  Json documents;  // null, or a list of documents for templates that know them
  Json extra = Json::object();  // further template variables (enable_thinking, date_string, ...)
  std::string bos_token;
  std::string eos_token;
  jinja::RenderLimits limits;
  jinja::Clock clock;  // what strftime_now reads; unset fields mean the system's clock
};

/// A parsed template. Immutable; render may run on many threads at once.
class ChatTemplate {
 public:
  /// Parses a template the model carries. `name` is used in errors ("tokenizer_config.json").
  /// Errors: invalid_argument (syntax, with line and column), unsupported (include, extends, import).
  static Result<ChatTemplate> parse(std::string_view source, std::string_view name);

  /// A template of our own for models that carry none: "chatml", "llama3", "gemma", "mistral".
  /// Errors: not_found, naming the known ones.
  static Result<ChatTemplate> builtin(std::string_view name);

  /// The names builtin() knows.
  static std::vector<std::string_view> builtin_names();

  /// The prompt. `messages` is a list of message objects.
  /// Errors: invalid_argument (the messages' shape; the template's raise_exception or failed operation, with
  /// line and column), limit_exceeded (RenderLimits), unsupported (a construct or filter not known).
  Result<std::string> render(const Json& messages, const ChatRenderOptions& options) const;
  Result<std::string> render(const std::vector<ChatMessage>& messages,
                             const ChatRenderOptions& options) const;

  /// True where the template mentions the variable by name, e.g. "tools" or "enable_thinking".
  bool mentions(std::string_view variable) const;

  const std::string& source() const { return template_.source(); }

 private:
  explicit ChatTemplate(jinja::Template parsed) : template_(std::move(parsed)) {}
  jinja::Template template_;
};

}  // namespace tattletale

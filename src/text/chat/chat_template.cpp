#include "text/chat/chat_template.h"

#include "text/chat/builtin_templates.h"

namespace tattletale {
namespace {

Error bad_message(size_t index, std::string what) {
  return make_error(ErrorKind::invalid_argument, "messages[" + std::to_string(index) + "]", std::move(what));
}

Result<bool> check_messages(const Json& messages) {
  if (!messages.is_array()) {
    return make_error(ErrorKind::invalid_argument, "messages",
                      std::string("expected a list of messages, found ") + messages.type_name());
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    if (!message.is_object()) {
      return bad_message(i, std::string("expected an object, found ") + message.type_name());
    }
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string()) {
      return bad_message(i, "the message has no \"role\" text; expected system, user, assistant or tool");
    }
    const auto content = message.find("content");
    if (content != message.end() && !content->is_string() && !content->is_null() && !content->is_array()) {
      return bad_message(i, std::string("\"content\" must be a text, null or a list of parts, found ") +
                                content->type_name());
    }
  }
  return true;
}

/// Takes an optional text member into `out`.
Result<bool> take_text(const Json& json, const char* key, std::string& out) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) {
    return true;
  }
  if (!found->is_string()) {
    return make_error(ErrorKind::invalid_argument, key,
                      std::string("expected a text, found ") + found->type_name());
  }
  out = found->get<std::string>();
  return true;
}

/// Replaces arguments given as JSON text by the object they describe; text that is no object stays.
void parse_arguments(Json& tool_calls) {
  for (Json& call : tool_calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) {
      continue;
    }
    Json& function = call["function"];
    const auto arguments = function.find("arguments");
    if (arguments != function.end() && arguments->is_string()) {
      auto parsed = parse_json(arguments->get_ref<const std::string&>(), "tool_calls.function.arguments");
      if (parsed && parsed->is_object()) {
        *arguments = std::move(*parsed);
      }
    }
  }
}

}  // namespace

Json chat_message_to_json(const ChatMessage& message) {
  Json json = Json::object();
  json["role"] = message.role;
  json["content"] = message.content;
  const auto add_text = [&](const char* key, const std::string& text) {
    if (!text.empty()) {
      json[key] = text;
    }
  };
  add_text("name", message.name);
  add_text("tool_call_id", message.tool_call_id);
  add_text("reasoning_content", message.reasoning_content);
  if (!message.tool_calls.is_null()) {
    json["tool_calls"] = message.tool_calls;
  }
  if (message.extra.is_object()) {
    for (const auto& [key, value] : message.extra.items()) {
      json[key] = value;
    }
  }
  return json;
}

Result<ChatMessage> chat_message_from_json(const Json& json) {
  TT_TRY(check_messages(Json::array({json})));
  ChatMessage message;
  message.role = json["role"].get<std::string>();
  TT_TRY(take_text(json, "name", message.name));
  TT_TRY(take_text(json, "tool_call_id", message.tool_call_id));
  TT_TRY(take_text(json, "reasoning_content", message.reasoning_content));
  message.extra = Json::object();
  for (const auto& [key, value] : json.items()) {
    if (key == "content") {
      message.content = value;
    } else if (key == "tool_calls" && !value.is_null()) {
      if (!value.is_array()) {
        return make_error(ErrorKind::invalid_argument, "tool_calls",
                          std::string("expected a list of calls, found ") + value.type_name());
      }
      message.tool_calls = value;
      parse_arguments(message.tool_calls);
    } else if (key != "role" && key != "name" && key != "tool_call_id" && key != "reasoning_content" &&
               key != "tool_calls") {
      message.extra[key] = value;
    }
  }
  return message;
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, std::string_view name) {
  TT_ASSIGN(jinja::Template parsed, jinja::Template::parse(source, name));
  return ChatTemplate(std::move(parsed));
}

Result<ChatTemplate> ChatTemplate::builtin(std::string_view name) {
  std::string known;
  for (const BuiltinTemplate& entry : kBuiltinTemplates) {
    if (entry.name == name) {
      return parse(entry.source, "built-in template " + std::string(name));
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return make_error(ErrorKind::not_found, "chat template",
                    "there is no built-in template \"" + std::string(name) + "\"; known are " + known +
                        ", or give the model's own template");
}

std::vector<std::string_view> ChatTemplate::builtin_names() {
  std::vector<std::string_view> names;
  for (const BuiltinTemplate& entry : kBuiltinTemplates) {
    names.push_back(entry.name);
  }
  return names;
}

Result<std::string> ChatTemplate::render(const Json& messages, const ChatRenderOptions& options) const {
  TT_TRY(check_messages(messages));
  Json context = options.extra.is_object() ? options.extra : Json::object();
  context["messages"] = messages;
  context["tools"] = options.tools;
  context["documents"] = options.documents;
  context["add_generation_prompt"] = options.add_generation_prompt;
  context["bos_token"] = options.bos_token;
  context["eos_token"] = options.eos_token;
  return template_.render(context, options.limits, options.clock);
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage>& messages,
                                         const ChatRenderOptions& options) const {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back(chat_message_to_json(message));
  }
  return render(list, options);
}

bool ChatTemplate::mentions(std::string_view variable) const {
  return template_.mentions(variable);
}

}  // namespace tattletale

// Whole chat templates against what Jinja2 renders for the same conversations, and the chat layer's own
// rules. Set TATTLETALE_CHAT_TEMPLATES to a folder prepared by tools/fixtures/chat_templates.py to check more
// templates.
#include "text/chat/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tattletale {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::string> render_case(const std::string& source, const std::string& name,
                                const Json& conversation) {
  TT_ASSIGN(const ChatTemplate chat, ChatTemplate::parse(source, name));
  ChatRenderOptions options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  options.tools = conversation.value("tools", Json());
  options.documents = conversation.value("documents", Json());
  options.add_generation_prompt = conversation.value("add_generation_prompt", true);
  options.extra = conversation.value("extra", Json::object());
  options.clock.unix_seconds = 1'700'000'000;
  return chat.render(conversation["messages"], options);
}

/// Compares a folder; returns how many renderings were compared.
size_t check_folder(const std::string& folder) {
  auto data = parse_json(read_text(folder + "/rendered.json"), "rendered.json");
  if (!data) {
    ADD_FAILURE() << data.error().message();
    return 0;
  }
  for (const Json& entry : (*data)["cases"]) {
    const std::string file = entry["template"];
    const std::string conversation = entry["conversation"];
    const auto output =
        render_case(read_text(folder + "/" + file), file, (*data)["conversations"][conversation]);
    if (entry["output"].is_null()) {
      EXPECT_FALSE(output) << file << " " << conversation << "\nJinja2 raises, found: " << *output;
    } else if (!output) {
      ADD_FAILURE() << file << " " << conversation << ": " << output.error().message();
    } else {
      EXPECT_EQ(*output, entry["output"].get<std::string>()) << file << " " << conversation;
    }
  }
  return (*data)["cases"].size();
}

TEST(chat_template, renders_as_jinja2) {
  EXPECT_GE(check_folder(TT_TEST_DATA "/chat/templates"), 170u);
}

TEST(chat_template, renders_local_templates_as_jinja2) {
  const char* folder = std::getenv("TATTLETALE_CHAT_TEMPLATES");
  if (folder == nullptr) {
    GTEST_SKIP() << "TATTLETALE_CHAT_TEMPLATES names no folder of further templates";
  }
  EXPECT_GT(check_folder(folder), 0u);
}

TEST(chat_template, builtins_render) {
  const Json messages = {{{"role", "system"}, {"content", "S"}},
                         {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "U"}}}}},
                         {{"role", "assistant"}, {"content", "A"}},
                         {{"role", "user"}, {"content", "V"}}};
  ChatRenderOptions options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  const std::pair<const char*, const char*> expected[] = {
      {"chatml",
       "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
       "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n"},
      {"llama3",
       "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>"
       "\n\n"
       "U<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user"
       "<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"gemma",
       "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n<start_of_turn>"
       "user\n"
       "V<end_of_turn>\n<start_of_turn>model\n"},
      {"mistral", "<s>[INST] S\n\nU [/INST] A</s>[INST] V [/INST]"},
  };
  for (const auto& [name, text] : expected) {
    auto chat = ChatTemplate::builtin(name);
    ASSERT_TRUE(chat) << chat.error().message();
    const auto output = chat->render(messages, options);
    ASSERT_TRUE(output) << output.error().message();
    EXPECT_EQ(*output, text) << name;
    options.tools = Json::array({Json::object()});
    EXPECT_FALSE(chat->render(messages, options)) << "a built-in template must refuse tools, not drop them";
    options.tools = Json();
  }
  const auto missing = ChatTemplate::builtin("alpaca");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_NE(missing.error().what.find("chatml"), std::string::npos);
}

TEST(chat_template, refuses_bad_messages) {
  const auto chat = ChatTemplate::builtin("chatml");
  ASSERT_TRUE(chat);
  for (const char* text :
       {"{}", "[1]", "[{}]", "[{\"role\": 1}]", "[{\"role\": \"user\", \"content\": 5}]"}) {
    const auto output = chat->render(*parse_json(text, "test"), ChatRenderOptions{});
    ASSERT_FALSE(output) << text;
    EXPECT_EQ(output.error().kind, ErrorKind::invalid_argument);
    EXPECT_TRUE(output.error().where.starts_with("messages")) << output.error().message();
  }
}

TEST(chat_message, goes_to_json_and_back) {
  const Json json =
      *parse_json(R"({"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
      "function":{"name":"f","arguments":"{\"a\": 1}"}}],"custom":[1]})",
                  "test");
  auto message = chat_message_from_json(json);
  ASSERT_TRUE(message) << message.error().message();
  const Json back = chat_message_to_json(*message);
  EXPECT_EQ(back["tool_calls"][0]["function"]["arguments"], Json::parse(R"({"a": 1})"));
  EXPECT_TRUE(back["content"].is_null());
  EXPECT_EQ(back["custom"], Json::parse("[1]"));
  EXPECT_FALSE(back.contains("name"));
  EXPECT_FALSE(chat_message_from_json(*parse_json(R"({"role":"user","content":"","tool_calls":5})", "test")));
}

TEST(chat_template, mentions) {
  const auto chat = ChatTemplate::parse("{% if enable_thinking %}{{ messages[0].tools }}{% endif %}", "t");
  ASSERT_TRUE(chat);
  EXPECT_TRUE(chat->mentions("enable_thinking"));
  EXPECT_FALSE(chat->mentions("tools"));
}

}  // namespace
}  // namespace tattletale

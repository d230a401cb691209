// Small templates against what Jinja2 makes of them (tests/data/chat/snippets.json; see PROVENANCE there).
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "text/chat/jinja/template.h"

namespace tattletale {
namespace {

Json read_json(const std::string& name) {
  std::ifstream file(std::string(TT_TEST_DATA) + "/chat/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  auto parsed = parse_json(text.str(), name);
  EXPECT_TRUE(parsed) << name;
  return parsed ? *parsed : Json();
}

TEST(jinja_snippets, agree_with_jinja2) {
  const Json data = read_json("snippets.json");
  ASSERT_GT(data["cases"].size(), 700u);
  size_t num_checked = 0;
  for (const Json& entry : data["cases"]) {
    const std::string source = entry[0].get<std::string>();
    auto parsed = jinja::Template::parse(source, "snippet");
    Result<std::string> output =
        parsed ? parsed->render(data["context"]) : Result<std::string>(parsed.take_error());
    ++num_checked;
    if (entry[1].is_null()) {
      EXPECT_FALSE(output) << source << "\nJinja2 raises, found: " << *output;
    } else if (!output) {
      ADD_FAILURE() << source << "\nexpected: " << entry[1] << "\nfailed: " << output.error().message();
    } else {
      EXPECT_EQ(*output, entry[1].get<std::string>()) << source;
    }
  }
  EXPECT_EQ(num_checked, data["cases"].size());
}

}  // namespace
}  // namespace tattletale

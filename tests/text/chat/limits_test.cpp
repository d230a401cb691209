// Hostile templates end with limit_exceeded and a place, in bounded time and memory; errors say where.
#include <gtest/gtest.h>

#include <chrono>

#include "text/chat/jinja/template.h"

namespace tattletale {
namespace {

Result<std::string> run(std::string_view source, const Json& context = Json::object(),
                        const jinja::RenderLimits& limits = {}) {
  TT_ASSIGN(jinja::Template parsed, jinja::Template::parse(source, "t"));
  return parsed.render(context, limits);
}

void expect_limit(const std::string& source, const jinja::RenderLimits& limits = {}) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = run(source, Json::object(), limits);
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSERT_FALSE(result) << source.substr(0, 200);
  EXPECT_EQ(result.error().kind, ErrorKind::limit_exceeded)
      << source.substr(0, 200) << result.error().message();
  EXPECT_TRUE(result.error().where.starts_with("t")) << result.error().message();
  EXPECT_LT(seconds, 60.0) << source.substr(0, 200);
}

std::string repeat(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) {
    out += text;
  }
  return out;
}

TEST(jinja_limits, explosive_values) {
  expect_limit("{{ range(10**9) }}");
  expect_limit("{{ 'a' * 10**9 }}");
  expect_limit("{{ [1] * 10**9 }}");
  expect_limit("{{ 'a' * 10**18 }}");
  expect_limit("{{ 10 ** 30 }}");
  expect_limit("{{ 'a' | center(10**12) }}");
  expect_limit("{{ 'a'.ljust(10**12) }}");
  expect_limit("{{ '%1000000000d' % 1 }}");
  expect_limit("{{ '{:1000000000}'.format(1) }}");
  expect_limit("{{ [1] | batch(10**12, 0) | list }}");
  expect_limit("{{ 'a' | indent(10**12) }}");
  expect_limit("{{ [1] | tojson(indent=10**12) }}");
  expect_limit(
      "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}");
  expect_limit(
      "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', 'aab') %}{% "
      "endfor %}");
  expect_limit(
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}");
  expect_limit(
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
      "ns.l }}");
  expect_limit(
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
      "ns.l | tojson }}");
}

TEST(jinja_limits, endless_work) {
  jinja::RenderLimits limits;
  limits.max_steps = 2'000'000;
  const std::string loops = repeat("{% for i in range(100000) %}", 4) + repeat("{% endfor %}", 4);
  expect_limit(loops, limits);
  limits.max_output_bytes = 1000;
  expect_limit("{% for i in range(100000) %}xxxxxxxx{% endfor %}", limits);
}

TEST(jinja_limits, long_needles_are_found_in_linear_time) {
  const Json context = {{"text", repeat("a", 2'000'000)}, {"needle", repeat("a", 1'000'000) + "b"}};
  for (const char* source :
       {"{{ needle in text }}", "{{ text.find(needle) }}", "{{ text.count(needle) }}",
        "{{ text.split(needle) | length }}", "{{ text | replace(needle, '') | length }}"}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(run(source, context)) << source;
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 5.0) << source;
  }
  const auto found = run("{{ (text ~ 'b').find(needle) }} {{ (text ~ 'b').count(needle) }}", context);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, "1000000 1");
  const auto right = run("{{ text.rfind(needle) }}", context);
  ASSERT_FALSE(right);
  EXPECT_EQ(right.error().kind, ErrorKind::limit_exceeded);
}

TEST(jinja_limits, recursion) {
  expect_limit("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  expect_limit(
      "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{% call m() %}{% endcall %}");
  expect_limit("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}");
  expect_limit("{{ " + repeat("(", 10000) + "1" + repeat(")", 10000) + " }}");
  expect_limit("{{ " + repeat("[", 10000) + "1" + repeat("]", 10000) + " }}");
  expect_limit("{{ " + repeat("not ", 10000) + "1 }}");
  expect_limit("{{ " + repeat("-", 10000) + "1 }}");
  expect_limit(repeat("{% if 1 %}", 10000) + repeat("{% endif %}", 10000));
  expect_limit("{{ a" + repeat(".a", 5000) + " }}");
  expect_limit(
      "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l "
      "}}");
  expect_limit(
      "{% set ns = namespace(l=()) %}{% for i in range(5000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: "
      "1} }}");
  expect_limit("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}");
  Json deep = 1;
  for (int i = 0; i < 1000; ++i) {
    deep = Json::array({std::move(deep)});
  }
  const auto result = run("{{ x }}", Json{{"x", deep}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::limit_exceeded);
}

TEST(jinja_limits, long_but_flat_templates_work) {
  EXPECT_TRUE(run("{% if 0 %}" + repeat("{% elif 0 %}", 5000) + "{% endif %}"));
  EXPECT_TRUE(run("{{ 'a'" + repeat(" ~ 'a'", 5000) + " }}"));
  EXPECT_TRUE(run("{{ 'a'" + repeat(" | upper", 5000) + " }}"));
  EXPECT_TRUE(run("{{ 'a'" + repeat(" + 'a'", 5000) + " }}"));
}

TEST(jinja_errors, name_line_and_column) {
  auto result = run("ab\n{{ x.y.z }}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().where, "t:2:6");
  EXPECT_NE(result.error().what.find("'x' is undefined"), std::string::npos);
  result = run("a\n\n  {% if %}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().where, "t:3:9");
  result = run("{{ raise_exception('no ' ~ 'tools') }}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid_argument);
  EXPECT_NE(result.error().what.find("no tools"), std::string::npos);
  result = run("{% include 'x' %}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::unsupported);
}

TEST(jinja_clock, is_injected) {
  auto parsed =
      jinja::Template::parse("{{ strftime_now('%d %B %Y %H:%M:%S %j %-d %A %b %I %p %y %U %V %G') }}", "t");
  ASSERT_TRUE(parsed);
  jinja::Clock clock;
  clock.unix_seconds = 1'700'000'000;
  EXPECT_EQ(*parsed->render(Json::object(), {}, clock),
            "14 November 2023 22:13:20 318 14 Tuesday Nov 10 PM 23 46 46 2023");
}

}  // namespace
}  // namespace tattletale

#include "backends/webgpu/bundle.h"

#include <array>
#include <cstdio>
#include <fstream>

namespace tattletale::test {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out + "\"";
}

template <class Range>
std::string list(const Range& numbers) {
  std::string out = "[";
  for (uint32_t number : numbers) out += (out.size() == 1 ? "" : ",") + std::to_string(number);
  return out + "]";
}

}  // namespace

void Bundle::add(const KernelLaunch& launch, const std::string& name, const std::string& wgsl,
                 std::vector<std::string> needs, const std::vector<std::vector<uint32_t>>& expected) {
  const bool subgroups = wgsl.find("enable subgroups") != std::string::npos;
  if (subgroups) needs.insert(needs.begin(), "subgroups");
  std::string names, bindings;
  for (const std::string& need : needs) names += (names.empty() ? "" : ",") + quoted(need);
  for (size_t i = 0; i < launch.buffers.size(); ++i) {
    const bool written = launch.kernel.bindings[i].written;
    bindings += std::string(i == 0 ? "" : ",") + "{\"written\":" + (written ? "true" : "false") +
                ",\"words\":" + list(launch.buffers[i]) +
                (written ? ",\"expected\":" + list(expected[i]) : std::string()) + "}";
  }
  std::string rules;
  for (const ResultRule& rule : launch.rules) {
    std::array<char, 96> text;
    std::snprintf(text.data(), text.size(), "%s[%d,%.9g,%.9g]", rules.empty() ? "" : ",", rule.is_f32 ? 1 : 0,
                  rule.relative, rule.absolute);
    rules += text.data();
  }
  cases_.push_back(
      "{\"name\":" + quoted(name) + ",\"wgsl\":" + quoted(wgsl) + ",\"rules\":[" + rules + "],\"needs\":[" +
      names + "],\"subgroup_size\":" + std::to_string(subgroups ? launch.kernel.subgroup_size : 1) +
      ",\"params\":" + list(launch.params) + ",\"workgroups\":" + list(launch.workgroups) +
      ",\"f32_results\":" + (launch.f32_results ? "true" : "false") +
      ",\"results\":" + std::to_string(launch.results) + ",\"unfused\":" + std::to_string(launch.unfused) +
      ",\"unfused_error\":" + std::to_string(launch.unfused_error) + ",\"bindings\":[" + bindings + "]}");
}

void Bundle::add_text(const std::string& name, const std::string& wgsl) {
  const bool subgroups = wgsl.find("enable subgroups") != std::string::npos;
  cases_.push_back("{\"name\":" + quoted(name) + ",\"wgsl\":" + quoted(wgsl) + ",\"needs\":[" +
                   (subgroups ? "\"subgroups\"" : "") + "],\"subgroup_size\":1,\"only_compile\":true}");
}

void Bundle::write(const std::string& path) const {
  std::ofstream out(path);
  out << "{\"cases\":[\n";
  for (size_t i = 0; i < cases_.size(); ++i) out << cases_[i] << (i + 1 < cases_.size() ? ",\n" : "\n");
  out << "]}\n";
}

}  // namespace tattletale::test

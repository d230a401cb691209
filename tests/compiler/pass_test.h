// For tests of single passes: kernels as short text, passes run by name with the verifier after each.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>

#include "compiler/passes/passes.h"
#include "ir/lang.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tattletale::compiler {

using PassFunction = void (*)(ir::Kernel&, const PassContext&);

inline ir::TargetInfo small_target(uint32_t subgroup_size = 1) {
  ir::TargetInfo target;
  target.name = "test";
  target.subgroup_size = subgroup_size;
  return target;
}

/// The instructions of a kernel as text, without declarations and source lines.
inline std::string body_text(ir::Kernel kernel) {
  for (ir::Instruction& in : kernel.instructions) in.location = 0;
  const std::string text = ir::print(kernel);
  std::string body = "\n";
  for (size_t at = text.find('\n') + 1; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const bool declares = line.starts_with("  binding ") || line.starts_with("  param p") ||
                          line.starts_with("  local l") || line.starts_with("  shared s") || line == "}";
    if (!declares) body += line + "\n";
  }
  return body;
}

/// A value as nested text: "add(shl(a, 2), 1)", with parameters by name.
inline std::string expression(const ir::Kernel& kernel, ir::Value value) {
  const ir::Instruction& in = kernel.at(value);
  if (in.op == ir::Op::param) return kernel.params[in.attr0].name;
  if (in.op == ir::Op::constant) {
    if (in.type == ir::kF32) return std::to_string(std::bit_cast<float>(in.attr0));
    if (in.type == ir::kBool) return in.attr0 != 0 ? "true" : "false";
    return std::to_string(in.attr0);
  }
  std::string text(ir::op_info(in.op).name);
  for (uint32_t i = 0; i < in.num_operands; ++i) {
    text += (i == 0 ? "(" : ", ") + expression(kernel, in.operands[i]);
  }
  return in.num_operands == 0 ? text : text + ")";
}
/// What the last store of the outermost region stores.
inline std::string stored(const ir::Kernel& kernel) {
  const ir::Value last = kernel.regions[ir::kRootRegion].back();
  return kernel.at(last).op == ir::Op::store ? expression(kernel, kernel.at(last).operands[1]) : "no store";
}

inline ir::Kernel after(ir::Kernel kernel, std::initializer_list<PassFunction> passes,
                        const ir::TargetInfo& target = small_target(), const PipelineOptions& options = {}) {
  for (const PassFunction pass : passes) {
    pass(kernel, {target, options});
    const auto sound = ir::verify(kernel, target);
    EXPECT_TRUE(sound) << (sound ? "" : sound.error().message()) << "\n" << ir::print(kernel);
  }
  return kernel;
}

inline size_t count(const ir::Kernel& kernel, ir::Op op) {
  return static_cast<size_t>(
      std::ranges::count_if(kernel.instructions, [&](const auto& in) { return in.op == op; }));
}

}  // namespace tattletale::compiler

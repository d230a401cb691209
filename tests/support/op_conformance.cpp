#include "support/op_conformance.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "ir/interpreter.h"

namespace tattletale::test {
namespace {

constexpr std::array<uint32_t, 3> kParams = {3, 0xfffffffeu, 0x3f000000u};  // 3, -2, 0.5f
constexpr uint32_t kScratchWords = 160;  // a thread, of every other binding: more than any op kernel touches

constexpr uint32_t kPad = 0xa5a5a5a5;

/// The contents of all bindings before a launch.
std::vector<std::vector<uint32_t>> initial(const OpKernel& op) {
  const uint32_t threads = op.kernel.workgroup_threads * kOpWorkgroups;
  std::vector<std::vector<uint32_t>> bindings = {op_inputs(op.input, threads)};
  bindings.emplace_back(size_t{threads} * op.results);
  while (bindings.size() < op.kernel.bindings.size()) bindings.emplace_back(size_t{threads} * kScratchWords);
  return bindings;
}

bool same(uint32_t found, uint32_t expected, bool as_f32) {
  if (found == expected) return true;
  if (!as_f32) return false;
  const float f = std::bit_cast<float>(found), e = std::bit_cast<float>(expected);
  return std::abs(f - e) <= 0x1p-19f * (1.0f + std::abs(e));  // false for NaN
}

std::string compare(const OpKernel& op, size_t binding, const std::vector<uint32_t>& found,
                    const std::vector<uint32_t>& expected) {
  const bool as_f32 = op.f32_results && binding == 1;
  size_t count = 0, first = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (same(found[i], expected[i], as_f32)) continue;
    if (count++ == 0) first = i;
  }
  if (count == 0) return "";
  const auto text = [](uint32_t word) {
    char line[64];
    std::snprintf(line, sizeof line, "0x%08x (%.9g)", word, static_cast<double>(std::bit_cast<float>(word)));
    return std::string(line);
  };
  const std::string result = binding == 1 ? ", result " + std::to_string(first % op.results) + " of thread " +
                                                std::to_string(first / op.results)
                                          : "";
  return op.kernel.name + ": " + std::to_string(count) + " of " + std::to_string(found.size()) +
         " words of " + op.kernel.bindings[binding].name + " differ, first word " + std::to_string(first) +
         result + ": found " + text(found[first]) + ", expected " + text(expected[first]);
}

}  // namespace

Result<std::vector<std::vector<uint32_t>>> interpret(const OpKernel& op) {
  std::vector<std::vector<uint32_t>> bindings = initial(op);
  ir::Launch launch;
  launch.workgroups = {kOpWorkgroups, 1, 1};
  launch.params = kParams;
  for (auto& words : bindings) launch.bindings.push_back(std::as_writable_bytes(std::span(words)));
  TT_ASSIGN(auto interpreter, ir::Interpreter::create(op.kernel));
  TT_ASSIGN([[maybe_unused]] const auto stats, interpreter.run(launch));
  return bindings;
}

Result<std::string> difference_on(compiler::ProgramDevice& device, const OpKernel& op) {
  TT_ASSIGN(const auto expected, interpret(op));
  TT_ASSIGN(const KernelBinary binary, device.compile(op.kernel));
  Dispatch dispatch;
  TT_ASSIGN(dispatch.kernel, device.load(binary));
  dispatch.workgroups = {kOpWorkgroups, 1, 1};
  dispatch.params_bytes = static_cast<uint32_t>(op.kernel.params.size() * 4);
  std::memcpy(dispatch.params.data(), kParams.data(), sizeof kParams);
  std::vector<std::vector<uint32_t>> bindings = initial(op);
  // Each binding is a slice in the middle of a buffer, at an offset that is no power of two.
  const uint64_t pad_bytes = 3 * std::max<uint64_t>(16, device.caps().offset_alignment_bytes);
  const std::vector<uint32_t> pad(pad_bytes / 4, kPad);
  for (const auto& words : bindings) {
    std::vector<uint32_t> padded = pad;
    padded.insert(padded.end(), words.begin(), words.end());
    padded.insert(padded.end(), pad.begin(), pad.end());
    TT_ASSIGN(const BufferId buffer, device.create_buffer(padded.size() * 4, "op"));
    TT_TRY(device.write(buffer, 0, std::as_bytes(std::span(padded))));
    dispatch.bindings[dispatch.num_bindings++] = {buffer, pad_bytes, words.size() * 4};
  }
  CommandList list;
  list.dispatch(dispatch);
  TT_ASSIGN([[maybe_unused]] const Submission submitted, device.submit(list));
  std::string difference;
  for (size_t i = 0; i < bindings.size(); ++i) {
    const BufferId buffer = dispatch.bindings[i].buffer;
    std::vector<uint32_t> padded(bindings[i].size() + 2 * pad.size());
    TT_ASSIGN(const Submission read,
              device.read({buffer, 0, padded.size() * 4}, std::as_writable_bytes(std::span(padded))));
    TT_TRY(device.wait(read));
    const auto first = padded.begin() + static_cast<ptrdiff_t>(pad.size());
    const auto last = padded.end() - static_cast<ptrdiff_t>(pad.size());
    bindings[i].assign(first, last);
    padded.erase(first, last);
    if (std::ranges::any_of(padded, [](uint32_t word) { return word != kPad; }) && difference.empty()) {
      difference = op.kernel.name + " wrote outside of " + op.kernel.bindings[i].name;
    }
    if (difference.empty()) difference = compare(op, i, bindings[i], expected[i]);
    device.destroy_buffer(buffer);
  }
  return difference;
}

}  // namespace tattletale::test

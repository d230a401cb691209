#include "backends/webgpu/launch.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "ir/interpreter.h"
#include "support/op_kernels.h"
#include "tensor/float16.h"

namespace tattletale::test {

std::vector<std::vector<uint32_t>> run_on(webgpu::WebgpuProgramDevice& device, const KernelLaunch& launch) {
  const std::string& name = launch.kernel.name;
  const auto refused = [&](const Error& error) {
    ADD_FAILURE() << name << ": " << error.message();
    return std::vector<std::vector<uint32_t>>();
  };
  Result<KernelBinary> binary = device.compile(launch.kernel);
  if (!binary) return refused(binary.error());
  Result<KernelId> program = device.load(*binary);
  if (!program) return refused(program.error());
  Dispatch dispatch{.kernel = *program,
                    .num_bindings = static_cast<uint32_t>(launch.buffers.size()),
                    .params_bytes = static_cast<uint32_t>(4 * launch.params.size()),
                    .workgroups = launch.workgroups};
  std::memcpy(dispatch.params.data(), launch.params.data(), dispatch.params_bytes);
  std::vector<BufferId> ids;
  for (size_t i = 0; i < launch.buffers.size(); ++i) {
    const uint64_t bytes = 4 * launch.buffers[i].size();
    Result<BufferId> buffer = device.create_buffer(bytes, name);
    if (!buffer) return refused(buffer.error());
    const Result<void> written = device.write(*buffer, 0, std::as_bytes(std::span(launch.buffers[i])));
    if (!written) return refused(written.error());
    dispatch.bindings[i] = {*buffer, 0, bytes};
    ids.push_back(*buffer);
  }
  CommandList list;
  list.dispatch(dispatch);
  Result<Submission> last = device.submit(list);
  if (!last) return refused(last.error());
  std::vector<std::vector<uint32_t>> out = launch.buffers;
  for (size_t i = 0; i < out.size(); ++i) {
    last = device.read(dispatch.bindings[i], std::as_writable_bytes(std::span(out[i])));
    if (!last) return refused(last.error());
  }
  const Result<void> done = device.wait(*last);
  if (!done) return refused(done.error());
  for (BufferId id : ids) device.destroy_buffer(id);
  return out;
}

std::vector<std::vector<uint32_t>> run_on_interpreter(const KernelLaunch& launch) {
  std::vector<std::vector<uint32_t>> out = launch.buffers;
  ir::Launch request{.workgroups = launch.workgroups, .params = launch.params};
  for (std::vector<uint32_t>& words : out)
    request.bindings.push_back(std::as_writable_bytes(std::span(words)));
  Result<ir::Interpreter> interpreter = ir::Interpreter::create(launch.kernel);
  if (interpreter) {
    const auto stats = interpreter->run(request);
    if (stats) return out;
    ADD_FAILURE() << launch.kernel.name << ": " << stats.error().message();
  } else {
    ADD_FAILURE() << launch.kernel.name << ": " << interpreter.error().message();
  }
  return {};
}

static bool near(float found, float expected, float absolute) {
  return found == expected || std::abs(found - expected) <= absolute;
}

static bool same(const KernelLaunch& launch, size_t binding, size_t i, uint32_t want, uint32_t got) {
  if (want == got) return true;
  const float a = std::bit_cast<float>(want), b = std::bit_cast<float>(got);
  if (binding == 1 && !launch.rules.empty()) {
    const ResultRule& rule = launch.rules[i % launch.rules.size()];
    return rule.is_f32 &&
           std::abs(double{a} - double{b}) <= rule.relative * std::abs(double{a}) + rule.absolute;
  }
  if (launch.f32_results) return near(b, a, 0x1p-19f * std::max(1.0f, std::abs(a)));
  if (binding != 1 || launch.results == 0 || i % launch.results != launch.unfused) return false;
  if (!launch.unfused_halves) return near(b, a, launch.unfused_error);
  const auto half = [](uint32_t word, int shift) { return f16_to_f32(static_cast<uint16_t>(word >> shift)); };
  return near(half(got, 0), half(want, 0), launch.unfused_error) &&
         near(half(got, 16), half(want, 16), launch.unfused_error);
}

std::string first_difference(const KernelLaunch& launch, const std::vector<std::vector<uint32_t>>& expected,
                             const std::vector<std::vector<uint32_t>>& found) {
  if (expected.size() != found.size()) return launch.kernel.name + ": no results";
  for (size_t binding = 0; binding < expected.size(); ++binding) {
    for (size_t i = 0; i < expected[binding].size(); ++i) {
      const uint32_t want = expected[binding][i], got = found[binding][i];
      if (same(launch, binding, i, want, got)) continue;
      std::array<char, 160> text;
      std::snprintf(text.data(), text.size(), ": binding %zu word %zu: expected %08x (%g), found %08x (%g)",
                    binding, i, want, double{std::bit_cast<float>(want)}, got,
                    double{std::bit_cast<float>(got)});
      return launch.kernel.name + text.data() +
             (launch.results == 0 ? "" : ", result " + std::to_string(i % launch.results));
    }
  }
  return "";
}

std::vector<KernelLaunch> op_launches(const ir::TargetInfo& target, uint32_t threads) {
  std::vector<KernelLaunch> out;
  const uint32_t num_threads = threads * kOpWorkgroups;
  for (OpKernel& op : op_kernels(target, threads)) {
    KernelLaunch launch{.kernel = std::move(op.kernel), .workgroups = {kOpWorkgroups, 1, 1}};
    launch.f32_results = op.f32_results;
    launch.results = op.results;
    if (launch.kernel.name == "op_f32_exact") {  // p * q + r of numbers up to 8
      launch.unfused = 9;
      launch.unfused_error = 72 * 0x1p-23f;
    } else if (launch.kernel.name == "op_packed_halves") {  // of numbers up to 2
      launch.unfused = 5;
      launch.unfused_error = 6 * 0x1p-11f;
      launch.unfused_halves = true;
    }
    const std::vector<uint32_t> params = {3, std::bit_cast<uint32_t>(-2), std::bit_cast<uint32_t>(0.5f)};
    launch.params.assign(params.begin(), params.begin() + static_cast<long>(launch.kernel.params.size()));
    launch.buffers.push_back(op_inputs(op.input, num_threads));
    launch.buffers.emplace_back(size_t{op.results} * num_threads);
    for (size_t i = 2; i < launch.kernel.bindings.size(); ++i)
      launch.buffers.emplace_back(size_t{160} * num_threads);
    out.push_back(std::move(launch));
  }
  return out;
}

KernelLaunch random_launch(uint64_t seed, const ir::TargetInfo& target) {
  RandomKernel random = random_kernel(seed, target);
  return {.kernel = std::move(random.kernel),
          .workgroups = {random.num_workgroups, 1, 1},
          .params = std::move(random.params),
          .buffers = {std::move(random.x), std::move(random.y), std::move(random.z)},
          .rules = std::move(random.rules)};
}

}  // namespace tattletale::test

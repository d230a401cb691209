// Every operation of the IR on the device against the interpreter, which fixes what each one means.
#include <bit>
#include <cmath>
#include <set>

#include "backends/opencl/opencl_fixture.h"
#include "ir/interpreter.h"
#include "support/op_kernels.h"

namespace tattletale::test {
namespace {

constexpr uint32_t kScratchWords = 64;  // a thread; of bindings that the kernels use as they like
constexpr uint32_t kPadWords = 12;      // before and after each slice: an offset that is no power of two
constexpr uint32_t kPad = 0xa5a5a5a5;

using Words = std::vector<uint32_t>;

/// What each binding holds before a launch.
std::vector<Words> contents_before(const OpKernel& op) {
  const uint32_t num_threads = op.kernel.workgroup_threads * kOpWorkgroups;
  std::vector<Words> contents{op_inputs(op.input, num_threads), Words(num_threads * op.results)};
  while (contents.size() < op.kernel.bindings.size()) contents.emplace_back(num_threads * kScratchWords);
  return contents;
}

Words params_of(const ir::Kernel& kernel) {
  const Words all{3, static_cast<uint32_t>(-2), std::bit_cast<uint32_t>(0.5f)};
  return {all.begin(), all.begin() + static_cast<ptrdiff_t>(kernel.params.size())};
}

bool same_number(uint32_t found, uint32_t expected) {
  const float f = std::bit_cast<float>(found), e = std::bit_cast<float>(expected);
  if (std::isnan(e)) return std::isnan(f);
  return found == expected || std::abs(f - e) <= 0x1p-19f * std::max(1.0f, std::abs(e));
}

class OpenclOps : public OpenclTest {
 protected:
  std::vector<Words> on_interpreter(const OpKernel& op) {
    std::vector<Words> contents = contents_before(op);
    const Words params = params_of(op.kernel);
    ir::Launch launch{.workgroups = {kOpWorkgroups, 1, 1}, .params = params, .bindings = {}};
    for (Words& words : contents) launch.bindings.push_back(std::as_writable_bytes(std::span(words)));
    auto interpreter = must(ir::Interpreter::create(op.kernel));
    (void)must(interpreter.run(launch));
    return contents;
  }

  /// Each binding is a slice in the middle of a buffer, whose other words must stay as they are.
  std::vector<Words> on_device(const OpKernel& op) {
    std::vector<Words> contents = contents_before(op);
    Dispatch dispatch = dispatch_of(load(op.kernel), kOpWorkgroups, {});
    for (Words& words : contents) {
      Words padded(kPadWords, kPad);
      padded.insert(padded.end(), words.begin(), words.end());
      padded.insert(padded.end(), kPadWords, kPad);
      const BufferId buffer = make_buffer(padded);
      dispatch.bindings[dispatch.num_bindings++] = {buffer, kPadWords * 4, words.size() * 4};
    }
    const Words params = params_of(op.kernel);
    std::memcpy(dispatch.params.data(), params.data(), params.size() * 4);
    dispatch.params_bytes = static_cast<uint32_t>(params.size() * 4);
    CommandList list;
    list.dispatch(dispatch);
    (void)must(device().submit(list));
    for (size_t i = 0; i < contents.size(); ++i) {
      const BufferId buffer = dispatch.bindings[i].buffer;
      Words padded = read<uint32_t>(buffer, contents[i].size() + 2 * kPadWords);
      device().destroy_buffer(buffer);
      const auto first = padded.begin() + kPadWords, last = padded.end() - kPadWords;
      contents[i].assign(first, last);
      padded.erase(first, last);
      EXPECT_EQ(padded, Words(2 * kPadWords, kPad)) << op.kernel.name << " wrote outside of binding " << i;
    }
    return contents;
  }

  void compare(const OpKernel& op) {
    SCOPED_TRACE(op.kernel.name + " with " + std::to_string(op.kernel.workgroup_threads) + " threads");
    const std::vector<Words> expected = on_interpreter(op), found = on_device(op);
    for (size_t b = 0; b < expected.size(); ++b) {
      for (size_t i = 0; i < expected[b].size(); ++i) {
        const bool same =
            op.f32_results ? same_number(found[b][i], expected[b][i]) : found[b][i] == expected[b][i];
        if (same) continue;
        ADD_FAILURE() << "binding " << b << ", word " << i << " (result " << i % op.results << " of thread "
                      << i / op.results << "): " << std::hex << found[b][i] << ", expected " << expected[b][i]
                      << "\n"
                      << emit_opencl(op.kernel, target()).value_or("");
        return;
      }
    }
  }
};

TEST_F(OpenclOps, EveryOperationComputesWhatTheInterpreterDoes) {
  const uint32_t subgroup_size = target().subgroup_size;
  std::set<uint32_t> sizes{subgroup_size, 3 * subgroup_size, 256};
  // PoCL takes seconds for a kernel of many threads with a barrier.
  if (target().is_cpu) sizes = {7, 64};
  std::set<ir::Op> seen;
  for (const uint32_t threads : sizes) {
    for (const OpKernel& op : op_kernels(target(), threads)) {
      compare(op);
      for (const ir::Instruction& instruction : op.kernel.instructions) seen.insert(instruction.op);
    }
  }
  // What the target has not is what no kernel for it may use.
  std::string unseen;
  for (const ir::OpInfo& info : ir::all_ops()) {
    if (!seen.contains(info.op)) unseen += " " + std::string(info.name);
  }
  std::printf("operations compared: %zu of %zu; not on this target:%s\n", seen.size(), ir::all_ops().size(),
              unseen.c_str());
  EXPECT_GE(seen.size(), target().subgroup_size > 1 ? ir::all_ops().size() : size_t{70});
}

}  // namespace
}  // namespace tattletale::test

// Every operation of the IR on every device against the interpreter, which fixes what each one means.
#include <cmath>
#include <cstring>
#include <set>

#include "backends/vulkan/vulkan_fixture.h"
#include "ir/interpreter.h"
#include "support/op_kernels.h"
#include "tensor/float16.h"

namespace tattletale::test {
namespace {

constexpr uint32_t kScratchWords = 64;  // a thread; of bindings that the kernels use as they like
constexpr uint32_t kPadWords = 12;      // before and after each slice: an offset that is no power of two
constexpr uint32_t kPad = 0xa5a5a5a5;

using Words = std::vector<uint32_t>;

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

bool close(float found, float expected, float absolute, float relative) {
  if (std::isnan(expected)) return std::isnan(found);
  return found == expected || std::abs(found - expected) <= std::max(absolute, relative * std::abs(expected));
}
bool close_words(uint32_t found, uint32_t expected, float absolute, float relative) {
  return close(std::bit_cast<float>(found), std::bit_cast<float>(expected), absolute, relative);
}

class VulkanOpsTest : public VulkanTest {
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
  std::vector<Words> on_device(const OpKernel& op, KernelId kernel) {
    std::vector<Words> contents = contents_before(op);
    Dispatch dispatch = dispatch_of(kernel, kOpWorkgroups, {});
    for (const Words& words : contents) {
      Words padded(kPadWords, kPad);
      padded.insert(padded.end(), words.begin(), words.end());
      padded.insert(padded.end(), kPadWords, kPad);
      dispatch.bindings[dispatch.num_bindings++] = {make_buffer(padded), kPadWords * 4, words.size() * 4};
    }
    const Words params = params_of(op.kernel);
    if (!params.empty()) std::memcpy(dispatch.params.data(), params.data(), params.size() * 4);
    dispatch.params_bytes = static_cast<uint32_t>(params.size() * 4);
    run(dispatch);
    for (size_t i = 0; i < contents.size(); ++i) {
      const BufferId buffer = dispatch.bindings[i].buffer;
      Words padded = read<uint32_t>(buffer, contents[i].size() + 2 * kPadWords);
      device().destroy_buffer(buffer);
      const auto first = padded.begin() + kPadWords, last = padded.end() - kPadWords;
      contents[i].assign(first, last);
      padded.erase(first, last);
      EXPECT_EQ(padded, Words(2 * kPadWords, kPad)) << "wrote outside of binding " << i;
    }
    return contents;
  }

  /// Vulkan has no fused multiply-add that must be one: software drivers round twice.
  bool same(const OpKernel& op, uint32_t result, uint32_t found, uint32_t expected) {
    if (found == expected) return true;
    if (op.f32_results) return close_words(found, expected, 0x1p-19f, 0x1p-19f);
    constexpr uint32_t kFmaResult = 9;  // of op_f32_exact: fma(p, q, r) of numbers up to 8
    if (op.kernel.name == "op_f32_exact" && result == kFmaResult && target().is_cpu) {
      return close_words(found, expected, 72 * 0x1p-23f, 0);
    }
    constexpr uint32_t kHalfFmaResult = 5;  // of op_packed_halves: numbers up to 2
    if (op.kernel.name == "op_packed_halves" && result == kHalfFmaResult && target().is_cpu) {
      const auto half = [](uint32_t word, int shift) {
        return f16_to_f32(static_cast<uint16_t>(word >> shift));
      };
      return close(half(found, 0), half(expected, 0), 6 * 0x1p-11f, 0) &&
             close(half(found, 16), half(expected, 16), 6 * 0x1p-11f, 0);
    }
    return false;
  }

  void compare(const OpKernel& op) {
    SCOPED_TRACE(op.kernel.name + " with " + std::to_string(op.kernel.workgroup_threads) + " threads");
    const std::vector<Words> expected = on_interpreter(op), found = on_device(op, load(op.kernel));
    for (size_t b = 0; b < expected.size(); ++b) {
      for (size_t i = 0; i < expected[b].size(); ++i) {
        if (same(op, b == 1 ? i % op.results : UINT32_MAX, found[b][i], expected[b][i])) continue;
        ADD_FAILURE() << "binding " << b << ", word " << i << " (result " << i % op.results << " of thread "
                      << i / op.results << "): " << std::hex << found[b][i] << ", expected "
                      << expected[b][i];
        return;
      }
    }
  }
};
TT_FOR_ALL_VULKAN_DEVICES(VulkanOpsTest);

TEST_P(VulkanOpsTest, EveryOperationComputesWhatTheInterpreterDoes) {
  const uint32_t subgroup_size = target().subgroup_size;
  std::set<ir::Op> seen;
  for (const uint32_t threads : std::set<uint32_t>{subgroup_size, 3 * subgroup_size, 256}) {
    for (const OpKernel& op : op_kernels(target(), threads)) {
      compare(op);
      for (const ir::Instruction& instruction : op.kernel.instructions) seen.insert(instruction.op);
    }
  }
  std::string unseen;
  for (const ir::OpInfo& info : ir::all_ops()) {
    if (!seen.contains(info.op)) unseen += " " + std::string(info.name);
  }
  std::printf("operations compared: %zu of %zu; not on this target:%s\n", seen.size(), ir::all_ops().size(),
              unseen.c_str());
  EXPECT_GE(seen.size(), 80u);
}

/// Bodies for one thread at a time: no subgroup operation, sizes that are no multiple of a subgroup.
TEST_P(VulkanOpsTest, KernelsOfSingleLanesRunAtAnySize) {
  ir::TargetInfo single = target();
  single.subgroup_size = 1;
  single.f16_fragments = single.bf16_fragments = ir::FragmentTier::none;
  for (const uint32_t threads : {1u, 7u, 50u}) {
    for (const OpKernel& op : op_kernels(single, threads)) compare(op);
  }
}

/// Software drivers that have half arithmetic do not offer it, being slow at it; it must be right all the
/// same.
TEST_P(VulkanOpsTest, PackedHalvesWhereTheDriverHasThem) {
  ir::TargetInfo with_halves = target();
  with_halves.f16x2 = true;
  for (const OpKernel& op : op_kernels(with_halves, 64)) {
    if (op.kernel.name != "op_packed_halves") continue;
    const auto binary = device().compile(op.kernel);
    if (!binary) {
      EXPECT_EQ(binary.error().kind, ErrorKind::unsupported);
      EXPECT_NE(binary.error().message().find("op_kernels.cpp:"), std::string::npos);
      GTEST_SKIP() << binary.error().message();
    }
    compare(op);
  }
}

}  // namespace
}  // namespace tattletale::test

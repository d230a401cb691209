// Random programs before and after each pass, and after the whole pipeline: every word of memory must be the
// same, for targets that have every optional operation and for targets that have none.
// TATTLETALE_PROGRAMS=20000 is the long run.
#include <cstdlib>
#include <cstring>
#include <optional>

#include "compiler/interpreter_device.h"
#include "compiler/pass_test.h"
#include "compiler/random_program.h"
#include "ir/compare_device.h"
#include "ir/interpreter.h"

namespace tattletale::compiler {
namespace {

constexpr uint32_t kWorkgroups = 2;

ir::TargetInfo target_with(bool everything) {
  ir::TargetInfo target = small_target(kProgramSubgroup);
  target.max_shared_bytes = 1 << 20;
  target.f16x2 = target.dot4_i8 = target.async_copy = target.funnel_shift = target.mul_hi = everything;
  return target;
}

uint32_t num_programs() {
  const char* asked = std::getenv("TATTLETALE_PROGRAMS");
  return asked != nullptr ? static_cast<uint32_t>(std::strtoul(asked, nullptr, 10)) : 300;
}

/// The written binding after a run, or what the interpreter objects to.
Result<std::vector<uint32_t>> outcome(const ir::Kernel& kernel, ProgramInput input) {
  TT_ASSIGN(ir::Interpreter interpreter, ir::Interpreter::create(kernel));
  std::vector<uint32_t> words(kWorkgroups * kernel.workgroup_threads * kProgramThreadWords, 0);
  ir::Launch launch;
  launch.workgroups = {kWorkgroups, 1, 1};
  launch.params = input.params;
  launch.bindings = {std::as_writable_bytes(std::span(input.input)),
                     std::as_writable_bytes(std::span(words))};
  TT_TRY(interpreter.run(launch));
  return words;
}

std::optional<std::string> difference(const ir::Kernel& kernel, const ProgramInput& input,
                                      const std::vector<uint32_t>& expected) {
  const auto words = outcome(kernel, input);
  if (!words) return words.error().message();
  for (size_t i = 0; i < expected.size(); ++i) {
    if ((*words)[i] != expected[i]) {
      return "word " + std::to_string(i) + " is " + std::to_string((*words)[i]) + ", expected " +
             std::to_string(expected[i]);
    }
  }
  return std::nullopt;
}

/// One program with what it yields, or a failure if the generator drew a program that is wrong itself.
struct Drawn {
  ir::Kernel kernel;
  ProgramInput input;
  std::vector<uint32_t> expected;
};
std::optional<Drawn> draw(uint32_t seed) {
  Drawn drawn{random_program(seed, 10 + seed % 60), random_input(seed * 7919 + 1), {}};
  const auto sound = ir::verify(drawn.kernel, target_with(true));
  EXPECT_TRUE(sound) << "program " << seed << ": " << (sound ? "" : sound.error().message());
  auto expected = outcome(drawn.kernel, drawn.input);
  EXPECT_TRUE(expected) << "program " << seed << ": " << (expected ? "" : expected.error().message());
  if (!sound || !expected) return std::nullopt;
  drawn.expected = std::move(*expected);
  return drawn;
}

TEST(RandomPrograms, EachPassAlone) {
  const ir::TargetInfo target = target_with(true), poor = target_with(false);
  for (uint32_t seed = 0; seed < num_programs(); ++seed) {
    const auto drawn = draw(seed);
    ASSERT_TRUE(drawn);
    for (const Pass& pass : pipeline_passes()) {
      const ir::TargetInfo& at = pass.run == legalise ? poor : target;
      ir::Kernel kernel = drawn->kernel;
      pass.run(kernel, {at, {}});
      if (pass.leaves_it_verified) {
        const auto sound = ir::verify(kernel, at);
        ASSERT_TRUE(sound) << pass.name << ", program " << seed << ": " << sound.error().message();
      }
      const auto wrong = difference(kernel, drawn->input, drawn->expected);
      ASSERT_FALSE(wrong) << pass.name << ", program " << seed << ": " << *wrong;
    }
  }
}

/// The first pass after which the result differs.
std::string culprit(const Drawn& drawn, const ir::TargetInfo& target) {
  std::string name = "none";
  PipelineOptions options;
  options.dump = [&](std::string_view pass, const ir::Kernel& kernel) {
    if (name == "none" && difference(kernel, drawn.input, drawn.expected)) name = pass;
  };
  static_cast<void>(run_pipeline(drawn.kernel, target, options));
  return name;
}

TEST(RandomPrograms, TheWholePipeline) {
  size_t before = 0, after = 0;
  for (uint32_t seed = 0; seed < num_programs(); ++seed) {
    const auto drawn = draw(seed);
    ASSERT_TRUE(drawn);
    for (const bool everything : {false, true}) {
      const ir::TargetInfo target = target_with(everything);
      PipelineOptions options;
      options.verify_each = true;
      if (seed % 3 == 0) options.max_unrolled_body = 60;
      const auto kernel = run_pipeline(drawn->kernel, target, options);
      ASSERT_TRUE(kernel) << "program " << seed << ": " << kernel.error().message();
      const auto wrong = difference(*kernel, drawn->input, drawn->expected);
      ASSERT_FALSE(wrong) << "program " << seed << ", after " << culprit(*drawn, target) << ": " << *wrong;
      if (everything) {
        before += drawn->kernel.instructions.size();
        after += kernel->instructions.size();
      }
    }
  }
  std::printf("%u programs, %zu instructions before, %zu after\n", num_programs(), before, after);
}

/// The kernels that devices are compared on: all operations, fragments included, at every subgroup size.
TEST(RandomKernels, ThePipelineAtEverySubgroupSize) {
  for (const uint32_t size : {1u, 4u, 8u, 32u, 64u}) {
    const auto device = open_interpreter_device(interpreter_target(size));
    for (const bool everything : {false, true}) {
      ir::TargetInfo target = device->target();
      target.f16x2 = target.dot4_i8 = target.async_copy = target.funnel_shift = target.mul_hi = everything;
      PipelineOptions options;
      options.verify_each = true;
      const auto prepare = [&](const ir::Kernel& kernel) { return run_pipeline(kernel, target, options); };
      EXPECT_EQ(test::compare_on(*device, 5000 + size, num_programs() / 3, prepare), "") << size;
    }
  }
}

/// What the programs must contain for the comparison to mean something.
TEST(RandomPrograms, GiveEveryPassSomethingToDo) {
  const ir::TargetInfo target = target_with(true);
  size_t wide = 0, unrolled = 0, shared_saved = 0, hoisted = 0;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const ir::Kernel drawn = random_program(seed, 10 + seed % 60);
    PipelineOptions options;
    size_t previous_loops = 0, previous_shared = 0;
    std::string previous_text;
    options.dump = [&](std::string_view pass, const ir::Kernel& kernel) {
      size_t loops = 0;
      for (const auto& region : kernel.regions) {
        for (const ir::Value value : region) {
          loops += kernel.at(value).op == ir::Op::for_;
          wide += pass == "dce" && (kernel.at(value).type.lanes > 1);  // a load's, or made for a store
        }
      }
      unrolled += pass == "unroll" && loops != previous_loops;
      shared_saved += pass == "plan_shared" && kernel.shared.size() < previous_shared;
      const std::string text = ir::print(kernel);
      hoisted += pass == "licm" && text != previous_text;
      previous_loops = loops;
      previous_shared = kernel.shared.size();
      previous_text = text;
    };
    ASSERT_TRUE(run_pipeline(drawn, target, options));
  }
  EXPECT_GT(wide, 50u);
  EXPECT_GT(unrolled, 20u);
  EXPECT_GT(shared_saved, 5u);
  EXPECT_GT(hoisted, 20u);
}

}  // namespace
}  // namespace tattletale::compiler

// The text that browsers get: accepted and computed right by a current Dawn in Node and by Chromium. Kernels
// of single operations run with the interpreter's results as reference; the forward pass's bodies are
// compiled.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>

#include "backends/webgpu/bundle.h"
#include "kernels/conformance/kernel_case.h"
#include "kernels/portable.h"

namespace tattletale::test {
namespace {

constexpr uint32_t kSubgroupSize = 4;  // SwiftShader's, the adapter that Node and Chromium find everywhere

ir::TargetInfo browser_target(uint32_t subgroup_size) {
  ir::TargetInfo target{.name = "webgpu", .subgroup_size = subgroup_size};
  target.max_shared_bytes = 16384;
  target.dot4_i8 = subgroup_size > 1;  // both ways
  return target;
}

void add_ops(Bundle& bundle, const ir::TargetInfo& target, uint32_t threads,
             const webgpu::WgslDialect& dialect, const std::vector<std::string>& needs) {
  for (const KernelLaunch& launch : op_launches(target, threads)) {
    const Result<std::string> text = webgpu::emit_wgsl(launch.kernel, target, dialect);
    ASSERT_TRUE(text.has_value()) << text.error().message();
    std::string name = launch.kernel.name + " with " + std::to_string(threads) + " threads";
    for (const std::string& need : needs) name += ", " + need;
    bundle.add(launch, name, *text, needs, run_on_interpreter(launch));
  }
}

void add_random(Bundle& bundle, const ir::TargetInfo& target, uint64_t first_seed, uint32_t count) {
  for (uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
    const KernelLaunch launch = random_launch(seed, target);
    const Result<std::string> text = webgpu::emit_wgsl(launch.kernel, target);
    if (!text) {  // what browsers cannot say, and that alone
      ASSERT_NE(text.error().message().find("subgroup_barrier where"), std::string::npos)
          << text.error().message();
      continue;
    }
    bundle.add(launch, "random kernel " + std::to_string(seed), *text, {}, run_on_interpreter(launch));
  }
}

/// Every body of the forward pass that the conformance suite's launches need.
void add_bodies(Bundle& bundle, const ir::TargetInfo& target) {
  std::set<std::string> seen;
  for (const KernelContract* contract : all_kernel_contracts()) {
    if (contract->plan == nullptr) continue;
    for (const conformance::KernelCase& test : conformance::cases_of(*contract)) {
      const conformance::LaunchData data = test.make();
      std::vector<BufferSlice> bindings(data.bindings.size());
      for (size_t i = 0; i < bindings.size(); ++i) {
        if (!data.bindings[i].empty())
          bindings[i] = {BufferId{static_cast<uint32_t>(i + 1)}, 0, data.bindings[i].size()};
      }
      const Result<LaunchPlan> plan =
          contract->plan({target, data.comptime.data(), data.params.data(), bindings});
      if (!plan) continue;
      for (const Stage& stage : plan->stages) {
        const auto bytes = stage.comptime.bytes();
        std::string key(stage.body->name);
        key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (!seen.insert(key).second) continue;
        const ir::Kernel kernel = stage.body->trace(target, stage.comptime.data());
        const Result<std::string> text = webgpu::emit_wgsl(kernel, target);
        ASSERT_TRUE(text.has_value()) << text.error().message();
        bundle.add_text(
            kernel.name + " of \"" + test.name + "\", subgroup " + std::to_string(target.subgroup_size),
            *text);
      }
    }
  }
}

/// A file that goes with the process.
struct TemporaryFile {
  std::string path;
  ~TemporaryFile() { std::filesystem::remove(path); }
};

/// The bundle's file, made once.
const std::string& bundle_file() {
  static const TemporaryFile made{[] {
    Bundle bundle;
    for (const uint32_t threads : {kSubgroupSize, 64u}) {
      add_ops(bundle, browser_target(kSubgroupSize), threads, {}, {});
    }
    add_ops(bundle, browser_target(1), 33, {.native_unpack = false, .native_exp2 = false}, {});
    add_ops(bundle, browser_target(kSubgroupSize), 8, {.immediates = true}, {"immediates"});
    add_ops(bundle, browser_target(kSubgroupSize), 16, {.subgroup_size_control = true},
            {"subgroup-size-control"});
    add_random(bundle, browser_target(kSubgroupSize), 1, 60);
    add_random(bundle, browser_target(1), 1000, 30);
    add_bodies(bundle, browser_target(kSubgroupSize));
    add_bodies(bundle, browser_target(1));
    const auto file =
        std::filesystem::temp_directory_path() / ("tattletale-bundle-" + std::to_string(getpid()) + ".json");
    bundle.write(file);
    std::cout << bundle.size() << " programs in the bundle\n";
    return file.string();
  }()};
  return made.path;
}

/// Runs a command and returns its exit status; `output` gets what it printed.
int run_command(const std::string& command, std::string& output) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return 127;
  std::array<char, 4096> part;
  for (size_t n; (n = fread(part.data(), 1, part.size(), pipe)) > 0;) output.append(part.data(), n);
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string node_folder() {
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.cache/tattletale/node";
}

void check(const std::string& script, const std::string& package, const std::string& more) {
  std::string ignored;
  if (run_command("node --version", ignored) != 0) GTEST_SKIP() << "node is not installed";
  if (!std::filesystem::exists(node_folder() + "/node_modules/" + package)) {
    GTEST_SKIP() << "the npm package " << package << " is not in " << node_folder()
                 << "; run tools/setup.sh test";
  }
  std::string output;
  const std::string folder = std::string(TT_TEST_DATA) + "/../backends/webgpu/";
  const int status =
      run_command(more + " node " + folder + script + " " + node_folder() + " " + bundle_file() +
                      (script == "browser_check.mjs" ? " /usr/bin/chromium" : ""),
                  output);
  std::cout << output;
  if (status == 77) GTEST_SKIP() << output;
  EXPECT_EQ(status, 0) << output;
  EXPECT_NE(output.find(" passed, 0 failed"), std::string::npos);
}

TEST(WebgpuBrowserText, DawnInNodeTakesItAndComputesTheSame) {
  check("dawn_check.mjs", "webgpu", "VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json");
}

TEST(WebgpuBrowserText, ChromiumTakesItAndComputesTheSame) {
  if (!std::filesystem::exists("/usr/bin/chromium")) GTEST_SKIP() << "chromium is not installed";
  check("browser_check.mjs", "playwright-core", "");
}

}  // namespace
}  // namespace tattletale::test

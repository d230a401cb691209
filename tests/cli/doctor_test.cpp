// tattletale doctor and tattletale kernels: what they print, and what they refuse.
#include <gmock/gmock.h>
#include <algorithm>

#include "cli/cli_test.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Doctor, passes_on_the_cpu) {
  ProgramResult result = run_program({"doctor", "--device", "cpu", "--quick"});
  EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, StartsWith("cpu: "));
  EXPECT_THAT(result.out, HasSubstr("  PASS  paged_attention"));
  EXPECT_THAT(result.out, HasSubstr("  PASS  cpu in "));
  EXPECT_THAT(result.out, HasSubstr("not implemented for these types")) << "skipped cases come with a reason";
  EXPECT_THAT(result.out, Not(HasSubstr("FAIL")));
}

TEST(Doctor, json) {
  ProgramResult result = run_program({"doctor", "--device", "cpu", "--quick", "--threads", "2", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json report = json_of(result.out);
  EXPECT_EQ(report["passed"], true);
  EXPECT_EQ(report["quick"], true);
  ASSERT_EQ(report["devices"].size(), 1u);
  ASSERT_EQ(report["devices"][0]["kernels"].size(), 8u);
  for (const Json& kernel : report["devices"][0]["kernels"]) {
    EXPECT_EQ(kernel["passed"], true);
    const bool is_native = kernel["kernel"] != "argmax";  // the CPU has no argmax, and says so
    EXPECT_EQ(kernel["num_run"] >= 2, is_native) << kernel;
    EXPECT_EQ(kernel["skipped"].empty(), kernel["num_skipped"] == 0) << kernel;
    EXPECT_EQ(kernel["num_run"].get<int>() + kernel["num_skipped"].get<int>(),
              kernel["num_cases"].get<int>());
  }
}

TEST(Doctor, quick_runs_a_part) {
  const Json quick = json_of(run_program({"doctor", "--device", "cpu", "--quick", "--json"}).out);
  const Json whole = json_of(run_program({"doctor", "--device", "cpu", "--json"}).out);
  EXPECT_EQ(whole["passed"], true);
  for (size_t i = 0; i < whole["devices"][0]["kernels"].size(); ++i) {
    const int all = whole["devices"][0]["kernels"][i]["num_cases"];
    const int some = quick["devices"][0]["kernels"][i]["num_cases"];
    EXPECT_EQ(some, (all + 7) / 8 + ((all - 1) % 8 == 0 ? 0 : 1));
  }
}

TEST(Doctor, progress_only_on_a_terminal) {
  RunningProgram program({"doctor", "--device", "cpu", "--quick"}, true);
  EXPECT_THAT(program.read_until("PASS  cpu in"), HasSubstr("cpu paged_attention: case 1 of "));
}

TEST(Doctor, wrong_device_is_refused_with_the_right_names) {
  ProgramResult result = run_program({"doctor", "--device", "abacus"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("\"abacus\" is not one of: auto, cpu, cuda"));
  EXPECT_NE(run_program({"doctor", "--device", "cuda:77"}).exit_code, 0);
}

TEST(Kernels, list) {
  ProgramResult result = run_program({"kernels", "list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\npaged_attention "));
  EXPECT_THAT(result.out, HasSubstr("paged_attention_join"));
  EXPECT_EQ(json_of(run_program({"kernels", "list", "--json"}).out).size(), 8u);
}

/// What the text of every target has.
const std::vector<std::pair<std::string, std::string>> kTargets = {
    {"cuda", "extern \"C\" __global__"}, {"opencl", "__kernel"}, {"wgsl", "@compute"}, {"ir", "kernel "}};

/// Bodies that plans choose only where a target has matrix units.
const std::vector<std::string> kNeedMatrixUnits = {"paged_attention_matrix", "linear_matrix", "round_rows",
                                                   "dequantize_matrix"};

TEST(Kernels, dump_of_every_body_for_every_target) {
  const Json kernels = json_of(run_program({"kernels", "list", "--json"}).out);
  for (const Json& kernel : kernels) {
    for (const Json& body : kernel["bodies"]) {
      for (const auto& [target, expected] : kTargets) {
        for (const bool before : {false, true}) {
          std::vector<std::string> arguments = {"kernels", "dump", body, "--target", target};
          if (before) arguments.push_back("--before-passes");
          const bool needs_matrix_unit =
              std::ranges::find(kNeedMatrixUnits, body.get<std::string>()) != kNeedMatrixUnits.end();
          if (needs_matrix_unit && target == "opencl") {
            arguments.insert(arguments.end(), {"--device-class", "opencl-nvidia"});
          }
          ProgramResult result = run_program(arguments);
          if (needs_matrix_unit && target == "wgsl") {
            EXPECT_EQ(result.exit_code, 5);
            EXPECT_THAT(result.err, HasSubstr("no case uses it on this class of devices"));
            continue;
          }
          EXPECT_EQ(result.exit_code, 0) << body << " " << target << ": " << result.err;
          EXPECT_THAT(result.out, HasSubstr(expected)) << body << " " << target;
        }
      }
    }
  }
}

TEST(Kernels, dump_for_every_class_of_devices) {
  const std::vector<std::pair<std::string, std::string>> classes = {
      {"cuda", "sm_80"},           {"cuda", "sm_86"},           {"cuda", "sm_89"},
      {"cuda", "sm_90"},           {"cuda", "sm_100"},          {"cuda", "sm_120"},
      {"opencl", "opencl"},        {"opencl", "opencl-nvidia"}, {"spirv", "vulkan-minimum"},
      {"spirv", "vulkan-desktop"}, {"wgsl", "webgpu-minimum"},  {"wgsl", "webgpu-subgroups"}};
  for (const auto& [target, device_class] : classes) {
    for (const std::string& text : {target, std::string("ir")}) {
      ProgramResult result = run_program(
          {"kernels", "dump", "linear", "--target", text, "--device-class", device_class, "--case", "0"});
      EXPECT_EQ(result.exit_code, 0) << device_class << ": " << result.err;
      EXPECT_GT(result.out.size(), 500u) << device_class;
    }
  }
}

TEST(Kernels, spirv_in_a_file_and_as_text) {
  const TemporaryFolder folder;
  for (const char* body : {"embed", "rms_norm", "linear", "rope_append", "gather_rows",
                           "paged_attention_join", "copy_kv_rows"}) {
    const std::string path = folder.file(body);
    ProgramResult result = run_program({"kernels", "dump", body, "--target", "spirv", "-o", path});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    const std::string module = read_file(path);
    ASSERT_GT(module.size(), 100u);
    EXPECT_EQ(module.size() % 4, 0u);
    EXPECT_EQ(module.substr(0, 4), "\x03\x02\x23\x07");
  }
  const std::vector<std::string> as_text = {"kernels", "dump", "gather_rows", "--target", "spirv"};
  ProgramInput no_tools;
  no_tools.environment = {"PATH=/nonexistent"};
  EXPECT_THAT(run_program(as_text, no_tools).out, StartsWith("07230203 "));
}

TEST(Kernels, before_the_passes_is_another_text) {
  auto text = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"kernels", "dump", "linear", "--target", "ir"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments).out;
  };
  EXPECT_NE(text({}), text({"--before-passes"}));
  EXPECT_NE(text({"--case", "0"}), text({"--case", "100"}));
  EXPECT_EQ(text({}), text({"--case", "0"}));
}

void expect_refused(const std::vector<std::string>& arguments, const std::string& message) {
  ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr(message));
}

TEST(Kernels, wrong_names_are_refused_with_the_right_ones) {
  expect_refused({"kernels"}, "kernels takes list or dump NAME");
  expect_refused({"kernels", "dump", "linear"}, "--target");
  expect_refused({"kernels", "dump", "liner", "--target", "ir"}, "\"liner\" is not one of: ");
  expect_refused({"kernels", "dump", "linear", "--target", "metal"},
                 "\"metal\" is not one of: cuda, opencl, spirv, wgsl, ir");
  expect_refused({"kernels", "dump", "linear", "--target", "cuda", "--device-class", "webgpu-minimum"},
                 "is not one of: sm_90, sm_80");
  expect_refused({"kernels", "dump", "gather_rows", "--target", "ir", "--case", "25"},
                 "25 is beyond the last case of gather_rows, 24");
}

}  // namespace
}  // namespace tattletale::testing

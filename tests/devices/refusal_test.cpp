// Through the C interface: devices that are not there and memory that is not either are refused with a
// reason, and the same process then loads a model on a device that works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "cli/tiny_gguf.h"
#include "support/test_devices.h"
#include "tattletale/tattletale.h"

namespace tattletale::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class Refusal : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = std::filesystem::temp_directory_path() /
            ("tattletale_refusal_" + std::to_string(::getpid()) + ".gguf");
    write_tiny_gguf(path_);
  }
  static void TearDownTestSuite() { std::filesystem::remove(path_); }

  tt_status load(const std::string& device, uint64_t kv_tokens = 0) {
    tt_model_options options;
    tt_model_options_defaults(&options);
    options.device = device.c_str();
    options.context_tokens = 128;
    options.kv_tokens = kv_tokens;
    options.step_tokens = 16;
    tt_model* model = nullptr;
    const tt_status status = tt_model_load(path_.c_str(), &options, &model, &error_);
    EXPECT_EQ(model != nullptr, status == TT_OK);
    tt_model_free(model);
    return status;
  }

  static std::filesystem::path path_;
  tt_error error_{};
};
std::filesystem::path Refusal::path_;

TEST_F(Refusal, NamesThatAreNone) {
  for (const char* name : {"abacus", "vulkan:", "vulkan:x", "vulkan:-1", "opencl:0x", "cpu:0", ":0",
                           "vulkan:99999999999999999999", "Vulkan"}) {
    EXPECT_EQ(load(name), TT_INVALID_ARGUMENT) << name;
    EXPECT_THAT(error_.message, HasSubstr(name));
    EXPECT_THAT(error_.message, HasSubstr("tattletale devices"));
  }
}

TEST_F(Refusal, NumbersPastTheLastDeviceAndMissingDrivers) {
  choose_webgpu_library();
  const std::vector<DeviceListing> listed = list_test_devices();
  for (const std::string backend : {"cuda", "opencl", "vulkan", "webgpu"}) {
    if (!is_wanted(backend)) continue;
    const bool has_some =
        std::ranges::any_of(listed, [&](const DeviceListing& device) { return device.backend == backend; });
    const std::string name = backend + ":99";
    EXPECT_NE(load(name), TT_OK) << name;
    std::cout << name << ": " << error_.message << "\n";
    if (has_some) {
      EXPECT_THAT(error_.message, HasSubstr("99"));
    } else {  // what was looked for
      EXPECT_THAT(error_.message, ContainsRegex("lib[A-Za-z_]+"));
    }
  }
  EXPECT_EQ(load("cpu"), TT_OK) << error_.message;
}

TEST_F(Refusal, KeysAndValuesThatFitNowhere) {
  for (const DeviceListing& device : list_test_devices()) {
    SCOPED_TRACE(device.device);
    const tt_status too_large = load(device.device, uint64_t{1} << 34);
    EXPECT_TRUE(too_large == TT_OUT_OF_MEMORY || too_large == TT_LIMIT_EXCEEDED)
        << tt_status_name(too_large) << ": " << error_.message;
    EXPECT_THAT(error_.message, ContainsRegex("[0-9]{9,} bytes"));
    std::cout << device.device << ": " << error_.message << "\n";
    EXPECT_NE(load(device.device, uint64_t{1} << 62), TT_OK);  // more pages than can be numbered
    EXPECT_THAT(error_.message, ContainsRegex("[0-9]{9,}"));
    EXPECT_EQ(load(device.device), TT_OK) << error_.message;
  }
}

}  // namespace
}  // namespace tattletale::testing

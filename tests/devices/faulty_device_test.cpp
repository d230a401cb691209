// The engine on devices that fail: every request ends with the device's error, nothing stays allocated, and
// an engine on a healthy device goes on.
#include "devices/faulty_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "engine/engine.h"
#include "model/architecture.h"
#include "support/test_devices.h"
#include "support/tiny_model.h"

namespace tattletale::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kRequests = 3;
constexpr uint64_t kNewTokens = 6;

class FaultyDevices : public ::testing::TestWithParam<DeviceListing> {
 protected:
  std::unique_ptr<FaultyDevice> open(FaultPlan plan) {
    Result<std::unique_ptr<Device>> device = open_device(GetParam().device, 2);
    CHECK(device.has_value());
    return std::make_unique<FaultyDevice>(std::move(*device), plan);
  }

  static EngineOptions options() {
    EngineOptions made;
    made.context_tokens = made.kv_tokens = 128;
    made.page_tokens = 16;
    made.step_tokens = 16;
    return made;
  }

  static std::vector<SessionId> submit_all(Engine& engine) {
    std::vector<SessionId> sessions;
    for (uint32_t i = 0; i < kRequests; ++i) {
      sessions.push_back(engine.create_session());
      TokenRequest request;
      for (uint32_t t = 0; t < 12; ++t) request.prompt.push_back((t * 7 + i) % 97);
      request.max_new_tokens = kNewTokens;
      EXPECT_TRUE(engine.submit(sessions.back(), request).has_value());
    }
    return sessions;
  }

  ModelFiles files_ = make_tiny_llama();
};

TEST_P(FaultyDevices, ALostDeviceEndsRequestsAndASecondOneWorks) {
  uint64_t submits_of_a_run = 0;
  {
    const std::unique_ptr<FaultyDevice> healthy = open({});
    const auto decoder = load_decoder(*healthy, files_, 128);
    ASSERT_TRUE(decoder.has_value()) << decoder.error().message();
    auto engine = Engine::create(*healthy, **decoder, options());
    ASSERT_TRUE(engine.has_value()) << engine.error().message();
    const std::vector<SessionId> sessions = submit_all(**engine);
    for (bool more = true; more;) {
      const Result<bool> stepped = (*engine)->step();
      ASSERT_TRUE(stepped.has_value()) << stepped.error().message();
      more = *stepped;
    }
    submits_of_a_run = healthy->num_submits();
    ASSERT_GT(submits_of_a_run, kNewTokens);

    // In the prompt, in the first decode steps (recorded and replayed), and in the last.
    for (const uint64_t submits :
         {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{5}, submits_of_a_run - 1}) {
      SCOPED_TRACE(submits);
      const std::unique_ptr<FaultyDevice> failing = open({.submits = submits});
      {
        const auto other = load_decoder(*failing, files_, 128);
        ASSERT_TRUE(other.has_value()) << other.error().message();
        auto doomed = Engine::create(*failing, **other, options());
        ASSERT_TRUE(doomed.has_value()) << doomed.error().message();
        const std::vector<SessionId> all = submit_all(**doomed);
        uint32_t num_errors = 0;
        for (uint32_t steps = 0; (*doomed)->has_work() && steps < 100; ++steps) {
          const Result<bool> stepped = (*doomed)->step();
          if (stepped.has_value()) continue;
          EXPECT_EQ(stepped.error().kind, ErrorKind::device_lost) << stepped.error().message();
          ++num_errors;
        }
        EXPECT_FALSE((*doomed)->has_work());
        EXPECT_GE(num_errors, 1u);
        uint32_t num_ended = 0;
        for (const SessionId session : all) {
          const Finish finish = (*doomed)->progress(session).finish;
          EXPECT_TRUE(finish == Finish::error || finish == Finish::length);
          num_ended += finish == Finish::error;
        }
        EXPECT_GE(num_ended, 1u);
        EXPECT_TRUE((*doomed)->verify().has_value());
      }
      EXPECT_EQ(failing->num_live(), 0u);
    }

    // The healthy one was there all the time: the same prompts get the same tokens.
    std::vector<std::vector<uint32_t>> first;
    for (const SessionId session : sessions) first.push_back((*engine)->take_tokens(session));
    const std::vector<SessionId> again = submit_all(**engine);
    for (bool more = true; more;) {
      const Result<bool> stepped = (*engine)->step();
      ASSERT_TRUE(stepped.has_value()) << stepped.error().message();
      more = *stepped;
    }
    for (uint32_t i = 0; i < kRequests; ++i) {
      EXPECT_EQ(first[i].size(), kNewTokens);
      EXPECT_EQ((*engine)->take_tokens(again[i]), first[i]);
    }
  }
}

// Memory for n allocations more and more, until all succeed: each refusal names sizes and leaves nothing.
TEST_P(FaultyDevices, OutOfMemoryAnywhereLeavesNothingBehind) {
  uint32_t in_weights = 0, in_engine = 0;
  bool done = false;
  for (uint64_t limit = 0; !done; limit += 4096) {
    ASSERT_LT(limit, uint64_t{64} << 20);
    SCOPED_TRACE(limit);
    const std::unique_ptr<FaultyDevice> small = open({.memory_bytes = limit});
    {
      const auto decoder = load_decoder(*small, files_, 128);
      if (!decoder.has_value()) {
        EXPECT_EQ(decoder.error().kind, ErrorKind::out_of_memory) << decoder.error().message();
        EXPECT_THAT(decoder.error().message(), HasSubstr("bytes"));
        ++in_weights;
      } else {
        const auto engine = Engine::create(*small, **decoder, options());
        done = engine.has_value();
        if (!done) {
          EXPECT_EQ(engine.error().kind, ErrorKind::out_of_memory) << engine.error().message();
          EXPECT_THAT(engine.error().message(), HasSubstr("bytes"));
          ++in_engine;
        }
      }
    }
    EXPECT_EQ(small->num_live(), 0u);
    EXPECT_EQ(small->allocated_bytes(), 0u);
  }
  EXPECT_GT(in_weights, 3u);
  EXPECT_GT(in_engine, 3u);
  std::cout << GetParam().device << ": refused " << in_weights << " times in weights, " << in_engine
            << " times in what the engine allocates\n";
}

INSTANTIATE_TEST_SUITE_P(AllDevices, FaultyDevices, ::testing::ValuesIn(list_test_devices()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace tattletale::testing

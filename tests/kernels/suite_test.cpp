// The suite on devices that are wrong on purpose: each fault has to be in the report.
#include "kernels/conformance/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/cpu/cpu_device.h"
#include "capi/doctor.h"
#include "kernels/embed.h"
#include "kernels/gather_rows.h"
#include "kernels/rms_norm.h"

namespace tattletale::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kGuardBytes = 256;  // in front of each binding; see kernel_runner.cpp

/// The CPU with something wrong in what is read back, or in what it says.
class FaultyDevice final : public Device {
 public:
  enum class Fault { none, output_word, guard_byte, read_only, error, lost, leak, unsupported };
  explicit FaultyDevice(Fault fault) : fault_(fault), cpu_(open_cpu_device(1).value()) {}

  uint32_t num_submitted = 0;

  const Caps& caps() const override { return cpu_->caps(); }
  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override {
    return cpu_->create_buffer(size_bytes, label);
  }
  Result<BufferSlice> create_matrix(DType dtype, uint64_t rows, uint64_t columns,
                                    std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                    std::string_view label) override {
    return cpu_->create_matrix(dtype, rows, columns, bytes, std::move(owner), label);
  }
  void destroy_buffer(BufferId buffer) override { cpu_->destroy_buffer(buffer); }
  Result<void> write(BufferId buffer, uint64_t offset, std::span<const std::byte> bytes) override {
    return cpu_->write(buffer, offset, bytes);
  }
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    TT_ASSIGN(const Submission done, cpu_->read(source, out));
    const bool is_output = source.buffer == output_;
    if (fault_ == Fault::output_word && is_output) out[kGuardBytes + 3] ^= std::byte{0x40};
    if (fault_ == Fault::guard_byte && is_output) out[out.size() - 1] = std::byte{0};
    if (fault_ == Fault::read_only && !is_output) out[kGuardBytes] ^= std::byte{1};
    return done;
  }
  Result<KernelId> load_kernel(const KernelBinary& binary) override {
    if (fault_ == Fault::unsupported) return make_error(ErrorKind::unsupported, binary.name, "not here");
    return cpu_->load_kernel(binary);
  }
  Result<Submission> submit(const CommandList& list) override {
    ++num_submitted;
    output_ = list.dispatches()[0].bindings[2].buffer;  // of embed and gather_rows
    if (fault_ == Fault::error) return make_error(ErrorKind::internal, "driver", "it broke");
    if (fault_ == Fault::lost) return make_error(ErrorKind::device_lost, "driver", "it is gone");
    return cpu_->submit(list);
  }
  Result<ListId> record(const CommandList& list) override { return cpu_->record(list); }
  Result<Submission> submit(ListId list) override { return cpu_->submit(list); }
  void destroy_list(ListId list) override { cpu_->destroy_list(list); }
  Result<bool> poll(Submission submission) override { return cpu_->poll(submission); }
  Result<void> wait(Submission submission) override { return cpu_->wait(submission); }
  uint64_t allocated_bytes() const override {
    return cpu_->allocated_bytes() + (fault_ == Fault::leak ? 64 * num_submitted : 0);
  }

 private:
  Fault fault_;
  std::unique_ptr<Device> cpu_;
  BufferId output_ = BufferId::none;
};

using Fault = FaultyDevice::Fault;

SuiteReport report_of(Fault fault, const KernelContract& contract = kEmbedContract) {
  FaultyDevice device(fault);
  return run_suite(device, contract);
}

TEST(Suite, PassesOnADeviceThatIsRight) {
  const SuiteReport report = report_of(Fault::none);
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.num_run, report.num_cases);
  EXPECT_GT(report.num_run, 10u);
  EXPECT_THAT(report.failures, IsEmpty());
}

TEST(Suite, OneWrongOutputWordFailsWithItsPlaceAndValues) {
  const SuiteReport report = report_of(Fault::output_word, kGatherRowsContract);
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.num_failed, report.num_run);
  ASSERT_EQ(report.failures.size(), 3u) << "only the first few are kept";
  const CaseFailure& first = report.failures.front();
  EXPECT_EQ(first.case_name, cases_of(kGatherRowsContract).front().name);
  EXPECT_EQ(first.binding, 2u);
  ASSERT_TRUE(first.mismatch);
  EXPECT_EQ(first.mismatch->num_wrong, 1u);
  EXPECT_EQ(first.mismatch->element, 0u);
  EXPECT_NE(first.mismatch->got, first.mismatch->expected);
}

TEST(Suite, AWriteOutsideABindingFails) {
  const SuiteReport report = report_of(Fault::guard_byte);
  EXPECT_FALSE(report.passed());
  ASSERT_FALSE(report.failures.empty());
  EXPECT_THAT(report.failures.front().what, HasSubstr("embed wrote outside binding 2, at guard byte 255"));
}

TEST(Suite, AChangedInputFails) {
  const SuiteReport report = report_of(Fault::read_only);
  EXPECT_FALSE(report.passed());
  ASSERT_FALSE(report.failures.empty());
  EXPECT_THAT(report.failures.front().what, HasSubstr("embed changed its read-only binding 0"));
}

TEST(Suite, AnErrorFailsItsCaseAndALostDeviceEndsTheSuite) {
  const SuiteReport broken = report_of(Fault::error);
  EXPECT_EQ(broken.num_failed, broken.num_cases);
  EXPECT_THAT(broken.failures.front().what, HasSubstr("it broke"));
  const SuiteReport lost = report_of(Fault::lost);
  EXPECT_FALSE(lost.passed());
  EXPECT_EQ(lost.num_run, 1u);
  ASSERT_TRUE(lost.stopped);
  EXPECT_EQ(lost.stopped->kind, ErrorKind::device_lost);
}

TEST(Suite, ALeakFails) {
  EXPECT_FALSE(report_of(Fault::leak).passed());
}

TEST(Suite, UnsupportedCasesAreCountedByReasonAndNeverRun) {
  const SuiteReport report = report_of(Fault::unsupported);
  EXPECT_EQ(report.num_run, 0u);
  EXPECT_EQ(report.num_skipped, report.num_cases);
  ASSERT_EQ(report.skipped.size(), 1u);
  EXPECT_THAT(report.skipped.begin()->first, HasSubstr("not here"));
  EXPECT_EQ(report.skipped.begin()->second.count, report.num_cases);
}

TEST(Suite, AStrideTakesTheFirstAndTheLastCase) {
  FaultyDevice device(Fault::output_word);
  const std::vector<KernelCase> all = cases_of(kGatherRowsContract);
  const SuiteReport report = run_suite(device, kGatherRowsContract, {.stride = 1000, .max_failures = 10});
  EXPECT_EQ(report.num_cases, 2u);
  ASSERT_EQ(report.failures.size(), 2u);
  EXPECT_EQ(report.failures[0].case_name, all.front().name);
  EXPECT_EQ(report.failures[1].case_name, all.back().name);
}

/// Doctor's report on a device with a fault.
Json doctor_of(Fault fault) {
  const DoctorPatient patient{{.device = "faulty:0", .backend = "faulty"},
                              [fault]() -> Result<std::unique_ptr<Device>> {
                                if (fault == Fault::error) {
                                  return make_error(ErrorKind::not_found, "driver", "there is none");
                                }
                                return std::make_unique<FaultyDevice>(fault);
                              }};
  tt_doctor_options options;
  tt_doctor_options_defaults(&options);
  options.quick = 1;
  const Result<Json> report = examine(std::span(&patient, 1), options);
  EXPECT_TRUE(report);
  return *report;
}

TEST(Doctor, PassesAndFailsAsTheDeviceDoes) {
  EXPECT_EQ(doctor_of(Fault::none)["passed"], true);
  const Json report = doctor_of(Fault::output_word);
  EXPECT_EQ(report["passed"], false);
  const Json& device = report["devices"][0];
  EXPECT_EQ(device["passed"], false);
  const auto failed =
      std::ranges::find_if(device["kernels"], [](const Json& k) { return k["kernel"] == "gather_rows"; });
  ASSERT_NE(failed, device["kernels"].end());
  EXPECT_EQ((*failed)["num_failed"], (*failed)["num_run"]);
  const Json& failure = (*failed)["failures"][0];
  EXPECT_EQ(failure["element"], 0);
  EXPECT_NE(failure["got"], failure["expected"]);
}

TEST(Doctor, ADeviceThatDoesNotOpenOrSupportsNothingOrIsLostFails) {
  EXPECT_EQ(doctor_of(Fault::error)["passed"], false);
  EXPECT_THAT(doctor_of(Fault::error)["devices"][0]["error"].get<std::string>(), HasSubstr("there is none"));
  EXPECT_EQ(doctor_of(Fault::unsupported)["passed"], false);
  const Json lost = doctor_of(Fault::lost);
  EXPECT_EQ(lost["passed"], false);
  EXPECT_LT(lost["devices"][0]["kernels"].size(), 3u) << "nothing runs on a lost device";
  EXPECT_EQ(lost["devices"][0]["kernels"].back()["num_run"], 1);
  EXPECT_THAT(lost["devices"][0]["error"].get<std::string>(), HasSubstr("it is gone"));
}

TEST(Doctor, NoPatientIsNoPass) {
  tt_doctor_options options;
  tt_doctor_options_defaults(&options);
  EXPECT_EQ((*examine({}, options))["passed"], false);
}

TEST(Doctor, TheCallersProgressSeesEveryKernelAndMayCancel) {
  struct Seen {
    std::vector<std::string> kernels;
    uint32_t stop_after = UINT32_MAX;
  } seen;
  tt_doctor_options options;
  tt_doctor_options_defaults(&options);
  options.device = "cpu";
  options.quick = 1;
  options.user = &seen;
  options.progress = [](void* user, const tt_doctor_progress* progress) {
    auto& s = *static_cast<Seen*>(user);
    EXPECT_LT(progress->num_done, progress->num_cases);
    if (s.kernels.empty() || s.kernels.back() != progress->kernel) s.kernels.emplace_back(progress->kernel);
    return s.kernels.size() > s.stop_after ? 1 : 0;
  };
  tt_error error{};
  tt_string text{};
  ASSERT_EQ(tt_doctor_json(&options, &text, &error), TT_OK) << error.message;
  tt_string_free(&text);
  EXPECT_EQ(seen.kernels.size(), all_kernel_contracts().size());
  seen = {.stop_after = 2};
  EXPECT_EQ(tt_doctor_json(&options, &text, &error), TT_CANCELLED);
}

TEST(Suite, EveryCaseFitsSmallDevices) {
  constexpr uint64_t kMaxBytes = 16u << 20;  // of all bindings together, as docs/cli.md says
  for (const KernelContract* contract : all_kernel_contracts()) {
    for (const KernelCase& test : cases_of(*contract)) {
      const LaunchData data = test.make();
      uint64_t bytes = 0;
      for (const Bytes& binding : data.bindings) bytes += binding.size();
      EXPECT_LE(bytes, kMaxBytes) << contract->name << ": " << test.name;
    }
  }
}

TEST(Suite, ProgressMayEndIt) {
  FaultyDevice device(Fault::none);
  SuiteOptions options;
  options.progress = [](uint32_t done, uint32_t, uint32_t) { return done < 5; };
  const SuiteReport report = run_suite(device, kEmbedContract, options);
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.num_run, 5u);
  EXPECT_EQ(report.stopped->kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace tattletale::conformance

#include "kernels/conformance/suite.h"

namespace tattletale::conformance {
namespace {

/// Empty when the case fits its contract.
std::string malformed(const KernelContract& contract, const LaunchData& data) {
  if (data.comptime.size() != contract.comptime_bytes) return "the case's comptime has the wrong size";
  if (data.params.size() != contract.params_bytes) return "the case's params have the wrong size";
  if (data.bindings.size() != contract.num_bindings) return "the case has the wrong number of bindings";
  return data.outputs.empty() ? "the case checks no output" : "";
}

std::vector<CaseFailure> compare(const KernelContract& contract, const KernelCase& test,
                                 const LaunchData& data, const DeviceRun& run) {
  std::vector<CaseFailure> failures;
  for (const std::string& fault : run.faults) failures.push_back({.case_name = test.name, .what = fault});
  const std::vector<Bytes> expected = run_twin(contract, data);
  for (const OutputCheck& check : data.outputs) {
    const Bytes& actual = run.bindings[check.binding];
    const std::optional<Mismatch> mismatch = find_mismatch(actual, expected[check.binding], check);
    if (!mismatch) continue;
    failures.push_back({.case_name = test.name,
                        .what = compare_output(actual, expected[check.binding], check),
                        .binding = check.binding,
                        .mismatch = mismatch});
  }
  return failures;
}

}  // namespace

void run_case(Device& device, const KernelContract& contract, const KernelCase& test, uint32_t max_failures,
              SuiteReport& report) {
  const LaunchData data = test.make();
  std::vector<CaseFailure> failures;
  if (const std::string fault = malformed(contract, data); !fault.empty()) {
    failures.push_back({.case_name = test.name, .what = fault});
  } else {
    const Result<DeviceRun> run = run_on_device(device, contract, data);
    if (run) {
      failures = compare(contract, test, data, *run);
    } else if (run.error().kind == ErrorKind::unsupported) {
      ++report.num_skipped;
      SkipReason& reason = report.skipped[run.error().message()];
      if (reason.count++ == 0) reason.first_case = test.name;
      return;
    } else {
      failures.push_back({.case_name = test.name, .what = run.error().message()});
      if (run.error().kind == ErrorKind::device_lost) report.stopped = run.error();
    }
  }
  ++report.num_run;
  if (failures.empty()) return;
  ++report.num_failed;
  for (CaseFailure& failure : failures) {
    if (report.failures.size() < max_failures) report.failures.push_back(std::move(failure));
  }
}

SuiteReport run_suite(Device& device, const KernelContract& contract, const SuiteOptions& options) {
  const std::vector<KernelCase> all = cases_of(contract);
  std::vector<const KernelCase*> chosen;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % options.stride == 0 || i + 1 == all.size()) chosen.push_back(&all[i]);
  }
  SuiteReport report;
  report.num_cases = static_cast<uint32_t>(chosen.size());
  const uint64_t allocated_before = device.allocated_bytes();
  for (uint32_t i = 0; i < chosen.size() && !report.stopped; ++i) {
    if (options.progress && !options.progress(i, report.num_cases, report.num_failed)) {
      report.stopped = make_error(ErrorKind::cancelled, std::string(contract.name),
                                  "stopped after " + std::to_string(i) + " cases");
      break;
    }
    run_case(device, contract, *chosen[i], options.max_failures, report);
  }
  const uint64_t left = device.allocated_bytes() - allocated_before;
  if (left != 0) {
    ++report.num_failed;
    report.failures.push_back({.case_name = "all cases",
                               .what = "the device holds " + std::to_string(left) +
                                       " bytes more than before, with every buffer freed"});
  }
  return report;
}

}  // namespace tattletale::conformance

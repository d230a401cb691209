#include "capi/doctor.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "capi/boundary.h"
#include "kernels/conformance/suite.h"

namespace tattletale {
namespace {

constexpr uint32_t kQuickStride = 8;
constexpr uint32_t kMaxFailures = 3;

/// Text, because JSON has no NaN and no infinity.
std::string number_text(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

Json failure_json(const conformance::CaseFailure& failure) {
  Json json{{"case", failure.case_name}, {"what", failure.what}};
  if (failure.mismatch) {
    const conformance::Mismatch& m = *failure.mismatch;
    json.update({{"binding", failure.binding},
                 {"num_wrong", m.num_wrong},
                 {"element", m.element},
                 {"got", number_text(m.got)},
                 {"expected", number_text(m.expected)},
                 {"allowed_difference", number_text(m.allowed)}});
  }
  return json;
}

Json report_json(const KernelContract& contract, const conformance::SuiteReport& report) {
  Json skipped = Json::array();
  for (const auto& [reason, skip] : report.skipped) {
    skipped.push_back({{"reason", reason}, {"count", skip.count}, {"first_case", skip.first_case}});
  }
  Json failures = Json::array();
  for (const conformance::CaseFailure& failure : report.failures) failures.push_back(failure_json(failure));
  return {{"kernel", contract.name},         {"passed", report.passed()},
          {"num_cases", report.num_cases},   {"num_run", report.num_run},
          {"num_failed", report.num_failed}, {"num_skipped", report.num_skipped},
          {"failures", std::move(failures)}, {"skipped", std::move(skipped)}};
}

/// Runs every kernel's suite on an open device and appends to `kernels`. False when the caller cancelled.
bool examine_kernels(Device& device, const DeviceListing& listing, const tt_doctor_options& options,
                     Json& result) {
  uint64_t num_run = 0;
  bool passed = true;
  for (const KernelContract* contract : all_kernel_contracts()) {
    const std::string kernel(contract->name);
    conformance::SuiteOptions suite;
    suite.stride = options.quick != 0 ? kQuickStride : 1;
    suite.max_failures = options.max_failures == 0 ? kMaxFailures : options.max_failures;
    suite.progress = [&](uint32_t num_done, uint32_t num_cases, uint32_t num_failed) {
      if (options.progress == nullptr) return true;
      const tt_doctor_progress progress{.struct_size = sizeof(tt_doctor_progress),
                                        .device = listing.device.c_str(),
                                        .kernel = kernel.c_str(),
                                        .num_done = num_done,
                                        .num_cases = num_cases,
                                        .num_failed = num_failed};
      return options.progress(options.user, &progress) == 0;
    };
    const conformance::SuiteReport report = conformance::run_suite(device, *contract, suite);
    if (report.stopped && report.stopped->kind == ErrorKind::cancelled) return false;
    num_run += report.num_run;
    passed = passed && report.passed();
    result["kernels"].push_back(report_json(*contract, report));
    if (!report.stopped) continue;
    result["error"] = report.stopped->message();  // the device is lost: what follows cannot run
    break;
  }
  if (num_run == 0 && passed) {
    passed = false;
    result["error"] = "the device supports no case of any kernel";
  }
  result["passed"] = passed;
  return true;
}

}  // namespace

Result<std::vector<DoctorPatient>> find_patients(std::string_view name, uint32_t num_threads) {
  const auto opener = [num_threads](const std::string& device) {
    return [device, num_threads] { return open_device(device, num_threads); };
  };
  std::vector<DoctorPatient> patients;
  std::vector<DeviceListing> listed = list_devices();
  for (const DeviceListing& device : listed) {
    const bool first_of_backend = device.device == std::string(name) + ":0";
    if (name == "all" || device.device == name || first_of_backend) {
      patients.push_back({device, opener(device.device)});
    }
  }
  if (!patients.empty()) return patients;
  // "auto", a name that is none, or a device that is not there: open_device knows, and says what to install.
  TT_ASSIGN(const std::unique_ptr<Device> device, open_device(name, num_threads));
  const Caps& caps = device->caps();
  DeviceListing listing{
      .device = std::string(name), .backend = caps.backend, .name = caps.name, .driver = caps.isa};
  patients.push_back({listing, opener(std::string(name))});
  return patients;
}

Result<Json> examine(std::span<const DoctorPatient> patients, const tt_doctor_options& options) {
  Json devices = Json::array();
  bool all_passed = true;
  for (const DoctorPatient& patient : patients) {
    const auto start = std::chrono::steady_clock::now();
    Json result{{"device", patient.listing.device},
                {"backend", patient.listing.backend},
                {"name", patient.listing.name},
                {"driver", patient.listing.driver},
                {"passed", false},
                {"kernels", Json::array()}};
    const Result<std::unique_ptr<Device>> device = patient.open();
    if (!device) {
      result["error"] = device.error().message();
    } else if (!examine_kernels(**device, patient.listing, options, result)) {
      return make_error(ErrorKind::cancelled, "doctor", "stopped on device " + patient.listing.device);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    result["seconds"] = took.count();
    all_passed = all_passed && result["passed"].get<bool>();
    devices.push_back(std::move(result));
  }
  return Json{{"passed", all_passed && !patients.empty()},
              {"quick", options.quick != 0},
              {"devices", std::move(devices)}};
}

}  // namespace tattletale

using namespace tattletale;  // the rest of the file is the C interface

void tt_doctor_options_defaults(tt_doctor_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->struct_size = sizeof(*options);
}

tt_status tt_doctor_json(const tt_doctor_options* options, tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (out == nullptr) return missing("out");
    tt_doctor_options defaults;
    tt_doctor_options_defaults(&defaults);
    TT_ASSIGN(const tt_doctor_options full, grown(options, defaults, "options"));
    const std::string_view name = full.device == nullptr ? "all" : full.device;
    TT_ASSIGN(const std::vector<DoctorPatient> patients, find_patients(name, full.num_threads));
    TT_ASSIGN(const Json report, examine(patients, full));
    return give(report.dump(-1, ' ', false, Json::error_handler_t::replace), out);
  });
}

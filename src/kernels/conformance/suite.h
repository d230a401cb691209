// All cases of one kernel on one device, as a report: what ran, what was skipped and why, and what was wrong.
// The tests and `tattletale doctor` run the same suite; neither prints from here.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/conformance/kernel_runner.h"

namespace tattletale::conformance {

struct CaseFailure {
  std::string case_name;
  std::string what;                  // a sentence
  uint32_t binding = 0;              // with `mismatch`: the output it is in
  std::optional<Mismatch> mismatch;  // absent for errors and for changed guards
};

struct SkipReason {
  uint32_t count = 0;
  std::string first_case;
};

struct SuiteReport {
  uint32_t num_cases = 0;  // chosen to run
  uint32_t num_run = 0;
  uint32_t num_failed = 0;                    // of num_run
  uint32_t num_skipped = 0;                   // unsupported by the device
  std::map<std::string, SkipReason> skipped;  // by the device's message
  std::vector<CaseFailure> failures;          // the first few
  std::optional<Error> stopped;  // device_lost, or cancelled by `progress`: the cases behind did not run

  /// Nothing was wrong. A device that supports no case at all is not wrong; see num_run.
  bool passed() const { return num_failed == 0 && !stopped; }
};

struct SuiteOptions {
  uint32_t stride = 1;        // runs every stride-th case and the last one
  uint32_t max_failures = 3;  // kept in the report; all are counted
  /// Called before each case with the number of cases done; false ends the suite.
  std::function<bool(uint32_t num_done, uint32_t num_cases, uint32_t num_failed)> progress;
};

/// Runs the kernel's cases. Everything that goes wrong is in the report. A malformed case (sizes that are not
/// the contract's, no output) counts as a failure of its own.
SuiteReport run_suite(Device& device, const KernelContract& contract, const SuiteOptions& options = {});

/// One case as a report of one case.
void run_case(Device& device, const KernelContract& contract, const KernelCase& test, uint32_t max_failures,
              SuiteReport& report);

}  // namespace tattletale::conformance

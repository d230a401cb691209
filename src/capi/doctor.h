// The kernel conformance suite on devices, as a report in JSON (tt_doctor_json).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/json.h"
#include "capi/open_device.h"
#include "tattletale/tattletale.h"

namespace tattletale {

/// A device to examine. Opened when its turn comes, closed before the next.
struct DoctorPatient {
  DeviceListing listing;
  std::function<Result<std::unique_ptr<Device>>()> open;
};

/// The patients that a name means: "all", or what open_device takes. Errors: those of open_device for a name
/// that is none, or a device that is not there.
Result<std::vector<DoctorPatient>> find_patients(std::string_view name, uint32_t num_threads);

/// The report (tt_doctor_json says its fields). Errors: cancelled, when the progress function says so.
Result<Json> examine(std::span<const DoctorPatient> patients, const tt_doctor_options& options);

}  // namespace tattletale

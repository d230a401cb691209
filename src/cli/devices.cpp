// tattletale devices: what this machine can compute on.
#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {

Outcome<ExitCode> devices_command(const Options& options) {
  tt_error error{};
  tt_string text{};
  if (tt_status status = tt_devices_json(&text, &error); status != TT_OK) return fail(status, error);
  CLI_ASSIGN(Json devices, take_json(text));
  if (options.json) {
    CLI_TRY(print(json_text(devices, 2) + "\n"));
    return ExitCode::kOk;
  }
  std::string lines = formatted("%-10s %-44s %-32s %10s\n", "device", "name", "driver", "memory");
  for (const Json& device : devices) {
    const uint64_t memory = device.value("memory_bytes", uint64_t{0});
    lines += formatted("%-10s %-44s %-32s %10s\n", device.value("device", "").c_str(),
                       device.value("name", "").c_str(), device.value("isa", "").c_str(),
                       memory == 0 ? "-" : bytes_text(static_cast<double>(memory)).c_str());
  }
  CLI_TRY(print(lines));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

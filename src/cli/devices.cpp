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
  std::string lines = formatted("%-8s %-40s %-12s %7s %10s\n", "device", "name", "isa", "threads", "memory");
  for (const Json& device : devices) {
    lines += formatted("%-8s %-40s %-12s %7llu %10s\n", device.value("backend", "").c_str(),
                       device.value("name", "").c_str(), device.value("isa", "").c_str(),
                       static_cast<unsigned long long>(device.value("threads", uint64_t{0})),
                       bytes_text(static_cast<double>(device.value("memory_bytes", uint64_t{0}))).c_str());
  }
  CLI_TRY(print(lines));
  return ExitCode::kOk;
}

}  // namespace tattletale::cli

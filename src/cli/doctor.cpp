// tattletale doctor: every kernel on the devices of this machine against its slow twin.
#include "cli/model.h"
#include "cli/output.h"

namespace tattletale::cli {
namespace {

/// One line on a terminal, written over again and again.
int show_progress(void*, const tt_doctor_progress* progress) {
  print_status(formatted("\r\x1b[K%s %s: case %llu of %llu%s", printable(progress->device, true).c_str(),
                         progress->kernel, static_cast<unsigned long long>(progress->num_done + 1),
                         static_cast<unsigned long long>(progress->num_cases),
                         progress->num_failed > 0 ? ", FAIL" : ""));
  return 0;
}

std::string text_of(const Json& json, const char* key) {
  return printable(json.value(key, ""), true);
}
unsigned long long number_of(const Json& json, const char* key) {
  return json.value(key, uint64_t{0});
}

std::string failure_lines(const Json& failure) {
  std::string text = "      case \"" + text_of(failure, "case") + "\"";
  if (!failure.contains("element")) return text + ": " + text_of(failure, "what") + "\n";
  return text +
         formatted(": binding %llu, element %llu: got %s, expected %s +- %s; %llu elements are wrong\n",
                   number_of(failure, "binding"), number_of(failure, "element"),
                   text_of(failure, "got").c_str(), text_of(failure, "expected").c_str(),
                   text_of(failure, "allowed_difference").c_str(), number_of(failure, "num_wrong"));
}

std::string kernel_lines(const Json& kernel) {
  const bool passed = kernel.value("passed", false);
  const char* verdict = !passed ? "FAIL" : number_of(kernel, "num_run") == 0 ? "none" : "PASS";
  std::string text = formatted("  %s  %-18s %llu cases run", verdict, text_of(kernel, "kernel").c_str(),
                               number_of(kernel, "num_run"));
  if (!passed) text += formatted(", %llu wrong", number_of(kernel, "num_failed"));
  if (number_of(kernel, "num_skipped") > 0)
    text += formatted(", %llu skipped", number_of(kernel, "num_skipped"));
  text += "\n";
  for (const Json& failure : kernel.value("failures", Json::array())) text += failure_lines(failure);
  for (const Json& skip : kernel.value("skipped", Json::array())) {
    text += formatted("      skipped %llu: ", number_of(skip, "count")) + text_of(skip, "reason") +
            " (the first: \"" + text_of(skip, "first_case") + "\")\n";
  }
  return text;
}

std::string report_text(const Json& report) {
  std::string text;
  for (const Json& device : report.value("devices", Json::array())) {
    text +=
        text_of(device, "device") + ": " + text_of(device, "name") + ", " + text_of(device, "driver") + "\n";
    for (const Json& kernel : device.value("kernels", Json::array())) text += kernel_lines(kernel);
    if (device.contains("error")) text += "  FAIL  " + text_of(device, "error") + "\n";
    text += formatted("  %s  %s in %.1f s\n", device.value("passed", false) ? "PASS" : "FAIL",
                      text_of(device, "device").c_str(), device.value("seconds", 0.0));
  }
  return text;
}

}  // namespace

Outcome<ExitCode> doctor_command(const Options& options) {
  tt_doctor_options doctor;
  tt_doctor_options_defaults(&doctor);
  doctor.device = options.doctor_device.c_str();
  doctor.num_threads = options.threads.empty() ? 0 : static_cast<uint32_t>(options.threads[0]);
  doctor.quick = options.quick ? 1 : 0;
  if (is_status_terminal()) doctor.progress = show_progress;
  tt_error error{};
  tt_string text{};
  const tt_status status = tt_doctor_json(&doctor, &text, &error);
  if (is_status_terminal()) print_status("\r\x1b[K");
  if (status != TT_OK) return fail(status, error);
  CLI_ASSIGN(Json report, take_json(text));
  CLI_TRY(print(options.json ? json_text(report, 2) + "\n" : report_text(report)));
  return report.value("passed", false) ? ExitCode::kOk : ExitCode::kCheckFailed;
}

}  // namespace tattletale::cli

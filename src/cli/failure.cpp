#include "cli/failure.h"

#include <utility>

namespace tattletale::cli {

std::span<const ExitCodeRow> exit_code_table() {
  static constexpr ExitCodeRow kRows[] = {
      {ExitCode::kOk, "done"},
      {ExitCode::kInternal, "a fault in tattletale itself; please report it"},
      {ExitCode::kUsage, "wrong usage: an unknown command or option, a value out of range"},
      {ExitCode::kNotFound, "a file, model or name that is not there"},
      {ExitCode::kBadFile, "a damaged model file: it breaks its own format"},
      {ExitCode::kUnsupported, "a sound file that this build cannot run"},
      {ExitCode::kOutOfMemory, "not enough memory"},
      {ExitCode::kLimitExceeded, "more than a limit, such as a prompt longer than the context"},
      {ExitCode::kCancelled, "the work was cancelled from inside the library"},
      {ExitCode::kIo, "reading or writing failed"},
      {ExitCode::kDeviceLost, "the device stopped answering"},
      {ExitCode::kCheckFailed, "doctor: a device computes wrongly or could not be checked"},
      {ExitCode::kInterrupted, "Ctrl-C ended the answer"},
  };
  return kRows;
}

ExitCode exit_code_of(tt_status status) {
  switch (status) {
    case TT_OK: return ExitCode::kOk;
    case TT_INVALID_ARGUMENT: return ExitCode::kUsage;
    case TT_NOT_FOUND: return ExitCode::kNotFound;
    case TT_BAD_FILE: return ExitCode::kBadFile;
    case TT_UNSUPPORTED: return ExitCode::kUnsupported;
    case TT_OUT_OF_MEMORY: return ExitCode::kOutOfMemory;
    case TT_LIMIT_EXCEEDED: return ExitCode::kLimitExceeded;
    case TT_CANCELLED: return ExitCode::kCancelled;
    case TT_IO: return ExitCode::kIo;
    case TT_DEVICE_LOST: return ExitCode::kDeviceLost;
    case TT_INTERNAL: return ExitCode::kInternal;
  }
  return ExitCode::kInternal;
}

std::unexpected<Failure> fail(ExitCode code, std::string message, std::string next_step) {
  return std::unexpected(Failure{code, std::move(message), std::move(next_step)});
}

namespace {

std::string next_step_for(tt_status status, const std::string& model_path) {
  switch (status) {
    case TT_UNSUPPORTED: return model_path.empty() ? "" : "tattletale inspect " + model_path;
    case TT_OUT_OF_MEMORY: return "a smaller --context, --kv-dtype f16, or a smaller model";
    case TT_LIMIT_EXCEEDED: return "a larger --context, or less text";
    default: return "";
  }
}

}  // namespace

std::unexpected<Failure> fail(tt_status status, const tt_error& error, const std::string& model_path) {
  std::string message = error.message[0] != '\0' ? error.message : tt_status_name(status);
  return fail(exit_code_of(status), std::move(message), next_step_for(status, model_path));
}

}  // namespace tattletale::cli
